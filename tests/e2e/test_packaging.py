"""The wheel: the same bytes every time, and enough by itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from rescaling_core import __version__
from tests.command import REPOSITORY, write_photographs

pytestmark = [pytest.mark.slow]

ROOMS = {"flows", "rescaling_core", "tasks"}


def _build(out: Path, umask: int) -> Path:
    done = subprocess.run(
        [REPOSITORY / "infra" / "build.sh", out],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        umask=umask,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob("*.whl")
    (_,) = out.glob("*.tar.gz")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"), 0o022)


def test_two_builds_are_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    time.sleep(2.1)  # the times in a zip file are even seconds
    assert _build(tmp_path / "again", 0o077).read_bytes() == wheel.read_bytes()


def test_the_wheel_has_what_runs_and_what_types_it_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        (top_level,) = (name for name in names if name.endswith("top_level.txt"))
        assert set(opened.read(top_level).decode().split()) == ROOMS
    packed = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in packed} == ROOMS
    tracked = subprocess.run(
        ["git", "ls-files", *sorted(ROOMS)], cwd=REPOSITORY, capture_output=True, text=True
    ).stdout.splitlines()
    assert packed == set(tracked)
    assert {f"{room}/py.typed" for room in ROOMS} <= packed


def test_the_page_about_releases_says_how_large_the_wheel_is(wheel: Path) -> None:
    page = (REPOSITORY / "docs" / "upgrade.md").read_text()
    (said,) = re.findall(r"wheel has (\d+\.\d) MB", page)
    assert abs(wheel.stat().st_size / 1e6 - float(said)) < 1.0


class _Clean:
    """An environment with the wheel in it, and the dependencies of this one."""

    def __init__(self, folder: Path, wheel: Path, environment: Mapping[str, str]) -> None:
        venv.create(folder, with_pip=False)
        self._bin, self._folder = folder / "bin", folder
        self._environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONPATH"
        } | dict(environment)
        pip = [sys.executable, "-m", "pip", "--python", self._bin / "python", "install"]
        subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", wheel], check=True)
        # Only now, or pip would see the checkout that is installed beside them. The files by
        # which that is found are not read from here.
        (site,) = folder.glob("lib/python*/site-packages")
        (there,) = {path for path in sys.path if path.endswith("/site-packages")}
        (site / "dependencies.pth").write_text(there)

    def __call__(self, program: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [self._bin / program, *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_what_was_installed_from_the_wheel_archives_and_restores_without_the_checkout(
    wheel: Path, tmp_path: Path, prefect_server: str
) -> None:
    clean = _Clean(tmp_path / "clean", wheel, {"PREFECT_API_URL": prefect_server})
    where = "import flows, tasks, rescaling_core as r; print(flows.__path__, tasks.__path__, r)"
    assert str(REPOSITORY) not in clean("python", "-c", where)
    assert clean("refold", "--version") == f"refold {__version__}\n"

    photos, archive, out = (tmp_path / name for name in ("photos", "archive", "out"))
    keys = write_photographs(photos, 1)
    clean("refold", "archive", photos, archive, "--report")
    clean("refold", "restore", archive, out, "--all")
    assert [path.relative_to(out).as_posix() for path in out.rglob("*.png")] == keys
