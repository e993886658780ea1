"""Rules, dashboard and documentation name metrics that the program has, and no others."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
import yaml

from tests.command import REPOSITORY
from tests.servers.prometheus import HOW_TO, promtool
from tests.unit.infra.metric_names import named_in, of_the_program

INFRA = REPOSITORY / "infra"


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((INFRA / "prometheus" / "rules.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


@pytest.fixture(scope="module")
def known(rules: list[dict[str, Any]]) -> set[str]:
    return of_the_program() | {rule["record"] for rule in rules if "record" in rule}


def test_every_rule_asks_for_metrics_that_there_are(
    rules: list[dict[str, Any]], known: set[str]
) -> None:
    for rule in rules:
        asked = named_in(rule["expr"])
        assert asked, rule
        assert asked <= known, asked - known
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert rule["annotations"].keys() == {"summary", "action"}


def test_every_panel_asks_for_metrics_that_there_are(known: set[str]) -> None:
    dashboard = json.loads((INFRA / "grafana" / "dashboards" / "refold.json").read_text())
    shown: set[str] = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            asked = named_in(target["expr"])
            assert asked, panel["title"]
            assert asked <= known, asked - known
            shown |= asked
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert shown


def test_counts_that_alerts_look_for_are_counts_of_their_jobs(
    rules: list[dict[str, Any]],
) -> None:
    from tasks.jobs.archive.tally import ArchiveTally
    from tasks.jobs.scrub.tally import ScrubTally

    words = {"archive": ArchiveTally().words(), "scrub": ScrubTally().words()}
    asked = {
        pair
        for rule in rules
        for pair in re.findall(r'\{flow="(\w+)", count="(\w+)"\}', rule["expr"])
    }
    assert len(asked) == 3
    for job, count in asked:
        assert count in {word.replace(" ", "_") for word in words[job]}


def test_the_table_in_the_documentation_has_every_metric_and_no_other() -> None:
    page = (REPOSITORY / "docs" / "operations" / "watch.md").read_text()
    named = set(re.findall(r"^\| `((?:ray_)?refold_\w+?)(?:\{[\w, ]*\})?` \|", page, re.MULTILINE))
    suffixes = ("_bucket", "_sum", "_count")
    metrics = {name for name in of_the_program() if not name.endswith(suffixes)}
    histograms = {name.removesuffix("_bucket") for name in of_the_program() if "_bucket" in name}
    assert named == metrics | histograms


@pytest.mark.slow
def test_promtool_takes_rules_and_configuration_and_every_alert_fires_when_it_should() -> None:
    if os.environ.get("REFOLD_NO_PROMETHEUS") == "1":
        pytest.skip(f"REFOLD_NO_PROMETHEUS=1 is set. {HOW_TO}")
    folder = INFRA / "prometheus"
    for command in (
        ("check", "rules", folder / "rules.yml"),
        ("check", "config", folder / "prometheus.yml"),
        ("test", "rules", folder / "rules_test.yml"),
    ):
        done = promtool(*command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_is_tried(rules: list[dict[str, Any]]) -> None:
    tried = (INFRA / "prometheus" / "rules_test.yml").read_text()
    for rule in rules:
        assert (rule.get("alert") or rule["record"]) in tried, rule
