"""What a worker has freed goes back to the system, and not too often."""

from __future__ import annotations

import platform

import psutil
import pytest

from tasks.cluster import memory, watchdog
from tasks.cluster.memory import EVERY, FreeMemory
from tasks.cluster.watchdog import Watchdog


def test_it_is_given_back_once_a_second_at_most() -> None:
    now, given = [100.0], []
    free = FreeMemory(lambda: given.append(now[0]), clock=lambda: now[0])
    for after in (0.5, 0.6, 0.1, 1.5):
        now[0] += EVERY * after
        free.give_back()
    assert given == pytest.approx([100 + 1.1 * EVERY, 100 + 2.7 * EVERY])


def test_an_image_that_is_done_gives_back_what_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    free = FreeMemory(lambda: calls.append("given back"), clock=iter((0.0, 9.0)).__next__)
    monkeypatch.setattr(watchdog, "FREE_MEMORY", free)
    with Watchdog().watching(60):
        assert calls == []
    assert calls == ["given back"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_holes_between_what_is_used_go_back_to_the_system() -> None:
    blocks = [bytearray(b"x" * 65_536) for _ in range(4_000)]
    used = blocks[::8]
    del blocks
    before = psutil.Process().memory_info().rss
    memory.FreeMemory(memory._trim_of_malloc(), clock=iter((0.0, 9.0)).__next__).give_back()
    assert before - psutil.Process().memory_info().rss > 100 * 2**20
    assert len(used) == 500
