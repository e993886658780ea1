"""A collection that lists nothing though the archive holds sources of it: an unmounted disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.catalog.journal import Journal
from tasks.collection.errors import EmptiedSourceError
from tasks.collection.listing import is_wanted

if TYPE_CHECKING:
    from tasks.catalog import Catalog
    from tasks.collection.listing import Selection
    from tasks.storage import Store


def refuse_emptied(source: Store, catalog: Catalog, selection: Selection) -> None:
    """Refuse an empty listing of a collection that should not be empty.

    Called when a listing came back empty, which is rare, so that reading all keys is no matter.
    What `retire` deleted is not missed.

    Args:
        source: The collection.
        catalog: The archive's; there may be none yet.
        selection: Only sources that it takes are missed.

    Raises:
        EmptiedSourceError: The archive holds sources that the collection no longer lists.
    """
    if not catalog.exists():
        return
    retired = {
        entry.source_key
        for entry in Journal(catalog.store).entries(source.place.name)
        if entry.event == "deleted"
    }
    missed = {
        key
        for batch in catalog.batches(columns=("source_key",))
        for key in batch.column("source_key").to_pylist()
        if key not in retired and is_wanted(key, selection.include, selection.exclude)
    }
    if missed:
        raise EmptiedSourceError(
            f"{source.url}: nothing is there, but the archive holds {len(missed)} sources, such as "
            f"{min(missed)}; is a disk not mounted? If the collection is meant to be empty, "
            "say --allow-empty"
        )
