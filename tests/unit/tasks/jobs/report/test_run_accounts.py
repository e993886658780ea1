"""Counting a run, and naming what it restores."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.collection.shards import Shard, SourceObject
from tasks.control.waves import waves_of
from tasks.jobs.archive.steps import SHARDS_PER_WORKER
from tasks.jobs.archive.tally import ArchiveTally
from tasks.renditions.names import output_names
from tests.rows import row

keys = st.text(st.sampled_from("ab/.pnge "), min_size=1, max_size=9) | st.sampled_from(
    ["a.jpg", "a.jpg.png", "a.jpg.restored.png", "a.jpg.restored", "a.png", "a.PNG", "A.png"]
)


@given(st.sets(keys))
def test_no_two_sources_are_restored_under_one_name(sources: set[str]) -> None:
    names = output_names(sources)
    assert names.keys() == sources
    assert len(set(names.values())) == len(sources)
    assert all(name.startswith(key) for key, name in names.items())
    assert all(name.lower().endswith(".png") for name in names.values())


def test_a_restored_name_that_is_too_long_for_a_file_is_cut() -> None:
    long = ["n" * 255, "n" * 254 + "m", "é" * 125 + ".jpg", "é" * 125 + ".tif", "n" * 251 + ".png"]
    names = output_names([*long, *(f"folder/{key}" for key in long)])
    assert len(set(names.values())) == 2 * len(long)
    for key, name in names.items():
        folder, _, part = name.rpartition("/")
        assert (folder, name[-4:]) == (key.rpartition("/")[0], ".png")
        assert len(part.encode()) <= 255
        assert part[:100] == key.rpartition("/")[2][:100]


def _shard(*names: str) -> Shard:
    sources = [SourceObject(key=name, size=1, etag="e") for name in names]
    return Shard.of(sources, targets=("x2",), plan_digest="p")


def test_a_source_counts_once_whatever_its_targets() -> None:
    tally = ArchiveTally.of(
        [
            row("a", "x2", "archived"),
            row("a", "x4", "archived"),
            row("b", "x2", "kept"),
            row("b", "x4", "archived"),
            row("c", "x2", "kept"),
            row("c", "x4", "kept"),
        ],
    )
    tally += ArchiveTally.of([row("d", "x2", "quarantined"), row("d", "x4", "quarantined")])
    assert (tally.archived, tally.kept, tally.quarantined) == (2, 1, 1)
    assert tally.done == 4
    assert tally.source_bytes == 2000
    assert tally.stored_bytes == 300
    assert tally.renditions == {"archived": 3, "kept": 3, "quarantined": 2}


@settings(deadline=None)
@given(st.integers(0, 3000), st.integers(1, 64))
def test_waves_hold_every_shard_once_and_are_few(count: int, workers: int) -> None:
    shards = [_shard(str(number)) for number in range(count)]
    waves = list(waves_of(shards, total=count, at_least=workers * SHARDS_PER_WORKER))
    assert [shard for wave in waves for shard in wave] == shards
    assert len(waves) <= 50
