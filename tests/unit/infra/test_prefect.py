"""Every job has a deployment, and every deployment says what its flow takes."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule

from tasks.control.events import DAMAGE, QUARANTINE, event_of
from tests.command import REPOSITORY

FILE = REPOSITORY / "infra" / "prefect.yaml"
NOT_DEPLOYED = {"demo", "evaluate", "plan", "train"}
"""What one does by hand, before there is an archive or beside it."""


@pytest.fixture(scope="module")
def deployments() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["deployments"]
    return found


def _flow(deployment: dict[str, Any]) -> Flow[..., Any]:
    path, name = deployment["entrypoint"].split(":")
    flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(flow, Flow)
    return flow


def test_every_job_has_a_deployment(deployments: list[dict[str, Any]]) -> None:
    jobs = {
        path.stem
        for path in (REPOSITORY / "flows").glob("*.py")
        if "\n@flow(" in path.read_text() and path.stem not in NOT_DEPLOYED
    }
    assert {_flow(one).name for one in deployments} == jobs


def test_parameters_are_those_of_the_flow(deployments: list[dict[str, Any]]) -> None:
    for one in deployments:
        flow, given = _flow(one), one["parameters"]
        known = flow.parameters.properties
        assert given.keys() <= known.keys(), one["entrypoint"]
        left = set(flow.parameters.required) - given.keys()
        assert left <= {"dest"}, f"{one['entrypoint']}: {left} have to be given with each run"
        texts = {key: re.sub(r"\{\{.*\}\}", "s3://bucket", value) for key, value in given.items()
                 if isinstance(value, str)}  # fmt: skip
        flow.validate_parameters({**dict.fromkeys(left, "x"), **given, **texts})


def test_names_schedules_and_limits_are_sound(deployments: list[dict[str, Any]]) -> None:
    names = [(_flow(one).name, one["name"]) for one in deployments]
    assert len(set(names)) == len(names)
    for one in deployments:
        assert one["tags"] == ["refold"], "the automations go by it"
        for schedule in one.get("schedules", ()):
            CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
            assert one["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}


def test_no_deployment_deletes_a_source_by_itself(deployments: list[dict[str, Any]]) -> None:
    (retire,) = (one for one in deployments if _flow(one).name == "retire")
    assert retire["parameters"]["dry_run"] is True
    assert [schedule["active"] for schedule in retire["schedules"]] == [False]


@pytest.mark.parametrize(
    ("job", "counts", "event"),
    [
        ("scrub", {"checked": 100, "findings": 1}, DAMAGE),
        ("scrub", {"checked": 100, "findings": 0}, None),
        ("archive", {"listed": 1000, "unchanged": 100, "quarantined": 10}, QUARANTINE),
        ("archive", {"listed": 1000, "unchanged": 0, "quarantined": 10}, None),
        ("archive", {"listed": 20, "unchanged": 0, "quarantined": 9}, None),
        ("restore", {"findings": 3, "quarantined": 50}, None),
    ],
)
def test_a_run_tells_prefect_of_damage_and_of_much_in_quarantine(
    job: str, counts: dict[str, int], event: str | None
) -> None:
    assert event_of(job, counts) == event


def test_the_counts_that_events_go_by_are_those_of_the_jobs() -> None:
    from tasks.jobs.archive.tally import ArchiveTally
    from tasks.jobs.scrub.tally import ScrubTally

    assert {"listed", "unchanged", "quarantined"} <= ArchiveTally().words().keys()
    assert "findings" in ScrubTally().words()
