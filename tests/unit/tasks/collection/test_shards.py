"""Cutting what is pending into shards."""

from __future__ import annotations

import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.errors import UsageError
from tasks.collection.shards import PENDING, Shard, SourceObject, plan_shards

SOURCES = st.lists(
    st.builds(SourceObject, st.text(min_size=1), st.integers(0, 500), st.text("0123456789abcdef")),
    unique_by=lambda source: source.key,
    max_size=40,
).map(lambda sources: sorted(sources, key=lambda source: source.key))


def _batch(sources: list[SourceObject]) -> pa.RecordBatch:
    columns = [[getattr(s, name) for s in sources] for name in PENDING.names]
    return pa.record_batch(columns, schema=PENDING)


def _plan(sources, *, max_images=4, max_bytes=1000, targets=("x2",), plan_digest="p"):
    cut = len(sources) // 3
    batches = [_batch(sources[:cut]), _batch([]), _batch(sources[cut:])]
    bounds = {"max_images": max_images, "max_bytes": max_bytes}
    return list(plan_shards(batches, **bounds, targets=targets, plan_digest=plan_digest))


@settings(deadline=None)
@given(SOURCES, st.integers(1, 6), st.integers(1, 900))
def test_every_source_is_in_one_shard_in_order_and_bounds_are_kept(sources, max_images, max_bytes):
    shards = _plan(sources, max_images=max_images, max_bytes=max_bytes)
    assert [source for shard in shards for source in shard.sources] == sources
    for shard in shards:
        assert 1 <= len(shard.sources) <= max_images
        assert shard.nbytes <= max_bytes or len(shard.sources) == 1


@settings(deadline=None)
@given(SOURCES, st.integers(1, 6), st.integers(1, 900), st.data())
def test_slices_of_a_plan_are_made_of_the_same_shards(sources, max_images, max_bytes, data):
    batches = [_batch(sources)]
    bounds = {"max_images": max_images, "max_bytes": max_bytes}
    plan = plan_shards(batches, **bounds, targets=("x2",), plan_digest="p")
    shards = list(plan)
    low, high = (data.draw(st.integers(-len(plan) - 1, len(plan) + 1)) for _ in range(2))
    assert list(plan[low:high]) == shards[low:high]
    assert len(plan[low:high]) == len(shards[low:high])
    assert [plan[-1 - i] for i in range(len(plan))] == shards[::-1]
    with pytest.raises(IndexError):
        plan[len(plan)]


@pytest.mark.slow
def test_cutting_holds_no_source_as_a_python_object():
    count = 100_000
    sizes = pa.array([1000] * count, pa.int64())
    keys = pa.array([f"collection/photo-{number:09}.jpg" for number in range(count)])
    none = pa.nulls(count, pa.string())
    new = pa.repeat(pa.scalar(True), count)
    batch = pa.record_batch([keys, sizes, keys, none, none, new], schema=PENDING)
    tracemalloc.start()
    plan = plan_shards([batch], max_images=64, max_bytes=2**30, targets=("x2",), plan_digest="p")
    made = sum(len(shard.sources) for shard in plan[:])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made == count
    assert peak < 60 * count  # a source alone, with its texts, takes over 300 bytes


@given(SOURCES)
def test_the_same_sources_get_the_same_ids_again(sources):
    assert _plan(sources) == _plan(list(sources))
    for shard in _plan(sources):
        again = Shard.of(reversed(shard.sources), targets=("x2",), plan_digest="p")
        assert again == shard


def test_an_id_is_sixteen_hex_digits_and_never_changes_between_releases():
    shard = Shard.of(
        [SourceObject("a", 1, "e"), SourceObject("b", 2, "f")],
        targets=["x4", "x2"],
        plan_digest="p",
    )
    assert shard.shard_id == "ccc4a39daddf441c"


def test_an_id_changes_with_etag_targets_and_plan_but_not_with_their_order():
    def identity(etag="e", targets=("x2", "x4"), plan="p"):
        return Shard.of([SourceObject("a", 1, etag)], targets=targets, plan_digest=plan).shard_id

    assert identity(targets=("x4", "x2")) == identity()
    assert len({identity(), identity(etag="f"), identity(targets=("x2",)), identity(plan="q")}) == 4


def test_keys_that_run_together_get_different_ids():
    one = Shard.of([SourceObject("ab", 1, "c")], targets=["x2"], plan_digest="p")
    other = Shard.of([SourceObject("a", 1, "bc")], targets=["x2"], plan_digest="p")
    assert one.shard_id != other.shard_id


def test_a_shard_falls_apart_into_singles():
    (shard,) = _plan([SourceObject("a", 1, "e"), SourceObject("b", 2, "f")])
    singles = shard.singles()
    assert [single.sources for single in singles] == [(shard.sources[0],), (shard.sources[1],)]
    assert len({shard.shard_id, *(single.shard_id for single in singles)}) == 3


@pytest.mark.parametrize(("max_images", "max_bytes"), [(0, 1), (1, 0), (-1, 5)])
def test_bounds_that_are_not_positive_are_refused(max_images, max_bytes):
    with pytest.raises(UsageError, match="bounds are positive"):
        _plan([SourceObject("a", 1, "e")], max_images=max_images, max_bytes=max_bytes)
