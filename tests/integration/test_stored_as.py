"""How LR files are stored where no plan says so: an archive goes on as it began."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rescaling_core.plan import ArchivePlan
from tasks.catalog import Catalog
from tasks.plans.options import PlanOptions, build_plan
from tasks.renditions import stored_as
from tasks.renditions.stored_as import PACKED_FROM, settle_storage
from tasks.storage import Store, open_store
from tests.rows import row

PREVIEW = '[[targets]]\ntarget = "long-edge={side}"\n'


@pytest.fixture(params=["local", "moto"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return open_store(str(tmp_path))
    return open_store(str(request.getfixturevalue("moto_url")))


def _plan(*sides: int, store: str | None = None) -> ArchivePlan:
    stated = f'store = "{store}"\n' if store else ""
    text = "".join(PREVIEW.format(side=side) + stated for side in sides)
    return build_plan(PlanOptions(plan_toml=text))


def _stores(plan: ArchivePlan) -> list[str | None]:
    return [one.store for one in plan.targets]


def _archived(archive: Store, target: str, *, packed: bool) -> None:
    """What a run commits of one source."""
    catalog = Catalog(archive)
    catalog.create()
    pack = f"packs/{target}/a.tar" if packed else None
    if pack is not None:
        archive.put(pack, b"a pack")
    catalog.commit_shard("s", [row(target=target, pack_key=pack, pack_offset=512)])


def test_a_new_archive_follows_the_size_of_its_collection(archive: Store) -> None:
    plan, catalog = _plan(8, 16), Catalog(archive)
    assert _stores(plan) == [None, None]
    small = settle_storage(plan, PACKED_FROM - 1, catalog)
    assert (_stores(small.plan), small.reason) == (["objects", "objects"], None)
    large = settle_storage(plan, PACKED_FROM, catalog)
    assert _stores(large.plan) == ["packs", "packs"]
    assert large.reason is not None
    assert "long-edge=8, long-edge=16: in packs, since there are 1,000,000" in large.reason


@pytest.mark.parametrize("store", ["objects", "packs"])
def test_a_plan_that_says_it_wins(archive: Store, store: str) -> None:
    plan = _plan(8, store=store)
    for packed in (None, True, False):
        if packed is not None:
            _archived(archive, "long-edge=8", packed=packed)
        found = settle_storage(plan, 2 * PACKED_FROM, Catalog(archive))
        assert (found.plan, found.reason) == (plan, None)


def test_an_archive_of_objects_stays_one_however_it_grows(archive: Store) -> None:
    _archived(archive, "long-edge=8", packed=False)
    found = settle_storage(_plan(8, 16), 2 * PACKED_FROM, Catalog(archive))
    assert (_stores(found.plan), found.reason) == (["objects", "objects"], None)


def test_an_archive_of_packs_stays_one_however_little_is_new(archive: Store) -> None:
    _archived(archive, "long-edge=8", packed=True)
    _archived(archive, "long-edge=16", packed=False)
    found = settle_storage(_plan(8, 16, 24), 3, Catalog(archive))
    assert _stores(found.plan) == ["packs", "objects", "packs"]
    assert found.reason is not None
    assert "long-edge=8, long-edge=24: in packs, as the archive has them" in found.reason


def test_what_is_settled_makes_no_source_one_to_look_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.renditions import circumstances

    monkeypatch.setattr(stored_as, "PACKED_FROM", 1)
    plan = _plan(8)
    settled = settle_storage(plan, 1, Catalog(open_store(str(tmp_path)))).plan
    assert _stores(settled) == ["packs"]
    assert circumstances.of_run(settled) == circumstances.of_run(plan)
    assert replace(settled.targets[0], store=None) == plan.targets[0]
