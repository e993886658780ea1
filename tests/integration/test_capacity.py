"""The formulas of docs/capacity.md, held against runs at their small end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks.catalog import open_catalog
from tasks.storage import open_store
from tests.command import RefoldHere, photograph

pytestmark = pytest.mark.slow

FIRST, MORE = 5, 40
"""Sources of a run, and how many more the next one has: what both take does not depend on N."""

FOLDERS = {"opening": 2, "first": FIRST, "second": FIRST + MORE}
"""The run that makes an archive sends some requests that no later one does."""

PLAN = """
[[targets]]
target = "x2"
candidates = [{ rescaler = "bicubic", codec = "webp", quality = 80 }]

[[targets]]
target = "long-edge=64"
"""
TARGETS = 2


@pytest.fixture
def collection(moto_url: str, tmp_path: Path) -> str:
    store = open_store(f"{moto_url}/photos")
    names = [f"{folder}/{number:03}.png" for folder, n in FOLDERS.items() for number in range(n)]
    for number, name in enumerate(names):
        path = tmp_path / "photo.png"
        photograph("coffee", 80, 80, 3 * number, 2 * number).save(path)
        store.put(name, path.read_bytes())
    return f"{moto_url}/photos"


def near(measured: float, stated: float) -> bool:
    return abs(measured - stated) <= 0.1 * stated


def more(first: Any, second: Any, kind: str) -> int:
    return int(second["s3_requests"][kind] - first["s3_requests"][kind])


def shards_of(archive: str) -> Counter[str]:
    """How many shards each run committed."""
    catalog = open_catalog(open_store(archive))
    columns = ("run_id", "shard_id")
    found = {tuple(row.values()) for b in catalog.batches(columns=columns) for row in b.to_pylist()}
    return Counter(run_id for run_id, _ in found)


def test_runs_send_and_store_what_the_formulas_say(
    collection: str, moto_url: str, tmp_path: Path, all_here: RefoldHere
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    archive = f"{moto_url}/archive"

    def told(*arguments: str) -> Any:
        ran = all_here(*arguments, "--json")
        assert ran.code == 0, ran.err
        return ran.json

    stated = told("plan", collection, "--plan", str(plan), "--sample", "20")
    (estimated,) = (one for one in stated["plans"] if one["plan"] != "as it is")

    runs = [
        told("archive", collection, archive, "--plan", str(plan), "--include", f"{folder}/*")
        for folder in FOLDERS
    ]
    assert [run["archived"] for run in runs] == list(FOLDERS.values())
    _, first, second = runs
    shards = shards_of(archive)
    more_shards = shards[second["run_id"]] - shards[first["run_id"]]
    assert more_shards < MORE / 5
    assert near(more(first, second, "read"), MORE + more_shards)
    assert near(more(first, second, "write"), TARGETS * MORE)
    assert more(first, second, "list") == 0, "one listing for each thousand keys"
    assert near(sum(run["stored_bytes"] for run in runs), estimated["stored_bytes"])
