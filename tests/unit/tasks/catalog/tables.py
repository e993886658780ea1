"""The table of a catalog from below: its files joined, and those that commits look into."""

from __future__ import annotations

import pytest
from deltalake import DeltaTable

from tasks.catalog import Catalog, parts, upsert
from tasks.catalog.compaction import join_small_files
from tasks.catalog.table import INDEXED, RENDITIONS_PREFIX
from tasks.storage import Store


def uri_of(catalog: Catalog) -> str:
    """The address of its renditions, for deltalake."""
    return catalog.store.delta_uri(RENDITIONS_PREFIX)


def join_files(catalog: Catalog) -> bool:
    """As commits and `maintain` do, whatever the files' sizes."""
    table = DeltaTable(uri_of(catalog))
    return join_small_files(table, catalog.store, RENDITIONS_PREFIX, indexed=INDEXED, size=2**20)


def looked_into(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that commits look into from now on."""
    looked: list[str] = []
    real = upsert.matches

    def noting(store: Store, prefix: str, part: parts.Part, *rest: object, **more: object):
        looked.append(part.path)
        return real(store, prefix, part, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(upsert, "matches", noting)
    return looked
