"""The deployments of infra/prefect.yaml: a real server on PostgreSQL, and a process worker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.command import REPOSITORY
from tests.servers.postgres import prefects_database
from tests.servers.prefect import Deployed, deployed
from tests.servers.processes import tail
from tests.small_archive import SmallArchive, small_archive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SOON = timedelta(seconds=15)
PATIENCE = 240.0
"""Seconds for a run to be scheduled, picked up and finished."""

TELL = """
import time
from tasks.control.events import DAMAGE, emit_event
for _ in range(100):
    emit_event(DAMAGE, {"prefect.resource.id": "refold.run.01"})
    time.sleep(5)
"""
"""Tells of damage again and again, should the server not have taken up the automation yet."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    """One photo archived, and two that the nightly run is to find."""
    root = tmp_path_factory.mktemp("deployed")
    made = small_archive(str(root), root, 1)
    data = made.source.get(made.rows()[0].source_key)
    for name in ("new/a.png", "new/b.png"):
        made.source.put(name, data)
    return made


@pytest.fixture(scope="module")
def prefect(made: SmallArchive) -> Iterator[Deployed]:
    with prefects_database() as database:
        variables = {
            "REFOLD_SOURCE": made.source_url,
            "REFOLD_ARCHIVE": made.archive_url,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        }
        with deployed(REPOSITORY, variables) as running:
            yield running


def _finished(prefect: Deployed, client: Any, run_ids: list[UUID]) -> list[Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        runs = [client.read_flow_run(run_id) for run_id in run_ids]
        if all(run.state.is_final() for run in runs):
            return runs
        assert time.monotonic() < deadline, tail(prefect.worker_log, 40)
        time.sleep(1)


def _first_scheduled(prefect: Deployed, client: Any, deployment_id: UUID) -> UUID:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
    deadline = time.monotonic() + PATIENCE
    while True:
        runs = client.read_flow_runs(deployment_filter=wanted)
        due = [run for run in runs if run.expected_start_time - datetime.now(UTC) < 4 * SOON]
        if due:
            first: UUID = min(due, key=lambda run: run.expected_start_time).id
            return first
        assert time.monotonic() < deadline, "the schedule made no run"
        time.sleep(1)


def test_each_deployment_runs_on_a_worker_and_one_by_its_schedule(
    made: SmallArchive, prefect: Deployed, tmp_path: Path
) -> None:
    from prefect.client.schemas.actions import DeploymentUpdate
    from prefect.client.schemas.schedules import IntervalSchedule

    with prefect.client() as client:  # type: ignore[attr-defined]
        names = ["archive/nightly", "backfill/weekly-backfill", "scrub/weekly-scrub"]
        nightly, backfill, scrub = map(client.read_deployment_by_name, names)
        on_demand = client.read_deployment_by_name("restore/on-demand")
        maintain = client.read_deployment_by_name("maintain/weekly-maintain")
        crons = [[s.schedule.cron for s in d.schedules] for d in (nightly, backfill, scrub)]
        assert crons == [["0 2 * * *"], ["0 4 * * 0"], ["0 6 * * 0"]]
        assert on_demand.schedules == []

        plan = {**nightly.parameters, "options": {"targets": ["x2"]}}  # and leave the backfill work
        client.update_deployment(nightly.id, DeploymentUpdate(parameters=plan))
        for schedule in nightly.schedules:  # in its place, one that is due at once
            client.delete_deployment_schedule(nightly.id, schedule.id)
        soon = IntervalSchedule(
            interval=4 * SOON, anchor_date=datetime.now(UTC) + SOON, timezone="UTC"
        )
        (schedule,) = client.create_deployment_schedules(nightly.id, [(soon, True)])
        (archived,) = _finished(prefect, client, [_first_scheduled(prefect, client, nightly.id)])
        assert archived.state.is_completed(), archived.state.message
        assert archived.auto_scheduled
        client.delete_deployment_schedule(nightly.id, schedule.id)
        assert sorted(row.source_key for row in made.rows()) == [
            "new/a.png",
            "new/b.png",
            "roll 0/photo 0.png",
        ]
        (page,) = Path(made.archive_url).glob("reports/*/index.html")
        left = client.read_artifacts()
        (link,) = (one.data for one in left if (one.key or "").startswith("report-page-"))
        assert page.as_uri() in str(link)

        out = tmp_path / "out"
        for deployment, parameters in [
            (backfill, {}),
            (scrub, {"parts": 1}),
            (maintain, {"dry_run": True}),
            (on_demand, {"dest": str(out), "keys": ["new/*"]}),
        ]:  # one after another: each starts a Ray of its own
            started = client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
            (run,) = _finished(prefect, client, [started.id])
            assert run.state.is_completed(), run.state.message
        assert {row.target for row in made.rows()} == {"x2", "long-edge=256"}
        runs = {(run.job, run.archived, run.quarantined) for run in made.catalog.runs()}
        assert runs >= {("archive", 2, 0), ("backfill", 3, 0), ("scrub", 0, 0)}
        assert sorted(path.name for path in out.rglob("*.png")) == ["a.png", "b.png"]


def test_automations_are_made_once_and_pause_retire_where_damage_was_found(
    prefect: Deployed,
) -> None:
    script = str(REPOSITORY / "infra" / "automations.py")
    twice = f"import runpy; [runpy.run_path({script!r}, run_name='__main__') for _ in range(2)]"
    said = prefect.python("-c", twice).splitlines()
    assert [line.split(":")[0] for line in said] == ["created"] * 3 + ["replaced"] * 3
    with prefect.client() as client:  # type: ignore[attr-defined]
        names = {one.name for one in client.read_automations()}
        assert names == {line.split(": ", 1)[1] for line in said}
        assert client.read_deployment_by_name("retire/weekly-proof").paused is False

        deadline = time.monotonic() + PATIENCE
        teller = subprocess.Popen(
            [sys.executable, "-c", TELL], cwd=REPOSITORY, env=prefect.environment
        )
        try:
            while not client.read_deployment_by_name("retire/weekly-proof").paused:
                assert teller.poll() is None, "it cannot be told"
                assert time.monotonic() < deadline, "nobody acted on the event"
                time.sleep(1)
        finally:
            teller.kill()
            teller.wait()
        assert client.read_deployment_by_name("archive/nightly").paused is False
