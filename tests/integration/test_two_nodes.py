"""Two Ray nodes share a run; one is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.two_nodes import IMAGES

REPO = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.integration.two_nodes"]
    folder = tmp_path_factory.mktemp("two")
    run = subprocess.run(
        [*command, str(folder)], cwd=REPO, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "outcome.json").read_text("utf-8"))
    return found


def test_a_node_killed_in_the_middle_loses_nothing_though_its_worker_never_returns(
    outcome: dict[str, Any],
) -> None:
    assert (outcome["workers"], outcome["nodes"], outcome["alive"]) == (2, 2, 1)
    assert outcome["begun"] == outcome["shards"] + 1  # what the node had begun was begun again
    assert outcome["sources"] == IMAGES
    assert len(outcome["rows"]) == len(set(outcome["rows"])) == IMAGES


def test_workers_count_what_they_do_where_prometheus_reads_it(outcome: dict[str, Any]) -> None:
    metrics = outcome["metrics"]
    assert 0 < metrics["ray_refold_sources_total"] <= IMAGES
    for name in ("megapixels", "bytes_read", "bytes_written", "bytes_saved", "candidates_tried"):
        assert metrics[f"ray_refold_{name}_total"] > 0
    network, all_of_it = (
        metrics[f"ray_refold_{name}_seconds_total"] for name in ("network", "busy")
    )
    assert 0 < network < all_of_it
    assert metrics["ray_refold_bytes_written_total"] < metrics["ray_refold_bytes_read_total"]
    assert metrics["ray_refold_candidates_chosen_total"] > 0
    assert {"ray_refold_reads_waiting", "ray_refold_network_waiting"} <= set(metrics)
