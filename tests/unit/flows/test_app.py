"""What is said of wrong usage: one line for people, one value for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli.app import run
from flows.cli.exits import Exit
from tests.small_archive import small_archive


def test_what_is_wrong_is_said_in_one_line_before_anything_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_archive(str(tmp_path), tmp_path, count=1)
    archive = str(tmp_path / "archive")
    wrong = {
        ("restore", "/nowhere", str(tmp_path / "out"), "--all"): "no archive there",
        ("restore", archive, "s3:/bucket/out", "--all"): "s3://bucket/out",
        ("restore", archive, str(tmp_path), "--where", "nonesuch = 1"): "nonesuch",
        ("restore", archive, str(tmp_path), "--all", "--target", "long-edge=32"): "preview",
        ("archive", str(tmp_path / "photos"), str(tmp_path / "photos/arc")): "inside the source",
        ("archive", "--nonesuch"): "--nonesuch",
        ("backfill", "/nowhere", "--target", "x4"): "no archive there",
        ("maintain", archive, "--grace", "soon"): "soon",
        ("rebuild", "/nowhere"): "no such folder",
        ("report", archive, "--output", "s3://bucket/page.html"): "local file",
        ("retire", str(tmp_path / "photos"), archive, "--older-than", "soon"): "soon",
        ("scrub",): "archive",
        ("ls", archive, "nonesuch.png"): "not in the catalog",
        ("ls", archive, "*.tif"): "not in the catalog",
        ("show", archive, "nonesuch.png"): "not in the catalog",
    }
    for arguments, word in wrong.items():
        assert run([*arguments, "--json"]) == Exit.USAGE, arguments
        said = capsys.readouterr()
        (line,) = [line for line in said.err.splitlines() if line.strip()]
        assert line.startswith("refold: ")
        assert word in line
        error = json.loads(said.out)["error"]
        assert (error["kind"], error["exit_code"]) == ("UsageError", Exit.USAGE)
        assert error["message"] in line
    assert not (tmp_path / "photos" / "arc").exists()


def test_sources_of_another_state_are_known_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_archive(str(tmp_path), tmp_path, count=1)
    archive = str(tmp_path / "archive")
    assert run(["ls", archive, "roll 0/photo 0.png", "--where", "state = 'kept'", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(["ls", archive, "*.png"]) == 0
    assert "roll 0/photo 0.png" in capsys.readouterr().out
