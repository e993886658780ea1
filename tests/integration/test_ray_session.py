"""A Ray of our own is private to its user, on loopback alone, and gone afterwards."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def _run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    without = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=without | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def test_a_local_ray_is_private_and_leaves_nothing(tmp_path: Path) -> None:
    ran = _run(
        """
        import os, psutil, ray, subprocess, sys
        from tasks.cluster.session import ray_session

        ASK = "import sys; from ray._raylet import GcsClient; " + (
            "GcsClient(address=sys.argv[1]).internal_kv_keys(b'', namespace=None, timeout=30)"
        )
        with ray_session():
            assert ray.get(ray.remote(lambda: 1).remote()) == 1
            me = psutil.Process()
            for process in (me, *me.children(recursive=True)):
                for one in process.net_connections(kind="inet"):
                    if one.status == psutil.CONN_LISTEN:
                        print("listens", process.name(), one.laddr.ip)
            print("folder", ray._private.worker._global_node.temp_dir)
            above = os.path.dirname(ray._private.worker._global_node.temp_dir)
            print("mode", oct(os.stat(above).st_mode))
            # Another user of this machine would have all but the token of the run.
            told = {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
            address = ray.get_runtime_context().gcs_address
            for token in ("0" * 64, os.environ["RAY_AUTH_TOKEN"]):
                asked = subprocess.run(
                    [sys.executable, "-c", ASK, address], capture_output=True,
                    env=told | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token},
                )
                print("answered", asked.returncode == 0)
        """,
        HOME=str(tmp_path),
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert [line for line in ran.stdout.splitlines() if line.startswith("answered")] == [
        "answered False",
        "answered True",
    ]
    said = [line.split() for line in ran.stdout.splitlines()]
    listening = {line[-1] for line in said if line[0] == "listens"}
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, ran.stdout
    (folder,) = [line[1] for line in said if line[0] == "folder"]
    (mode,) = [int(line[1], 8) for line in said if line[0] == "mode"]
    assert stat.S_IMODE(mode) == 0o700
    assert not Path(folder).parent.exists()
    assert not (tmp_path / ".ray").exists()


def test_a_cluster_that_does_not_answer_is_named_with_what_it_may_want() -> None:
    ran = _run(
        """
        from tasks.cluster.session import ClusterStartError, ray_session

        try:
            with ray_session():
                pass
        except ClusterStartError as error:
            print(error)
        """,
        RAY_ADDRESS="127.0.0.1:1",
    )
    assert ran.stdout.startswith("RAY_ADDRESS=127.0.0.1:1: "), ran.stderr[-2000:]
    assert "RAY_AUTH_MODE=token" in ran.stdout


def test_a_ray_that_does_not_start_says_what_was_too_slow() -> None:
    ran = _run(
        """
        import psutil
        from tasks.cluster.session import ClusterStartError, ray_session
        try:
            with ray_session():
                print("started")
        except ClusterStartError as error:
            print("refused", error)
        print("left", len(psutil.Process().children(recursive=True)))
        """,
        RAY_gcs_server_port_wait_time_s="0",
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.startswith("refused Ray did not start on this machine in 6 tries")
    assert "RAY_ADDRESS" in ran.stdout
    assert "try 6 of 6" in ran.stderr
    assert "left 0" in ran.stdout, "what a try left running slows the next one down"
