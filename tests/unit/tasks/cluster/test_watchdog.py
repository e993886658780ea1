"""A worker that hangs is ended from outside the thread that hangs."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tasks.cluster.watchdog import Watchdog, allowed_seconds

HANGS = {
    "native code that holds Python's lock": "re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "native code that lets other threads run": "time.sleep(10**6)",
    "Python that never ends": "while True: pass",
    "a lock that nobody gives back": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
}


def _run(code: str) -> subprocess.CompletedProcess[str]:
    frame = """
        import re, threading, time
        from tasks.cluster.watchdog import WATCHDOG
    """
    script = textwrap.dedent(frame) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("name", HANGS)
def test_what_hangs_is_ended(name: str) -> None:
    ended = _run(f"with WATCHDOG.watching(0.5):\n    {HANGS[name]}\nprint('went on')")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "Timeout" in ended.stderr  # and where every thread was


def test_the_shortest_time_counts_and_others_go_on_after_it() -> None:
    ended = _run(
        """
        with WATCHDOG.watching(1000):
            with WATCHDOG.watching(500):
                pass
            with WATCHDOG.watching(0.5):
                time.sleep(0.01)
            time.sleep(1)  # which the one that ended no longer limits
        time.sleep(0.1)
        print("went on")
        """
    )
    assert (ended.returncode, ended.stdout) == (0, "went on\n")


def test_one_that_hangs_beside_another_is_ended() -> None:
    ended = _run(
        """
        def other():
            with WATCHDOG.watching(1000):
                time.sleep(1000)
        threading.Thread(target=other, daemon=True).start()
        time.sleep(0.2)
        with WATCHDOG.watching(0.5):
            time.sleep(1000)
        """
    )
    assert ended.returncode == 1


def test_the_time_grows_with_the_pixels_and_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFOLD_SECONDS_PER_IMAGE", "10")
    monkeypatch.setenv("REFOLD_SECONDS_PER_MEGAPIXEL", "2")
    assert allowed_seconds(0) == 10
    assert allowed_seconds(24_000_000) == 58
    assert allowed_seconds(24_000_000, at_once=2) == 116


def test_an_error_ends_the_watching() -> None:
    watchdog = Watchdog()
    with pytest.raises(ValueError, match="no"), watchdog.watching(1000):
        raise ValueError("no")
    with watchdog.watching(1000):
        pass
