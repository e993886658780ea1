"""What may be done with a source, whatever is recorded of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.plan import Floor
from tasks.catalog import CatalogRow, RunRecord
from tasks.catalog.history import floors_of
from tasks.catalog.journal import Entry, Event, Proof
from tasks.collection.shards import SourceObject
from tasks.jobs.retire.decisions import (
    MayGo,
    Stays,
    Terms,
    Waits,
    judge,
    last_moves,
    standing_marks,
)
from tests.rows import row

NOW = datetime(2026, 1, 31, tzinfo=UTC)
DAY = timedelta(days=1)
TERMS = Terms(archived_before=NOW - 30 * DAY, marked_before=NOW - 7 * DAY)
SOURCE = SourceObject(key="a.png", size=100, etag="one")


def _row(
    target: str = "x2",
    state: str = "archived",
    etag: str = "one",
    size: int = 100,
    days: float = 60,
    lr_key: str = "renditions/x2/a.png/d.png",
) -> CatalogRow:
    stored = {"lr_key": lr_key} if state == "archived" else {}
    return row(
        target=target,
        state=state,
        source_etag=etag,
        source_size=size,
        psnr_y=40.0 if target.startswith("x") else None,
        committed_at=NOW - days * DAY,
        **stored,
    )


def _entry(
    event: Event = "marked",
    days: float = 8,
    etag: str = "one",
    lr_keys: tuple[str, ...] = ("renditions/x2/a.png/d.png",),
) -> Entry:
    proofs = [
        Proof(
            target="x2",
            lr_key=lr_key,
            lr_sha256="d",
            lr_bytes=1,
            rescaler="r",
            weights_sha256="w",
            psnr_y=40.0,
            ssim_y=1.0,
            max_abs_error=3,
        )
        for lr_key in lr_keys
    ]
    return Entry(
        event=event,
        at=NOW - days * DAY,
        run_id="r",
        collection="/photos",
        source_key="a.png",
        source_etag=etag,
        source_size=100,
        source_sha256="s",
        proofs=tuple(proofs),
    )


@pytest.mark.parametrize(
    ("rows", "ground"),
    [
        ([], "never archived"),
        ([_row(state="kept")], "kept"),
        ([_row(), _row("x4", "kept")], "kept"),
        ([_row(), _row("long-edge=8", "quarantined")], "quarantined"),
        ([_row(etag="two")], "changed"),
        ([_row(size=99)], "changed"),
        ([_row(), _row("x4", etag="two")], "changed"),
        ([_row("long-edge=8")], "previews only"),
        ([_row(days=29)], "archived too recently"),
        ([_row(), _row("long-edge=8", days=1)], "archived too recently"),
    ],
)
def test_a_source_stays_on_any_of_these_grounds_marked_or_not(
    rows: list[CatalogRow], ground: str
) -> None:
    for mark in (None, _entry()):
        assert judge(SOURCE, rows, mark, TERMS) == Stays(ground)  # type: ignore[arg-type]


def test_a_mark_counts_after_its_grace_period_for_what_it_was_set_on() -> None:
    rows = (_row(), _row("long-edge=8"))
    assert judge(SOURCE, rows, None, TERMS) == MayGo(rows, None)
    young = _entry(days=6.9)
    assert judge(SOURCE, rows, young, TERMS) == Waits(young)
    old = _entry(days=7.1)
    assert judge(SOURCE, rows, old, TERMS) == MayGo(rows, old)
    for other in (_entry(etag="two"), _entry(lr_keys=("renditions/x2/a.png/e.png",))):
        assert judge(SOURCE, rows, other, TERMS) == MayGo(rows, None)
    both = (*rows, _row("x4", lr_key="renditions/x4/a.png/d.png"))
    assert judge(SOURCE, both, old, TERMS) == MayGo(both, None)  # x4 was never proven


rows_of_a_source = st.lists(
    st.builds(
        _row,
        target=st.sampled_from(["x2", "x4", "long-edge=8"]),
        state=st.sampled_from(["archived", "archived", "kept", "quarantined"]),
        etag=st.sampled_from(["one", "one", "two"]),
        size=st.sampled_from([100, 100, 99]),
        days=st.sampled_from([60, 60, 1]),
        lr_key=st.sampled_from(["a", "b"]),
    ),
    max_size=3,
    unique_by=lambda row: row.target,
)
entries = st.builds(
    _entry,
    event=st.sampled_from(["marked", "released", "deleting", "deleted"]),
    days=st.sampled_from([1, 8]),
    etag=st.sampled_from(["one", "two"]),
    lr_keys=st.sampled_from([("a",), ("b",), ()]),
)


@settings(deadline=None)
@given(rows_of_a_source, st.lists(entries, max_size=4))
def test_nothing_is_deleted_but_what_was_marked_as_it_is_long_ago(
    rows: list[CatalogRow], journal: list[Entry]
) -> None:
    mark = standing_marks(journal).get("a.png")
    verdict = judge(SOURCE, rows, mark, TERMS)
    if not isinstance(verdict, MayGo):
        return
    assert {row.state for row in rows} == {"archived"}
    assert {(row.source_etag, row.source_size) for row in rows} == {("one", 100)}
    assert any(row.target.startswith("x") for row in rows)
    if verdict.mark is not None:
        assert verdict.mark in journal
        assert verdict.mark.event == "marked"
        assert verdict.mark.at < TERMS.marked_before
        assert verdict.mark.source_etag == "one"
        last = [entry for entry in journal if entry.event != "deleting"][-1]
        assert last is verdict.mark


def test_floors_are_those_of_the_runs_plans_without_their_margin() -> None:
    plan = (
        '{"source": "/photos", "plan": {"targets": [{"target": {"scale": 2.0, "long_edge": null},'
        ' "candidates": [], "floor": {"psnr_y": 34.0, "ssim_y": null, "max_abs_error": null,'
        ' "margin_db": 0.05}}]}}'
    )

    def run(run_id: str, parameters: str) -> RunRecord:
        counts = dict.fromkeys(
            ("listed", "archived", "kept", "quarantined", "unchanged"), 0
        ) | dict.fromkeys(("source_bytes", "stored_bytes"), 0)
        return RunRecord(
            run_id=run_id,
            job="archive",
            started_at=NOW,
            finished_at=NOW,
            software="refold",
            parameters_json=parameters,
            **counts,
        )

    found = floors_of([run("a", plan), run("b", '{"targets": ["x2"]}')])
    assert found == {("a", "x2"): Floor(psnr_y=34.0).without_margins()}


@pytest.mark.parametrize(
    ("lies_in", "to_class", "etag", "stays"),
    [
        ("DEEP_ARCHIVE", "DEEP_ARCHIVE", "one", True),
        ("DEEP_ARCHIVE", None, "one", True),
        ("GLACIER", "GLACIER_IR", "one", True),
        ("GLACIER_IR", "GLACIER_IR", "one", True),
        ("GLACIER_IR", "DEEP_ARCHIVE", "one", False),
        ("GLACIER_IR", None, "one", False),
        ("DEEP_ARCHIVE", "DEEP_ARCHIVE", "of before", False),
    ],
)
def test_what_was_moved_stays_unless_it_can_be_read_and_is_wanted_elsewhere(
    lies_in: str, to_class: str | None, etag: str, stays: bool
) -> None:
    entries = [_entry(), replace(_entry("moved", days=1, etag=etag), storage_class=lies_in)]
    assert standing_marks(entries) == {}
    moved = last_moves(entries)["a.png"]
    verdict = judge(SOURCE, [_row()], None, replace(TERMS, to_class=to_class), moved)
    assert verdict == (Stays("moved already") if stays else MayGo((_row(),), None))
