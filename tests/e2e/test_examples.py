"""Every example runs as it is, and says what it should."""

from __future__ import annotations

import io
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from xml.etree import ElementTree

import pytest
from deltalake import DeltaTable

from tests.command import REPOSITORY
from tests.pages import DOCS, IN_PROCESSES, blocks, small_photographs

EXAMPLES = REPOSITORY / "examples"
MOST_LINES = 50


@pytest.mark.slow
def test_every_example_runs(tmp_path: Path, prefect_server: str, workers_here: None) -> None:
    small_photographs(tmp_path / "photos")
    shutil.copytree(tmp_path / "photos" / "2019", tmp_path / "2020")
    ran = set()

    variables = {"PREFECT_API_URL": prefect_server, "REFOLD_WORKERS": "1"}
    variables |= {"PREFECT_LOGGING_LEVEL": "ERROR", "COLUMNS": "100"}

    def run(name: str, *arguments: str) -> str:
        ran.add(name)
        example = _in_a_process if IN_PROCESSES else _here
        return example(EXAMPLES / name, arguments, tmp_path, variables)

    assert "4 archived" in run("archive_folder.py", "photos", "site")
    assert '"cat.png": "renditions/' in run("thumbnails.py", "site", "long-edge=256")
    chosen = run("custom_plan.py", "photos", "archive")
    assert re.search(r"x2: lanczos, webp \+ residual was chosen \d times", chosen)
    assert "archived │       4" in run("catalog_duckdb.py", "archive")
    assert "pilot.png" in run("catalog_polars.py", "archive")
    premis = ElementTree.fromstring(run("premis_events.py", "archive"))
    names = {"premis": "http://www.loc.gov/premis/v3"}
    digests = [one.text for one in premis.iterfind(".//premis:messageDigest", names)]
    rows = DeltaTable(str(tmp_path / "archive" / "catalog" / "renditions")).to_pyarrow_dataset()
    assert sorted(digests) == sorted(rows.to_table().column("lr_sha256").to_pylist())
    events = [one.text for one in premis.iterfind(".//premis:eventType", names)]
    assert events == ["migration"]
    restored = run("restore_one.py", "archive", "cat.png")
    assert "256 x 256" in restored
    assert "part: 64 x 48" in restored
    assert "{'2020': " in run("prefect_subflow.py", "years", "2020")
    assert ran == {path.name for path in EXAMPLES.glob("*.py")}, "each one is run"


def _in_a_process(
    example: Path, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> str:
    done = subprocess.run(
        [sys.executable, example, *arguments],
        cwd=folder,
        env={**os.environ, **variables, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{example.name}: {done.stderr}"
    return done.stdout


def _here(
    example: Path, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> str:
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [str(example), *arguments])
        for name, value in variables.items():
            patch.setenv(name, value)
        runpy.run_path(str(example), run_name="__main__")
    return printed.getvalue()


def test_examples_are_short_and_pages_show_them_as_they_are() -> None:
    for path in EXAMPLES.glob("*.*"):
        assert len(path.read_text().splitlines()) <= MOST_LINES, path
    shown = {
        block.title: block.text
        for page in DOCS.rglob("*.md")
        for block in blocks(page)
        if block.title is not None and (EXAMPLES / block.title).exists()
    }
    assert len(shown) == 4
    for title, text in shown.items():
        assert (EXAMPLES / title).read_text() == text
