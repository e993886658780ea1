"""One bad object is its own outcome in every job; a store that fails for a while stops the step."""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.plan import plan_costs
from tasks.catalog import Archived
from tasks.collection.shards import Shard, SourceObject
from tasks.jobs.archive.worker import ConversionJob, ShardConverter
from tasks.jobs.backfill.steps import gaps_of
from tasks.jobs.backfill.worker import Backfiller, BackfillJob
from tasks.jobs.rebuild.steps import LrFile, row_of
from tasks.jobs.rebuild.tally import Unreadable
from tasks.jobs.report.previews import show
from tasks.jobs.restore.requests import NotRestored, RestorationJob
from tasks.jobs.restore.worker import Restorer
from tasks.jobs.retire.worker import Claim, Unproven, Verifier
from tasks.jobs.scrub.repair import NotRepaired, Repairer
from tasks.jobs.scrub.worker import Check, Inspector
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import StorageError
from tasks.storage.local import LocalStore
from tests.rows import error_of, reason_of
from tests.small_archive import SmallArchive, copied, small_archive

pytestmark = pytest.mark.usefixtures("one_thread")

COUNT = 3
"""Photographs of the collection; the second is the bad one."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    small_archive(str(root), root, COUNT)
    return root


@pytest.fixture
def made(template: Path, tmp_path: Path) -> SmallArchive:
    return copied(template, tmp_path)


@dataclass(frozen=True)
class Outcome:
    """What a job said of one source."""

    bad: bool
    said: str


Job = Callable[[SmallArchive], list[Outcome]]
"""Works on all photographs of an archive, those it cannot do anything about included."""


def _archive(made: SmallArchive) -> list[Outcome]:
    plan = build_plan(PlanOptions(targets=("long-edge=16",)))
    job = ConversionJob(
        source_url=made.source_url, archive_url=made.archive_url, plan=plan, run_id="run-2"
    )
    sources = [
        SourceObject(key=row.source_key, size=row.source_size, etag=row.source_etag)
        for row in made.rows()
    ]
    shard = Shard.of(sources, targets=plan.target_names, plan_digest=plan.digest)
    rows = ShardConverter(job).convert(shard).rows
    return [
        Outcome(row.state == "quarantined", f"{error_of(row)}: {reason_of(row)}") for row in rows
    ]


def _backfill(made: SmallArchive) -> list[Outcome]:
    plan = build_plan(PlanOptions(targets=("long-edge=16",)))
    job = BackfillJob(
        source_url=made.source_url, archive_url=made.archive_url, plan=plan, run_id="run-2"
    )
    filled = Backfiller(job).fill(list(gaps_of(made.catalog, plan)))
    return [Outcome(False, "") for _ in filled.rows] + [
        Outcome(True, failure.reason) for failure in filled.failures
    ]


def _restore(made: SmallArchive) -> list[Outcome]:
    job = RestorationJob(
        archive_url=made.archive_url,
        destination_url=f"{made.archive_url}-restored",
        overwrite=False,
    )
    results = [Restorer(job).restore(request) for request in made.requests()[0]]
    return [Outcome(isinstance(one, NotRestored), getattr(one, "reason", "")) for one in results]


def _scrub(made: SmallArchive) -> list[Outcome]:
    checks = [Check(row, restore=True) for row in made.rows()]
    found = {item.lr_key: item.reason for item in Inspector(made.archive_url).inspect(checks)}
    return [Outcome(row.lr_key in found, found.get(row.lr_key, "")) for row in made.rows()]


def _repair(made: SmallArchive) -> list[Outcome]:
    repairer = Repairer(made.source_url, made.archive_url, "run-2")
    results = [repairer.repair(row) for row in made.rows()]
    return [Outcome(isinstance(one, NotRepaired), getattr(one, "reason", "")) for one in results]


def _retire(made: SmallArchive) -> list[Outcome]:
    verifier = Verifier(made.source_url, made.archive_url)
    results = [
        verifier.verify(
            Claim(
                source=SourceObject(key=row.source_key, size=row.source_size, etag=row.source_etag),
                rows=(row,),
            )
        )
        for row in made.rows()
    ]
    return [Outcome(isinstance(one, Unproven), getattr(one, "reason", "")) for one in results]


def _rebuild(made: SmallArchive) -> list[Outcome]:
    results = [
        row_of(made.archive, LrFile(row.place), shard_id="s", run_id="run-2")
        for row in made.rows()
        if isinstance(row, Archived)
    ]
    return [Outcome(isinstance(one, Unreadable), getattr(one, "reason", "")) for one in results]


def _report(made: SmallArchive) -> list[Outcome]:
    results = [show(made.archive, row) for row in made.rows()]
    return [Outcome(one.refusal is not None, one.refusal or "") for one in results]


def _plan(made: SmallArchive) -> list[Outcome]:
    options = {"mine": PlanOptions(targets=("long-edge=16",))}
    costs = plan_costs(made.source_url, options, sample=COUNT).plans[1]
    bad = costs.quarantined
    return [Outcome(True, "")] * bad + [Outcome(False, "")] * (costs.sampled - bad)


OF_SOURCES: dict[str, Job] = {
    "archive": _archive,
    "backfill": _backfill,
    "repair": _repair,
    "retire": _retire,
    "plan": _plan,
}
OF_LR_OBJECTS: dict[str, Job] = {
    "restore": _restore,
    "scrub": _scrub,
    "rebuild": _rebuild,
    "report": _report,
}
JOBS = OF_SOURCES | OF_LR_OBJECTS

FORESEEN_BY_NOBODY = (
    ValueError("a value"),
    OverflowError("a number"),
    MemoryError(),
    struct.error("too short"),
    RecursionError("too deep"),
    zlib.error("no stream"),
    KeyError("a key"),
    IndexError("an index"),
    AssertionError("impossible"),
    UnicodeDecodeError("ascii", b"\xff", 0, 1, "a byte"),
)


@pytest.fixture
def failing(
    made: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, BaseException], None]:
    """Lets what is read of the second photograph, or of its LR object, raise an error."""
    real, real_version = LocalStore.get, LocalStore.get_version
    row = made.rows()[1]

    def fail(job: str, error: BaseException) -> None:
        key = row.source_key if job in OF_SOURCES else row.lr_key

        def get(store: LocalStore, asked: str) -> bytes:
            if asked == key:
                raise error
            return real(store, asked)

        def get_version(store: LocalStore, asked: str, etag: str) -> bytes:
            if asked == key:
                raise error
            return real_version(store, asked, etag)

        monkeypatch.setattr(LocalStore, "get", get)
        monkeypatch.setattr(LocalStore, "get_version", get_version)

    return fail


@pytest.mark.parametrize("job", JOBS)
def test_a_store_that_fails_for_a_while_is_no_outcome(
    job: str, made: SmallArchive, failing: Callable[[str, BaseException], None]
) -> None:
    failing(job, StorageError("503 slow down", retryable=True))
    with pytest.raises(StorageError, match="503"):
        JOBS[job](made)


@pytest.mark.parametrize("job", JOBS)
def test_a_store_that_refuses_everything_is_no_outcome(
    job: str, made: SmallArchive, failing: Callable[[str, BaseException], None]
) -> None:
    failing(job, StorageError("no space left on device"))
    with pytest.raises(StorageError, match="no space"):
        JOBS[job](made)


@pytest.mark.unexpected
@pytest.mark.parametrize("job", JOBS)
def test_what_nobody_foresaw_is_the_outcome_of_one_object(
    job: str,
    made: SmallArchive,
    failing: Callable[[str, BaseException], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for error in FORESEEN_BY_NOBODY:
        caplog.clear()
        failing(job, error)
        with caplog.at_level(logging.ERROR):
            outcomes = JOBS[job](made)
        assert sorted(one.bad for one in outcomes) == [False] * (COUNT - 1) + [True], error
        name = type(error).__name__
        if job != "plan":  # which counts, and names nobody
            assert [name in one.said for one in outcomes if one.bad] == [True]
        assert any(name in record.message for record in caplog.records)


@pytest.mark.parametrize("job", JOBS)
def test_an_interruption_is_never_an_outcome(
    job: str, made: SmallArchive, failing: Callable[[str, BaseException], None]
) -> None:
    failing(job, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        JOBS[job](made)


@pytest.mark.parametrize("job", [job for job in JOBS if job != "backfill"])
def test_an_object_that_may_not_be_read_is_its_own_outcome(job: str, made: SmallArchive) -> None:
    row = made.rows()[1]
    base, key = (
        (made.source_url, row.source_key) if job in OF_SOURCES else (made.archive_url, row.lr_key)
    )
    path = Path(base) / key
    # No permission stops root. A link that leads out is not followed; `plan` draws no sample of it.
    if os.geteuid() == 0:
        path.unlink()
        path.symlink_to("/proc/self/mem")
    else:
        path.chmod(0)
    outcomes = JOBS[job](made)
    drawn = job != "plan" or not path.is_symlink()
    assert sorted(one.bad for one in outcomes) == [False] * (COUNT - 1) + [True] * drawn
