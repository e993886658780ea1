"""What a failed command says: one line for people, one value for programs, and an exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.cli.exits import Exit
from tests.command import REPOSITORY, Ran, Refold, RefoldHere, write_photographs
from tests.small_archive import small_archive

pytestmark = pytest.mark.slow


def _only_line(ran: Ran) -> str:
    """The one line that is said, but for the progress bar."""
    lines = [line for line in ran.err.splitlines() if line.strip() and "━" not in line]
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("refold: ")
    assert "internal error" not in lines[0]
    return lines[0]


def _check_json(ran: Ran, kind: str) -> None:
    error = ran.json["error"]
    assert error["kind"] == kind
    assert error["exit_code"] == ran.code
    assert f"refold: {error['message']}" in ran.err


def test_an_error_inside_a_flow_is_one_line_too(tmp_path: Path, refold: Refold) -> None:
    """It came after two tracebacks of Prefect's."""
    write_photographs(tmp_path / "photos", 1)
    (tmp_path / "file").write_text("not a folder")
    ran = refold("archive", str(tmp_path / "photos"), str(tmp_path / "file" / "archive"), "--json")
    assert ran.code == Exit.FAILED
    assert "a file lies where a folder should be" in _only_line(ran)
    _check_json(ran, "StorageError")
    told = refold("archive", str(tmp_path / "photos"), str(tmp_path / "file" / "a"), "--verbose")
    assert "Traceback" in told.err


def test_an_emptied_collection_is_not_a_good_night(tmp_path: Path, all_here: RefoldHere) -> None:
    made = small_archive(str(tmp_path), tmp_path, count=1)
    for path in (tmp_path / "photos").rglob("*.png"):
        path.unlink()
    ran = all_here("archive", made.source_url, made.archive_url, "--json")
    assert ran.code == Exit.EMPTIED
    assert "--allow-empty" in _only_line(ran)
    _check_json(ran, "EmptiedSourceError")
    meant = all_here("archive", made.source_url, made.archive_url, "--allow-empty", "--json")
    assert meant.code == Exit.DONE, meant.err
    assert meant.json["listed"] == 0


@pytest.mark.parametrize("page", ["docs/operations.md", "README.md"])
def test_the_documents_have_every_exit_code(page: str) -> None:
    text = (REPOSITORY / page).read_text()
    told = set(map(int, re.findall(r"^\| `(\d+)` \|", text, re.MULTILINE)))
    assert told == set(Exit)
