"""A collection that was full and lists nothing: a disk that is not mounted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.catalog import open_catalog
from tasks.catalog.journal import Entry, Journal
from tasks.collection.emptied import refuse_emptied
from tasks.collection.errors import EmptiedSourceError
from tasks.collection.listing import EVERYTHING, Selection
from tasks.storage import open_store
from tests.small_archive import SmallArchive, small_archive


@pytest.fixture
def made(tmp_path: Path) -> SmallArchive:
    return small_archive(str(tmp_path), tmp_path, count=2)


def test_an_archive_that_had_sources_misses_them(made: SmallArchive) -> None:
    with pytest.raises(EmptiedSourceError, match=r"holds 2 sources.*--allow-empty"):
        refuse_emptied(made.source, made.catalog, EVERYTHING)


def test_what_the_selection_leaves_out_is_not_missed(made: SmallArchive) -> None:
    refuse_emptied(made.source, made.catalog, Selection(include=("*.tif",)))
    with pytest.raises(EmptiedSourceError, match="holds 1 sources"):
        refuse_emptied(made.source, made.catalog, Selection(exclude=("*0.png",)))


def test_a_new_archive_misses_nothing(made: SmallArchive, tmp_path: Path) -> None:
    refuse_emptied(made.source, open_catalog(open_store(f"{tmp_path}/new")), EVERYTHING)


def test_what_was_retired_is_not_missed(made: SmallArchive) -> None:
    rows = made.rows()
    journal = Journal(made.archive)
    for row in rows:
        with pytest.raises(EmptiedSourceError):
            refuse_emptied(made.source, made.catalog, EVERYTHING)
        entry = Entry(
            event="deleted",
            at=row.committed_at,  # type: ignore[arg-type]
            run_id="retire-1",
            collection=made.source.place.name,
            source_key=row.source_key,
            source_etag=row.source_etag,
            source_size=row.source_size,
            source_sha256=row.source_sha256 or "",
        )
        journal.add([entry])
    refuse_emptied(made.source, made.catalog, EVERYTHING)
