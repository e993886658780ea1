"""Many processes commit to one catalog at once: every row once, on files and on S3."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from tasks.catalog import CatalogRow, RunRecord, delta, open_catalog
from tasks.catalog.absent import NOTHING_KNOWN, Absent
from tasks.storage import open_store
from tests.rows import row
from tests.servers.proxy import proxy

pytestmark = pytest.mark.slow

SHARDS, STEP, LENGTH = 6, 5, 10
"""Shard n holds keys STEP·n to STEP·n + LENGTH: neighbours share half of theirs."""
EXPECTED = (STEP * (SHARDS - 1) + LENGTH) * 2
BEFORE = 40
"""Rows that are there before, whose keys lie between those of the shards."""


@pytest.fixture(params=["local", "moto", pytest.param("radosgw", marks=pytest.mark.radosgw)])
def url(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "archive")
    return request.getfixturevalue(f"{request.param}_url") + "/archive"


def rows_of(shard: int, run: str, etag: str = "e1") -> list[CatalogRow]:
    return [
        row(
            f"photos/{number:04}.png",
            target,
            source_etag=etag,
            shard_id=f"shard-{shard}",
            run_id=run,
        )
        for number in range(STEP * shard, STEP * shard + LENGTH)
        for target in ("x2", "x4")
    ]


def commit_all(url: str, run: str, start: float) -> None:
    """What each racing process does: make the catalog, commit all shards in an order of its own.

    Each has planned before it commits, and uses what it has seen for every second shard.
    """
    delta.COMPACT_EVERY = 2  # compaction races too
    catalog = open_catalog(open_store(url))
    files = catalog.files
    there = {row.source_key for row in catalog.rows()}
    order = list(range(SHARDS))
    random.Random(run).shuffle(order)
    time.sleep(max(0.0, start - time.time()))
    for shard in order:
        rows = rows_of(shard, run)
        new = frozenset(row.source_key for row in rows) - there
        known = NOTHING_KNOWN if shard % 2 else Absent(new, files)
        catalog.commit_shards([(f"shard-{shard}", rows)], absent=known)


def _fill(url: str) -> None:
    """Give the catalog files that range over the keys of the shards."""
    catalog = open_catalog(open_store(url))
    for turn in range(4):
        numbers = range(turn, BEFORE, 4)
        catalog.commit_shard(f"{turn}", [row(f"photos/{number:04}.jpg") for number in numbers])


def _start(url: str, run: str, start: float) -> subprocess.Popen[bytes]:
    code = (
        "from tests.integration.test_catalog_races import commit_all;"
        f"commit_all({url!r}, {run!r}, {start!r})"
    )
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "RUST_BACKTRACE": "0"})


def _check_every_row_is_there_once(url: str) -> None:
    rows = Counter((row.source_key, row.target) for row in open_catalog(open_store(url)).rows())
    assert [name for name, count in rows.items() if count > 1] == []
    assert len(rows) == EXPECTED + BEFORE


def test_racing_runs_with_overlapping_shards_leave_every_row_once(url):
    _fill(url)
    start = time.time() + 3
    racers = [_start(url, f"run-{number}", start) for number in range(4)]
    assert [racer.wait(120) for racer in racers] == [0] * 4
    _check_every_row_is_there_once(url)


def test_racing_runs_killed_at_random_and_started_again_leave_every_row_once(tmp_path):
    url = str(tmp_path / "archive")
    _fill(url)
    moments = random.Random(7)
    for round_ in range(3):
        racers = [_start(url, f"run-{round_}-{number}", 0.0) for number in range(2)]
        time.sleep(moments.uniform(1.0, 2.5))
        for racer in racers:
            racer.send_signal(signal.SIGKILL)
            racer.wait()
    assert _start(url, "last", 0.0).wait(120) == 0
    _check_every_row_is_there_once(url)


def test_a_commit_whose_answer_was_lost_is_committed_once(moto, moto_url, monkeypatch):
    lost: list[str] = []

    def faults(method: str, path: str):
        wanted = method == "PUT" and "_delta_log" in path and path not in lost and len(lost) < 4
        if wanted and not path.split("?")[0].endswith("00000000000000000000.json"):
            lost.append(path)
            return "lost answer"
        return None

    with proxy(moto, faults=faults) as flaky:
        monkeypatch.setenv("AWS_ENDPOINT_URL", flaky.url)
        catalog = open_catalog(open_store(f"{moto_url}/archive"))
        for shard in range(3):
            catalog.commit_shard(f"shard-{shard}", rows_of(shard, "run"))
        now = next(catalog.rows()).committed_at
        zeros = dict.fromkeys(("listed", "archived", "kept", "quarantined", "unchanged"), 0) | {
            "source_bytes": 0,
            "stored_bytes": 0,
        }
        run = RunRecord(
            run_id="run", job="archive", started_at=now, finished_at=now, software="refold",
            parameters_json="{}", **zeros,
        )  # fmt: skip
        catalog.record_run(run)
        assert catalog.runs() == [run]
        counts = Counter((row.source_key, row.target) for row in catalog.rows())
    assert len(lost) == 4
    assert set(counts.values()) == {1}
    assert len(counts) == (STEP * 2 + LENGTH) * 2
