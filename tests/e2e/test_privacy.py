"""Nothing that Refold does or uses tells anybody of it, or leaves files where none are expected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import REPOSITORY, Refold, write_photographs
from tests.small_archive import small_archive

pytestmark = pytest.mark.slow

WATCHER = REPOSITORY / "tests" / "servers" / "alone.py"
VARIABLES = ("DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED", "RAY_USAGE_STATS_ENABLED")


def _watched(log: Path) -> tuple[str, ...]:
    """What runs a command with all that it sends written down."""
    silent = [part for name in VARIABLES for part in ("--unset", name)]
    return ("env", *silent, "unshare", "-rn", sys.executable, str(WATCHER), str(log))


def _networks_can_be_made() -> bool:
    probe = [*_watched(Path(os.devnull))[-5:], "true"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


needs_a_network = pytest.mark.skipif(
    not _networks_can_be_made(), reason="this kernel lets nobody make a network of their own"
)


@needs_a_network
def test_the_watcher_sees_what_is_sent(tmp_path: Path) -> None:
    log = tmp_path / "sent"
    code = "import socket; socket.socket(socket.AF_INET, 2).sendto(b'x', ('192.0.2.7', 53))"
    subprocess.run([*_watched(log), sys.executable, "-c", code], check=True)
    assert log.read_text() == "udp 192.0.2.7:53\n"


SERVING = """
import json, signal, subprocess, sys
from urllib.request import urlopen
command = [sys.executable, "-m", "flows.cli", "serve", sys.argv[1], "--port", "0"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
    url = serving.stdout.readline().split()[-1]
    (one,) = json.load(urlopen(url + "/v1/renditions"))["renditions"]
    for path in ("/readyz", "/pages/archive", one["links"]["lr"], one["links"]["hr"]):
        with urlopen(path if path.startswith("http") else url + path) as answer:
            assert answer.status == 200, path
    serving.send_signal(signal.SIGTERM)
"""
"""Starts the service and asks it for a page, an LR file and a restored image."""


@needs_a_network
def test_the_service_sends_nothing_but_its_answers(tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "sent"
    home.mkdir()
    made = small_archive(str(tmp_path), tmp_path, count=1)
    subprocess.run(
        [*_watched(log), sys.executable, "-c", SERVING, made.archive_url],
        cwd=REPOSITORY,
        env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": ""},
        check=True,
        timeout=200,
    )
    assert log.read_text() == ""
    _check_home(home)


@needs_a_network
@pytest.mark.parametrize("job", ["archive and restore", "train", "import"])
def test_nothing_is_sent_and_nothing_is_left_at_home(tmp_path: Path, job: str) -> None:
    home, photos, log = tmp_path / "home", tmp_path / "photos", tmp_path / "sent"
    home.mkdir()
    write_photographs(photos, 2)
    refold = Refold({"HOME": str(home), "XDG_CACHE_HOME": ""})
    archive, dest = str(tmp_path / "archive"), str(tmp_path / "out")
    runs = {
        "archive and restore": (
            ("archive", str(photos), archive, "--target", "x2"),
            ("restore", archive, dest, "--all"),
        ),
        "train": (
            (
                *("train", "--config", "irn-x2-lite", "--data", str(photos), "--out", dest),
                *("--steps", "1", "--validation", str(photos)),
            ),
        ),
        "import": (),
    }
    for arguments in runs[job]:
        ran = refold(*arguments, under=_watched(log), timeout=550)
        assert ran.code == 0, ran.err
        assert log.read_text() == ""
    if job == "import":
        code = "import rescaling_core.engine, openvino, ray, prefect, torch, flows.archive"
        environment = {**os.environ, "HOME": str(home), "MPLCONFIGDIR": str(tmp_path)}
        subprocess.run(
            [*_watched(log), sys.executable, "-c", code],
            cwd=REPOSITORY,
            env=environment,
            check=True,
        )
        assert log.read_text() == ""
    _check_home(home)


def _check_home(home: Path) -> None:
    """Hold what was written there against what the docs say."""
    cache = home / ".cache" / "refold"
    left = [path for path in home.rglob("*") if path.is_file() and cache not in path.parents]
    assert left == []
