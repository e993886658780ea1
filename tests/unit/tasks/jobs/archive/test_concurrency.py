"""What bounds the photos of a worker: their number, their pixels, the one network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.jobs.archive.concurrency import Headroom, NetworkLane, at_once

PATIENCE = 60


@given(st.lists(st.integers(), max_size=30), st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_results_come_in_the_order_of_the_items(items: list[int], count: int) -> None:
    assert at_once(lambda item: item * 2, items, count) == [item * 2 for item in items]


def test_as_many_as_asked_for_are_under_way_and_no_more_are_taken() -> None:
    together = Barrier(3)
    lock = Lock()
    taken = done = 0
    ahead = []

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(12):
            with lock:
                taken += 1
                ahead.append(taken - done)
            yield item

    def work(item: int) -> int:
        nonlocal done
        together.wait(PATIENCE)  # breaks unless three come together
        with lock:
            done += 1
        return item

    assert at_once(work, items(), 3) == list(range(12))
    assert max(ahead) == 3


def test_an_error_ends_it_and_no_more_is_begun() -> None:
    begun = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 2:
            raise OSError("the store is gone")

    with pytest.raises(OSError, match="gone"):
        at_once(work, range(100), 2)
    assert len(begun) < 10


@given(st.lists(st.integers(1, 150), min_size=1, max_size=20))
@settings(deadline=None, max_examples=20)
def test_photos_together_never_have_more_pixels_than_there_is_room_for(sizes: list[int]) -> None:
    room, lock = Headroom(100), Lock()
    held: list[int] = []
    worst: list[int] = []

    def hold(size: int) -> None:
        with room.taken(size):
            with lock:
                held.append(size)
                worst.append(sum(held) if len(held) > 1 else 0)
            time.sleep(0)
            with lock:
                held.remove(size)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hold, sizes))
    assert max(worst) <= 100


def test_a_photo_larger_than_all_room_goes_alone() -> None:
    room = Headroom(100)
    inside, leave = Event(), Event()

    def large() -> None:
        with room.taken(10**9):
            inside.set()
            assert leave.wait(PATIENCE)

    def small() -> None:
        with room.taken(1):
            assert leave.is_set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(large)
        assert inside.wait(PATIENCE)
        second = pool.submit(small)
        leave.set()
        first.result()
        second.result()


def test_a_large_photo_is_not_passed_by_small_ones_for_ever() -> None:
    """It came second: only those before it go first."""
    room, lock = Headroom(10), Lock()
    first_in, go = Event(), Event()
    order: list[int] = []

    def take(size: int) -> None:
        with room.taken(size):
            if size == 4:
                first_in.set()
                assert go.wait(PATIENCE)
            with lock:
                order.append(size)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(take, 4)]
        assert first_in.wait(PATIENCE)
        futures.append(pool.submit(take, 10))
        while len(room._line) < 1:
            time.sleep(0.001)
        futures += [pool.submit(take, 1) for _ in range(8)]
        go.set()
        for future in futures:
            future.result(PATIENCE)
    assert order[:2] == [4, 10]


class Noted:
    """What a lane tells of itself."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.busy = 0.0

    def network_waiting(self, count: int) -> None:
        self.waiting.append(count)

    def network_busy(self, seconds: float) -> None:
        self.busy += seconds


def test_one_at_a_time_is_on_the_network_and_the_metrics_say_so() -> None:
    noted = Noted()
    lane = NetworkLane(noted)
    inside = 0

    def pass_through(_: int) -> int:
        nonlocal inside
        with lane:
            inside += 1
            seen = inside
            time.sleep(0.01)
            inside -= 1
        return seen

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(pass_through, range(8))) == [1] * 8
    assert noted.busy >= 0.08
    assert max(noted.waiting) > 1
    assert noted.waiting[-1] == 0
    assert lane.waited() == 0  # of this thread, which was never there


def test_a_thread_knows_how_long_it_waited_for_its_turns() -> None:
    lane = NetworkLane(Noted())
    inside, leave = Event(), Event()

    def hold() -> None:
        with lane:
            inside.set()
            assert leave.wait(PATIENCE)

    def wait_for_it() -> float:
        with lane:
            return lane.waited()

    with ThreadPoolExecutor(2) as pool:
        pool.submit(hold)
        assert inside.wait(PATIENCE)
        waited = pool.submit(wait_for_it)
        time.sleep(0.05)
        leave.set()
        assert waited.result(PATIENCE) > 0.01


def test_the_lane_is_free_again_after_an_error() -> None:
    noted = Noted()
    lane = NetworkLane(noted)
    with pytest.raises(ValueError, match="no"), lane:
        raise ValueError("no")
    with lane:
        pass
    assert noted.waiting == [1, 0, 1, 0]
