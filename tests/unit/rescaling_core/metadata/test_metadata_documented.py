"""docs/formats.md says what the files hold."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest

from rescaling_core.metadata import RestorationMetadata, compact, compact_parts

ROOT = Path(__file__).parents[4]
TEXT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
SCHEMA, EXAMPLE = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.S))
EXPECTED = json.loads((ROOT / "tests/unit/fixtures/metadata_v1/expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_files_of_version_1_follow_the_documented_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(EXPECTED[name]["metadata"], SCHEMA)


def test_every_field_is_documented_in_schema_and_table() -> None:
    for field in fields(RestorationMetadata):
        assert field.name in SCHEMA["properties"]
        assert f"`{field.name}`" in TEXT


def test_the_documented_example_is_a_real_one() -> None:
    assert EXPECTED["scan.png"]["metadata"] == EXAMPLE
    assert RestorationMetadata.from_json(json.dumps(EXAMPLE)).mode == "L"


def test_the_documented_message_has_the_numbers_that_are_written() -> None:
    block = re.search(r"```proto\n(.*?)```", TEXT, re.S)
    assert block is not None
    message, residual, jpeg = re.split(r"message (?:Residual|Jpeg)", block[1])
    documented = {int(n): name for name, n in re.findall(r"(\w+) = (\d+);", message)}
    tables = (compact._TEXTS, compact._DIGESTS, compact._NUMBERS, compact._DOUBLES)
    written = {number: name for table in tables for number, name in table.items()}
    others = {7: "codec", 29: "fingerprint", 33: "origin", 34: "extras", 35: "residual"}
    others |= {46: "jpeg", 47: "fitted"}
    assert documented == written | others
    codecs = re.findall(r"([a-z0-9-]+) (\d+)(?:,|\n)", message.partition("codec = 7")[2])
    assert {name: int(n) for name, n in codecs} == compact_parts.CODEC_NUMBERS
    assert re.findall(r"(\w+) = \d+;", residual) == [
        "codec",
        "quality",
        "nbytes",
        "sha256",
        "luma",
        "filtered",
    ]
    assert re.findall(r"(\w+) = \d+;", jpeg) == ["qualities", "subsampling", "progressive"]
