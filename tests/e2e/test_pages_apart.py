"""The pages and the examples, in a process of their own; see `tests.pages.APART`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import REPOSITORY
from tests.pages import APART


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("file", ["test_pages.py", "test_examples.py"])
def test_pages_and_examples_do_what_they_say(file: str, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/e2e/{file}",
         "-m", "slow", "--basetemp", tmp_path / "work"],
        cwd=REPOSITORY, env=kept | {APART: "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-20_000:]
    assert "skipped" not in ran.stdout.splitlines()[-1]
