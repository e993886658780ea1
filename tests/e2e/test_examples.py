"""Every example runs as it is, and says what it should."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import REPOSITORY
from tests.pages import ALL_PAGES, DOCS, blocks, small_photographs

EXAMPLES = REPOSITORY / "examples"
MOST_LINES = 50


@pytest.mark.slow
@pytest.mark.skipif(not ALL_PAGES, reason="a long one: `make pages` runs it")
def test_every_example_runs(tmp_path: Path, prefect_server: str) -> None:
    small_photographs(tmp_path / "photos")
    shutil.copytree(tmp_path / "photos" / "2019", tmp_path / "2020")
    ran = set()

    def run(name: str, *arguments: str) -> str:
        ran.add(name)
        done = subprocess.run(
            [sys.executable, EXAMPLES / name, *arguments],
            cwd=tmp_path,
            env=os.environ
            | {"PREFECT_API_URL": prefect_server, "PYTHONPATH": str(REPOSITORY)}
            | {"REFOLD_WORKERS": "1", "PREFECT_LOGGING_LEVEL": "ERROR"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
        return done.stdout

    assert "4 archived" in run("archive_folder.py", "photos", "site")
    assert '"cat.png": "renditions/' in run("thumbnails.py", "site", "long-edge=256")
    chosen = run("custom_plan.py", "photos", "archive")
    assert re.search(r"x2: lanczos, webp \+ residual was chosen \d times", chosen)
    assert "archived │       4" in run("catalog_duckdb.py", "archive")
    assert "pilot.png" in run("catalog_polars.py", "archive")
    restored = run("restore_one.py", "archive", "cat.png")
    assert "256 x 256" in restored
    assert "part: 64 x 48" in restored
    assert "{'2020': " in run("prefect_subflow.py", "years", "2020")
    assert ran == {path.name for path in EXAMPLES.glob("*.py")}, "each one is run"


def test_examples_are_short_and_pages_show_them_as_they_are() -> None:
    for path in EXAMPLES.glob("*.*"):
        assert len(path.read_text().splitlines()) <= MOST_LINES, path
    shown = {
        block.title: block.text
        for page in DOCS.rglob("*.md")
        for block in blocks(page)
        if block.title is not None and (EXAMPLES / block.title).exists()
    }
    assert len(shown) == 3
    for title, text in shown.items():
        assert (EXAMPLES / title).read_text() == text
