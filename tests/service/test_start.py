"""The command itself: it says where it listens, answers, and ends when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from urllib.request import urlopen

import pytest

from flows.service.ids import archive_names
from tests.every_rescaler import EveryRescaler

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "flows.cli", "serve"]


def test_it_serves_until_it_is_ended(every_rescaler: EveryRescaler) -> None:
    command = [*COMMAND, every_rescaler.url, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("serving on http://127.0.0.1:"), line
            url = line.split()[-1]
            with urlopen(f"{url}/readyz", timeout=60) as answer:
                assert answer.status == 200
            with urlopen(f"{url}/pages/archive", timeout=60) as answer:
                assert b"photo.png" in answer.read()
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode in (0, 143)
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["/no such archive"], "no archive there"),
        ([], "name an archive"),
        (["ARCHIVE", "--host", "0.0.0.0"], "nobody could read"),
        (["ARCHIVE", "--host", "203.0.113.7", "--anonymous"], "--host 203.0.113.7"),
        (["--new-key", "two words"], "a name is"),
    ],
)
def test_what_it_cannot_do_is_one_line_and_exit_code_2(
    every_rescaler: EveryRescaler, arguments: list[str], reason: str, capsys: pytest.CaptureFixture
) -> None:
    from flows.cli.app import run

    given = [every_rescaler.url if one == "ARCHIVE" else one for one in arguments]
    assert run(["serve", *given]) == 2
    said = capsys.readouterr().err
    assert reason in said.replace("\n", " ")


def test_archives_are_called_by_the_end_of_their_urls() -> None:
    urls = ["s3://a/photos/", "./photos", "/", "s3://b/é x.y", "s3://c/photos"]
    assert list(archive_names(urls)) == ["photos", "photos-2", "archive", "x-y", "photos-3"]
    assert list(archive_names(urls).values()) == urls
