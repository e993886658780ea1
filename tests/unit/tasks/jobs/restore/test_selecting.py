"""What is chosen to restore a source from, and what is said where nothing can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescaling_core.errors import UsageError
from rescaling_core.plan import TRANSCODE
from tasks.catalog import Catalog, CatalogRow, open_catalog
from tasks.control.run import Wave
from tasks.jobs.restore.choosing import READ_AT_ONCE, Chosen, choose, requests_of
from tasks.jobs.restore.requests import NotRestored
from tasks.jobs.restore.steps import restore_wave
from tasks.storage import open_store
from tests.rows import row
from tests.small_archive import HerePool


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(open_store(str(tmp_path)))


def _row(key: str, target: str = "x2", psnr_y: float | None = 30.0, **values: object) -> CatalogRow:
    if values.get("state", "archived") == "archived":
        values = {"lr_key": f"{key} {target}", "metadata_json": f"of {key}"} | values
    return row(key, target, psnr_y=psnr_y, **values)


def test_the_best_rendition_of_each_source_is_taken(catalog: Catalog) -> None:
    catalog.commit_shard(
        "s",
        [
            _row("a.jpg"),
            _row("a.jpg", "x4", 35.0),
            _row("a.jpg", "x3", 50.0, origin="restored image"),
            _row("b.jpg", rescaler=TRANSCODE),
            _row("c.png", "x4"),
        ],
    )
    url = catalog.store.url
    chosen, missing = choose(url, (), None, None)
    assert missing == []
    requests = list(requests_of(catalog, chosen))
    assert [(one.source_key, one.place.lr_key, one.metadata_json) for one in requests] == [
        ("a.jpg", "a.jpg x4", "of a.jpg"),
        ("b.jpg", "b.jpg x2", "of b.jpg"),
        ("c.png", "c.png x4", "of c.png"),
    ]
    assert [one.output_key for one in requests] == ["a.jpg.png", "b.jpg", "c.png"]
    chosen, missing = choose(url, (), None, "x2")
    assert [(one.source_key, one.target) for one in chosen] == [("a.jpg", "x2"), ("b.jpg", "x2")]
    chosen, _ = choose(url, (), "psnr_y > 32", None)
    assert [one.source_key for one in chosen] == ["a.jpg"]


def test_for_every_key_asked_for_there_is_a_rendition_or_a_reason(catalog: Catalog) -> None:
    catalog.commit_shard(
        "s",
        [
            _row("fine [1].png"),
            _row("kept.png", state="kept", reason="not smaller"),
            _row("seen.png", "long-edge=64", None),
        ],
    )
    asked = ["fine [1].png", "kept.*", "seen.png", "gone.png", "g*", "f*", "gone.png"]
    chosen, missing = choose(catalog.store.url, asked, None, None)
    assert [one.source_key for one in chosen] == ["fine [1].png"]
    assert [(one.source_key, one.reason) for one in missing] == [
        ("kept.*", "kept (not smaller)"),
        ("seen.png", "only as long-edge=64"),
        ("gone.png", "not in the catalog"),
        ("g*", "not in the catalog"),
    ]
    with pytest.raises(UsageError, match="preview"):
        choose(catalog.store.url, (), None, "long-edge=64")


def test_metadata_of_many_are_read_in_parts_and_what_vanished_is_told(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert READ_AT_ONCE > 100
    monkeypatch.setattr("tasks.jobs.restore.choosing.READ_AT_ONCE", 3)
    keys = [f"{number:02}.png" for number in range(8)]
    catalog.commit_shard("s", [_row(key, target) for key in keys for target in ("x2", "x4")])
    chosen, _ = choose(catalog.store.url, (), None, "x4")
    keys_read = [one.place.lr_key for one in requests_of(catalog, chosen)]
    assert keys_read == [f"{key} x4" for key in keys]
    gone = Chosen(source_key="gone.png", target="x4", output_key="gone.png")
    pool = HerePool(
        lambda request: NotRestored(source_key=request.source_key, reason="as a worker said")
    )
    tally = restore_wave.fn(Wave(1, [*chosen, gone]), catalog.store.url, pool)
    assert [(one.source_key, one.reason) for one in tally.refused] == [
        *((key, "as a worker said") for key in keys),
        ("gone.png", "its row left the catalog meanwhile"),
    ]


def _made_again_as_x4_only(catalog: Catalog) -> None:
    """x2 was archived of an earlier version of the source, x4 of the last one."""
    catalog.commit_shard("s", [_row("a.png", "x2", 60.0), _row("b.png", "x2", 60.0)])
    catalog.commit_shard("t", [_row("a.png", "x4", 30.0, source_etag="later")])


@pytest.mark.parametrize("where", [None, "psnr_y > 20", "target IN ('x2', 'x4')"])
def test_the_picture_of_an_earlier_version_is_not_taken_for_the_source(
    catalog: Catalog, where: str | None
) -> None:
    _made_again_as_x4_only(catalog)
    chosen, missing = choose(catalog.store.url, (), where, None)
    assert [(one.source_key, one.target) for one in chosen] == [("a.png", "x4"), ("b.png", "x2")]
    assert missing == []


@pytest.mark.parametrize(("where", "target"), [("target = 'x2'", None), (None, "x2")])
def test_asking_for_the_target_of_an_earlier_version_does_not_pass_it_off_as_the_last(
    catalog: Catalog, where: str | None, target: str | None
) -> None:
    _made_again_as_x4_only(catalog)
    chosen, missing = choose(catalog.store.url, ("a.png", "b.png"), where, target)
    assert [one.source_key for one in chosen] == ["b.png"]
    ((key, reason),) = [(one.source_key, one.reason) for one in missing]
    assert key == "a.png"
    assert "x2 is of an earlier version of it: --earlier restores that" in reason


def test_an_earlier_version_is_restored_if_the_last_one_cannot_be_and_that_is_asked_for(
    catalog: Catalog,
) -> None:
    bad = {"source_etag": "later", "reason": "it is cut off"}
    catalog.commit_shard("s", [_row("a.png", "x2"), _row("a.png", "x4", 20.0)])
    catalog.commit_shard("t", [_row("a.png", "x4", None, state="quarantined", **bad)])
    url = catalog.store.url
    chosen, missing = choose(url, ("a.png",), None, None)
    assert chosen == []
    assert "quarantined (it is cut off)" in missing[0].reason
    assert "--earlier" in missing[0].reason
    chosen, missing = choose(url, ("a.png",), None, None, earlier=True)
    assert [(one.source_key, one.target) for one in chosen] == [("a.png", "x2")]
    assert missing == []
