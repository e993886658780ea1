"""Each extension point is shown by one small change, and that change works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.command import REPOSITORY

EXAMPLES = REPOSITORY / "examples" / "extending"
COPIED = ("rescaling_core", "tasks", "flows", "tests", "pyproject.toml")

TOUCHED = {"network": 2, "codec": 2, "measure": 2, "storage": 2, "job": 4}
"""Source files that each change adds or edits; the empty `__init__.py` of a folder not counted."""


def test_every_change_is_listed() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/edits.toml")} == TOUCHED.keys()


@pytest.mark.slow
@pytest.mark.parametrize("change", sorted(TOUCHED))
def test_the_change_touches_few_files_and_works(change: str, tmp_path: Path) -> None:
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "fixtures", "frozen_outputs.json")
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path / name)
    touched = _apply(EXAMPLES / change, tmp_path)
    assert len(touched) == TOUCHED[change], touched
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / change / "check.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith("ok"), done.stderr[-3000:]
    lint = [sys.executable, "-m", "ruff", "check", *sorted(touched)]
    checked = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def _apply(change: Path, project: Path) -> set[str]:
    """Make a change in a copy of the project; the files that it adds or edits."""
    added = change / "add"
    new = {
        path.relative_to(added).as_posix() for path in added.rglob("*.py") if path.stat().st_size
    }
    assert not [name for name in new if (project / name).exists()], "it adds, it does not replace"
    shutil.copytree(added, project, dirs_exist_ok=True)
    edited = set()
    for edit in tomllib.loads((change / "edits.toml").read_text("utf-8"))["edit"]:
        path = project / edit["file"]
        text = path.read_text("utf-8")
        assert text.count(edit["find"]) == 1, f"{edit['file']}: {edit['find']!r} is not there once"
        path.write_text(text.replace(edit["find"], edit["replace"]), "utf-8")
        edited.add(edit["file"])
    return new | edited
