"""A path that is relative to the folder of a command means the same to everybody it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.command import RefoldHere
from tests.pages import small_photographs

pytestmark = pytest.mark.slow


def test_workers_of_a_ray_that_was_started_elsewhere_find_relative_paths(
    tmp_path: Path, prefect_server: str, ray_local: Any
) -> None:
    small_photographs(tmp_path / "photos")
    (tmp_path / "notes").mkdir()
    here = {"PREFECT_API_URL": prefect_server, "REFOLD_SMALL_RUN": "0", "REFOLD_WORKERS": "1"}
    refold = RefoldHere(here, folder=tmp_path)
    plain = ("--rescaler", "lanczos", "--target", "x2", "--codec", "webp", "--quality", "90")
    archived = refold("archive", "./photos", "archive", *plain, "--json")
    assert archived.json["archived"] == 4, archived.err
    # The collection is found again by those who come from another folder and are not told of it.
    elsewhere = RefoldHere(here, folder=tmp_path / "notes")
    filled = elsewhere("backfill", "../archive", "--target", "long-edge=32", "--json")
    assert filled.json["from_sources"] == 4, filled.err
    for stored in (tmp_path / "archive" / "renditions" / "x2").rglob("*.webp"):
        stored.write_bytes(stored.read_bytes()[:-40])
    scrubbed = refold("scrub", "archive", "--repair", "./photos", "--json")
    assert scrubbed.json["repaired"] == 4, scrubbed.err
    restored = refold("restore", "archive", "restored/all", "--all", "--json")
    assert restored.json["restored"] == 4, restored.err
    paths = {output["path"] for output in restored.json["outputs"]}
    assert "restored/all/cat.png" in paths
    assert all((tmp_path / path).is_file() for path in paths)
