"""Debian's Ceph packages."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.servers.debian import CACHE, DebianPackages

PACKAGES = ("radosgw", "ceph-osd", "ceph-mon")
PROGRAMS = ("radosgw", "radosgw-admin", "ceph-osd", "ceph-mon", "monmaptool", "osdmaptool")

HOW_TO = (
    "The integration tests run against Ceph's object gateway, a real S3 server. Its programs are "
    f"fetched with apt-get from Debian or Ubuntu into {CACHE / 'ceph'} (about 70 MB) and run from "
    "there. Where that does not work, install them yourself (Debian, Ubuntu: `apt-get install "
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
    return DebianPackages(CACHE / "ceph", PACKAGES, HOW_TO).root()
