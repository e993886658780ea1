"""The worker pool on a real Ray: every job ends once, whatever its worker does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from rescaling_core.errors import UsageError
from tasks.cluster.pool import worker_pool
from tasks.cluster.processes import ProcessPool
from tasks.cluster.slots import WorkerSlots, photos_at_once, worker_slots
from tasks.cluster.workers import Lost, Workers, WorkerStartError, closing
from tasks.cluster.workplace import is_small
from tasks.storage import StorageError
from tests.command import REPOSITORY
from tests.integration.squarer import Squarer

SLOTS = WorkerSlots(count=2, cpus=1, gpus=0)

Pool = Callable[..., AbstractContextManager[Workers[Any, Any]]]


@pytest.fixture(params=[pytest.param(one, marks=pytest.mark.slow) for one in ("ray", "processes")])
def pool_of(request: pytest.FixtureRequest) -> Pool:
    """Makes two workers, on Ray or as processes of this machine: they keep the same promises."""
    if request.param == "ray":
        request.getfixturevalue("ray_local")
        return worker_pool
    return lambda *arguments: closing(ProcessPool(*arguments))


def test_every_job_comes_back_even_if_a_worker_dies_once(pool_of: Pool, tmp_path: Path) -> None:
    with pool_of(Squarer, "work", (str(tmp_path),), SLOTS) as pool:
        assert sorted(pool.run(range(12))) == [n * n for n in range(12)]
        assert (tmp_path / "died").exists()


def test_a_job_that_hangs_is_lost_with_the_time_it_took(
    pool_of: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFOLD_SECONDS_PER_IMAGE", "0.9")
    with pool_of(Squarer, "work", (str(tmp_path),), SLOTS) as pool:
        results = list(pool.run([1, 66, 2, 3]))
        assert sorted(one for one in results if isinstance(one, int)) == [1, 4, 9]
        (lost,) = [one for one in results if isinstance(one, Lost)]
        assert lost.job == 66
        assert "longer than it may" in lost.reason


def test_a_job_that_kills_its_worker_again_is_lost_and_the_others_are_not(
    pool_of: Pool, tmp_path: Path
) -> None:
    with pool_of(Squarer, "work", (str(tmp_path),), SLOTS) as pool:
        results = list(pool.run([1, 2, 13, 3, 4]))
        lost = [result for result in results if isinstance(result, Lost)]
        assert [result.job for result in lost] == [13]
        assert "died" in lost[0].reason
        assert sorted(r for r in results if not isinstance(r, Lost)) == [1, 4, 9, 16]
        assert list(pool.run([5])) == [25]


def test_no_job_is_blamed_for_workers_that_died_before_they_had_one(
    pool_of: Pool, tmp_path: Path
) -> None:
    with pool_of(Squarer, "where", (str(tmp_path),), SLOTS) as pool:
        for _ in range(2):
            for process in set(pool.run(range(6))):
                os.kill(process, signal.SIGKILL)
            assert not any(isinstance(result, Lost) for result in pool.run([1]))
            assert len(set(pool.run(range(60)))) == 2


@pytest.mark.usefixtures("ray_local")
@pytest.mark.parametrize(("number", "kind"), [(99, StorageError), (98, UsageError)])
def test_what_a_worker_raises_arrives_as_it_was(
    pool_of: Pool, tmp_path: Path, number: int, kind: type[Exception]
) -> None:
    with pool_of(Squarer, "work", (str(tmp_path),), SLOTS) as pool:
        with pytest.raises(kind) as caught:
            list(pool.run([1, number]))
        assert getattr(caught.value, "retryable", False) == (number == 99)


def test_a_worker_that_cannot_start_says_why_and_no_job_is_blamed(pool_of: Pool) -> None:
    with (
        pytest.raises(WorkerStartError, match="no such folder"),
        pool_of(Squarer, "work", ("/nowhere",), SLOTS) as pool,
    ):
        list(pool.run([1]))


@pytest.mark.usefixtures("ray_local")
def test_workers_that_found_no_room_join_when_there_is_some(tmp_path: Path) -> None:
    """Of two CPUs one is taken at first; there is never room for the third worker."""
    holder = ray.remote(Squarer).options(num_cpus=1).remote(str(tmp_path))
    assert ray.get(holder.work.remote(2)) == 4
    slots = WorkerSlots(count=1, cpus=1, gpus=0, more=2)
    with worker_pool(Squarer, "where", (str(tmp_path),), slots) as pool:
        assert len(set(pool.run(range(3)))) == 1

        def jobs() -> Iterator[int]:
            """They end once a second worker has come, or never will."""
            ray.kill(holder)
            for number in range(600):
                if len(seen) > 1:
                    return
                yield number

        seen: set[int] = set()
        for process in pool.run(jobs()):
            seen.add(process)
        assert len(seen) == 2


def test_a_run_within_a_run_takes_the_workers_that_are_free(pool_of: Pool, tmp_path: Path) -> None:
    with pool_of(Squarer, "work", (str(tmp_path),), SLOTS) as pool:
        outer = pool.run(range(8, 12))
        first = next(outer)
        assert sorted(pool.run([1, 2, 3])) == [1, 4, 9]
        assert sorted([first, *outer]) == [64, 81, 100, 121]


def test_workers_are_of_use_again_after_a_run_was_given_up(pool_of: Pool, tmp_path: Path) -> None:
    with pool_of(Squarer, "work", (str(tmp_path),), SLOTS) as pool:
        for _ in range(3):
            with pytest.raises(StorageError):
                list(pool.run([99, 99, 99, 99]))
        assert sorted(pool.run(range(4))) == [0, 1, 4, 9]


@pytest.mark.usefixtures("ray_local")
def test_workers_share_the_cpus_there_are() -> None:
    assert worker_slots().count == 2
    assert worker_slots(cpus_per_worker=2).count == 1
    assert worker_slots().at_most(1).count == 1


@pytest.mark.usefixtures("ray_local")
def test_the_environment_says_how_much_a_worker_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFOLD_CPUS_PER_WORKER", "2")
    assert worker_slots().count == 1
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 16, "GPU": 2})
    assert worker_slots() == WorkerSlots(count=2, cpus=8, gpus=1)
    assert worker_slots(encoders=10) == WorkerSlots(count=2, cpus=3, gpus=1)
    assert photos_at_once(worker_slots()) > photos_at_once(WorkerSlots(2, 1, 0)) > 1
    monkeypatch.setenv("REFOLD_GPUS_PER_WORKER", "0.25")
    assert worker_slots() == WorkerSlots(count=8, cpus=2, gpus=0.25)
    assert worker_slots(encoders=13) == WorkerSlots(count=3, cpus=1, gpus=0.25)
    with pytest.raises(UsageError, match="REFOLD_ENCODERS"):
        worker_slots(encoders=16)


@pytest.mark.usefixtures("ray_local")
def test_the_environment_sets_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 4})
    monkeypatch.setenv("REFOLD_WORKERS", "3")
    assert worker_slots() == WorkerSlots(count=3, cpus=1, gpus=0)
    monkeypatch.setenv("REFOLD_WORKERS", "9")
    slots = worker_slots()
    assert slots == WorkerSlots(count=4, cpus=1, gpus=0, more=5)
    assert [slots.at_most(jobs).most for jobs in (0, 3, 6, 20)] == [1, 3, 6, 9]
    monkeypatch.setenv("REFOLD_PHOTOS_AT_ONCE", "5")
    assert photos_at_once(slots) == 5


@pytest.mark.slow
def test_worker_processes_end_with_a_command_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import time
from tasks.cluster.processes import ProcessPool
from tasks.cluster.slots import WorkerSlots
from tests.integration.squarer import Squarer

pool = ProcessPool(Squarer, "where", ({str(tmp_path)!r},), WorkerSlots(2, 1, 0))
print(*set(pool.run(range(8))), flush=True)
time.sleep(600)
"""
    command = subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    workers = [psutil.Process(int(pid)) for pid in command.stdout.readline().split()]
    assert len(workers) == 2
    command.kill()
    command.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive


@pytest.mark.slow
def test_a_script_that_starts_worker_processes_is_not_run_again_in_them(tmp_path: Path) -> None:
    """It may call a flow at its top level, as scripts do."""
    script = tmp_path / "nightly.py"
    script.write_text(
        f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
print("begun")
from tasks.cluster.processes import ProcessPool
from tasks.cluster.slots import WorkerSlots
from tests.integration.squarer import Squarer

pool = ProcessPool(Squarer, "work", ({str(tmp_path)!r},), WorkerSlots(1, 1, 0))
print(*pool.run([3]))
pool.close()
"""
    )
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stdout.split() == ["begun", "9"]


@pytest.mark.slow
def test_a_closed_pool_leaves_no_process_and_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    pool: ProcessPool[int, int] = ProcessPool(Squarer, "where", (str(tmp_path),), SLOTS)
    workers = [psutil.Process(pid) for pid in set(pool.run(range(8)))]
    assert len(workers) == 2
    pool.close()
    assert set(threading.enumerate()) == before
    assert not any(worker.is_running() for worker in workers)


def test_a_small_run_does_without_ray_unless_it_is_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.cluster.workplace._is_in_ray", lambda: False)
    monkeypatch.setattr("tasks.cluster.workplace._has_gpu", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("REFOLD_SMALL_RUN", raising=False)
    assert is_small(16)
    assert not is_small(17)
    monkeypatch.setenv("REFOLD_SMALL_RUN", "0")
    assert not is_small(1)
    monkeypatch.setenv("REFOLD_SMALL_RUN", "100")
    assert is_small(100)
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert not is_small(1)
