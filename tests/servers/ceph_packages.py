"""Debian's Ceph packages, unpacked beside the tests: nothing is installed on the system."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import ServerError

PACKAGES = ("radosgw", "ceph-osd", "ceph-mon")
PROGRAMS = ("radosgw", "radosgw-admin", "ceph-osd", "ceph-mon", "monmaptool", "osdmaptool")
CACHE = Path(__file__).parents[2] / ".cache" / "ceph"

HOW_TO = (
    "The integration tests run against Ceph's object gateway, a real S3 server. Its programs are "
    f"fetched with apt-get from Debian or Ubuntu into {CACHE} (about 70 MB) and run from there. "
    "Where that does not work, install them yourself (Debian, Ubuntu: `apt-get install "
    f"--no-install-recommends {' '.join(PACKAGES)}`), or set REFOLD_NO_RADOSGW=1 to leave these "
    "tests out."
)


def ceph_root() -> Path:
    """The folder that has Ceph in `usr/bin`: `/` if it is installed, else our own copy.

    Raises:
        ServerError: The packages cannot be had; the message says what to install.
    """
    if all(shutil.which(program) for program in PROGRAMS):
        return Path("/")
    CACHE.mkdir(parents=True, exist_ok=True)
    root, complete = CACHE / "root", CACHE / "complete"
    with _locked(CACHE / "lock"):
        if not complete.exists():
            shutil.rmtree(root, ignore_errors=True)
            for package in _download():
                _run("dpkg", "--extract", str(package), str(root))
            shutil.rmtree(CACHE / "archives")
            complete.touch()
    return root


def _download() -> list[Path]:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise ServerError(f"apt-get and dpkg are not here. {HOW_TO}")
    archives = CACHE / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    options = [
        f"-oDir::Cache={CACHE}",
        f"-oDir::Cache::archives={archives}",
        "-oDebug::NoLocking=true",  # only a download: needs no right to install
        f"-oAPT::Sandbox::User={'root' if os.geteuid() == 0 else ''}",
    ]
    install = ["install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES]
    try:
        _run("apt-get", *options, *install)
    except ServerError:  # no package lists, or old ones: fetch our own
        (CACHE / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        options.append(f"-oDir::State::lists={CACHE / 'lists'}")
        _run("apt-get", *options, "update")
        _run("apt-get", *options, *install)
    return sorted(archives.glob("*.deb"))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise ServerError(f"{command[0]} failed: {reason}\n{HOW_TO}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one test run at a time unpack."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
