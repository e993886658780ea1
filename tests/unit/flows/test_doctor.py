"""`refold doctor` names what is not as it should be, and what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import places
from flows.cli.app import run
from flows.cli.exits import Exit
from tests.command import REPOSITORY


def _found(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}


def test_a_sound_machine_and_store_are_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = str(tmp_path / "archive")
    assert run(["doctor", archive, "--write", "--quick", "--json"]) == Exit.DONE
    found = _found(capsys)
    assert found["python"]["state"] == "ok"
    assert "AMX" in found["processor"]["detail"]
    assert "bfloat16" in found["processor"]["detail"]
    assert found["codec avif"]["state"] == "ok"
    assert "CPU" in found["openvino"]["detail"]
    assert found[f"{archive}: writes"]["state"] == "ok"
    assert not any(path.is_file() for path in Path(archive).rglob("*")), "the probe is removed"


def test_what_is_wrong_is_named_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    bad = str(tmp_path / "file" / "archive")
    assert run(["doctor", bad, "--write", "--quick", "--json"]) == Exit.FAILED
    found = _found(capsys)
    assert "not a folder" in found["cache"]["detail"]
    assert "XDG_CACHE_HOME" in found["cache"]["advice"]
    assert found[f"{bad}: writes"]["state"] == "failed"


def test_folders_that_cannot_be_written_are_found_without_making_any(tmp_path: Path) -> None:
    """As another user: root may write anywhere."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o755)
    code = (
        "import os, sys; from pathlib import Path; from flows.cli.places import refused;"
        "os.getuid() or (os.setgid(65534), os.setuid(65534));"
        "print(refused(Path(sys.argv[1]) / 'home' / '.cache'))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(locked)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    if os.getuid() == 0:
        assert "not writable" in ran.stdout
    assert places.refused(tmp_path / "new" / "folder") is None
    assert not (tmp_path / "new").exists()
