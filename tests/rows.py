"""Rows of a catalog, of which a test states no more than what it is about."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from tasks.catalog import Archived, CatalogRow, Kept, Quarantined

_KINDS: Final[dict[str, type[CatalogRow]]] = {
    "archived": Archived,
    "kept": Kept,
    "quarantined": Quarantined,
}


def row(key: str = "a.png", target: str = "x2", state: str = "archived", **values: Any) -> Any:
    """A row in a state.

    Args:
        key: Of the source.
        target: Name of the target.
        state: `archived`, `kept` or `quarantined`.
        **values: Of fields that a row in this state has, in place of those here.
    """
    usual = {
        "source_etag": "e",
        "source_size": 1000,
        "shard_id": "s",
        "run_id": "r",
        "lr_key": f"{key}-{target}",
        "lr_bytes": 100,
        "lr_sha256": "d",
        "rescaler": "irn-x2-lite",
        "weights_sha256": "w",
        "scale": 2.0,
        "codec": "png",
        "width": 40,
        "height": 30,
        "mode": "RGB",
        "reason": "so",
        "error_class": "SomeError",
    }
    kind = _KINDS[state]
    has = {one.name for one in fields(kind)}
    known = {name: value for name, value in usual.items() if name in has}
    return kind(source_key=key, target=target, **known | values)


def reason_of(row: CatalogRow) -> str:
    """Why a source was kept or put into quarantine; empty where it was archived."""
    return "" if isinstance(row, Archived) else row.reason


def error_of(row: CatalogRow) -> str | None:
    """The class of the error that put a source into quarantine; None of any other."""
    return row.error_class if isinstance(row, Quarantined) else None
