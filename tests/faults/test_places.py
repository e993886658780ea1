"""Places that refuse: a home that cannot be written, a store in which nobody may delete."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flows.cli.exits import Exit
from tasks.storage.probe import PROBE_FOLDER
from tests.command import Refold, RefoldHere
from tests.faults.undisturbed import Undisturbed, read_rows
from tests.servers.endpoint import S3Endpoint
from tests.servers.proxy import Fault, proxy

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_a_home_that_cannot_be_written_is_done_without(
    tmp_path: Path, all_here: RefoldHere, fourteen: Undisturbed
) -> None:
    """It hung for minutes and then blamed a time-out. As a mount, since root may write anywhere."""
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel lets nobody mount a file system of their own")
    home, archive = tmp_path / "home", tmp_path / "archive"
    home.mkdir()
    locked = Refold({"HOME": str(home), "XDG_CACHE_HOME": ""})  # and a server of its own
    script = 'mount -t tmpfs -o ro,size=4k tmpfs "$HOME" && exec "$@"'
    ran = locked(*fourteen.arguments(archive), under=("unshare", "-rm", "sh", "-c", script, "sh"))
    assert ran.code == Exit.QUARANTINE, ran.err
    (said,) = [line for line in ran.err.splitlines() if line.startswith("refold: ")]
    assert "cannot be written" in said
    assert str(home) in said
    assert "XDG_CACHE_HOME" in said
    fourteen.check(all_here, archive)


def test_a_store_in_which_nobody_may_delete_holds_an_archive(
    all_here: RefoldHere, fourteen: Undisturbed, moto: S3Endpoint
) -> None:
    """The probe of the store could not be removed, so that nothing was archived there."""

    def refuse(method: str, path: str) -> Fault | None:
        return "403" if method == "DELETE" or (method == "POST" and "?delete" in path) else None

    bucket = moto.new_bucket()
    archive = f"s3://{bucket}/archive"
    left = []
    with proxy(moto, faults=refuse) as server:
        within = all_here.within(server.environment)
        for code in (Exit.QUARANTINE, Exit.DONE):  # the second finds nothing new
            ran = within(*fourteen.arguments(archive))
            assert ran.code == code, ran.err
            fourteen.check_rows(read_rows(within, archive))
            probes = f"archive/{PROBE_FOLDER}/"
            listed = moto.client().list_objects_v2(Bucket=bucket, Prefix=probes)
            left.append(listed["KeyCount"])
    assert left[0] == left[1], "each run left more"
