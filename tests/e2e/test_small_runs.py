"""Runs that are too small for Prefect's server and for Ray start neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.command import REPOSITORY
from tests.small_archive import SmallArchive, small_archive

pytestmark = pytest.mark.slow

PROGRAM = """
import json, os, subprocess, sys

started = []

def note(event, arguments):
    if event == "subprocess.Popen":
        started.append(" ".join(map(str, arguments[1])))

sys.addaudithook(note)
from flows.cli import app

code = app.run(sys.argv[1:])
imported = [name for name in ("prefect", "ray", "s3fs", "matplotlib") if name in sys.modules]
servers = [one for one in started if "uvicorn" in one or "raylet" in one or "gcs_server" in one]
print(json.dumps({"code": code, "imported": imported, "servers": servers}), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    return small_archive(
        str(tmp_path_factory.mktemp("small")), tmp_path_factory.mktemp("scratch"), count=3
    )


def _run(*arguments: str, **variables: str) -> tuple[Any, Mapping[str, Any]]:
    """What the command printed as JSON, and what its process imported and started."""
    unset = {"PREFECT_API_URL", "RAY_ADDRESS", "REFOLD_SMALL_RUN"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, "--json"],
        cwd=REPOSITORY,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    # Not by its place: Python may have something to say of its own while the process ends.
    (told,) = (line for line in ran.stderr.splitlines() if line.startswith('{"code": '))
    return json.loads(ran.stdout), json.loads(told)


def test_a_few_keys_are_restored_without_prefect_and_ray(
    made: SmallArchive, tmp_path: Path
) -> None:
    keys = sorted({row.source_key for row in made.rows()})
    told, process = _run("restore", made.archive_url, str(tmp_path / "out"), *keys[:2], "none.png")
    assert process == {"code": 1, "imported": [], "servers": []}
    assert [one["source_key"] for one in told["outputs"]] == keys[:2]
    assert told["failures"] == [{"source_key": "none.png", "reason": "not in the catalog"}]
    assert all(Path(one["path"]).stat().st_size == one["bytes"] for one in told["outputs"])
    again, process = _run("restore", made.archive_url, str(tmp_path / "out"), "--all")
    assert process["imported"] == []
    assert again["restored"] == 3


def test_a_restoration_into_the_archive_is_refused_as_ever(made: SmallArchive) -> None:
    told, process = _run("restore", made.archive_url, f"{made.archive_url}/out", "--all")
    assert process["code"] == 2
    assert told["error"]["kind"] == "UsageError"


def test_a_run_that_finds_nothing_to_do_starts_nothing_and_is_recorded(made: SmallArchive) -> None:
    before = len(made.catalog.runs())
    told, process = _run("archive", made.source_url, made.archive_url, "--target", "x2")
    assert process == {"code": 0, "imported": [], "servers": []}
    assert (told["listed"], told["unchanged"], told["archived"]) == (3, 3, 0)
    run = made.catalog.runs()[-1]
    assert len(made.catalog.runs()) == before + 1
    assert (run.run_id, run.listed, run.unchanged) == (told["run_id"], 3, 3)
    assert run.parameters["source"] == made.source_url


def test_a_dry_run_starts_and_writes_nothing(made: SmallArchive) -> None:
    before = sorted(Path(made.archive_url).rglob("*"))
    told, process = _run(
        "archive", made.source_url, made.archive_url, "--target", "x4", "--dry-run"
    )
    assert process == {"code": 0, "imported": [], "servers": []}
    assert (told["listed"], told["pending"]) == (3, 3)
    assert sorted(Path(made.archive_url).rglob("*")) == before


def test_a_small_archive_run_starts_prefect_and_no_ray(
    made: SmallArchive, prefect_home: Mapping[str, str]
) -> None:
    told, process = _run(
        "archive", made.source_url, made.archive_url, "--target", "x4", **prefect_home
    )
    assert process["code"] == 0
    assert "ray" not in process["imported"]
    assert [one for one in process["servers"] if "uvicorn" not in one] == []
    assert told["archived"] == 3
    everything, _ = _run("ls", made.archive_url)
    assert len(everything) == 6
