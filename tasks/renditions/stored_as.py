"""How the LR files of each target are stored where its plan does not say: as objects, or in packs.

An archive that exists goes on as it began. A new one follows the size of its collection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tasks.renditions import packs

if TYPE_CHECKING:
    from rescaling_core.plan import ArchivePlan, StoredAs
    from tasks.catalog import Catalog

PACKED_FROM: Final = 1_000_000
"""Sources from which on a new archive has packs: each request that writes is paid for, and listing
the objects of an archive takes a request for every thousand."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A plan that says of every target how its LR files are stored."""

    plan: ArchivePlan
    reason: str | None
    """Why some of them lie in packs though nobody asked for it; None where none does."""


def settle_storage(plan: ArchivePlan, sources: int, catalog: Catalog) -> Settled:
    """Decide how LR files are stored, where a plan does not.

    Args:
        plan: What it says of a target stands.
        sources: Number of sources in the collection.
        catalog: Of the archive, whether there is one or not.

    Raises:
        StorageError: The archive cannot be read.
    """
    open_ones = [one.target.name for one in plan.targets if one.store is None]
    if not open_ones:
        return Settled(plan, None)
    there = _as_there(catalog, open_ones)
    chosen = there or dict.fromkeys(open_ones, _by_size(sources))
    targets = (
        replace(one, store=chosen[one.target.name]) if one.store is None else one
        for one in plan.targets
    )
    return Settled(replace(plan, targets=tuple(targets)), _reason(chosen, sources, bool(there)))


def _by_size(sources: int) -> StoredAs:
    return "packs" if sources >= PACKED_FROM else "objects"


def _as_there(catalog: Catalog, targets: list[str]) -> dict[str, StoredAs]:
    """As an archive has the files of each target, or those of others; empty where it has none."""
    if not (catalog.exists() and catalog.row_count()):
        return {}
    if not _has(catalog, packs.PREFIX):
        return dict.fromkeys(targets, "objects")
    counts = catalog.counts()

    def of_target(name: str) -> StoredAs:
        single = "archived" in counts.get(name, {})
        return "objects" if single and not _has(catalog, f"{packs.PREFIX}{name}/") else "packs"

    return {name: of_target(name) for name in targets}


def _has(catalog: Catalog, prefix: str) -> bool:
    return next(iter(catalog.store.list(prefix)), None) is not None


def _reason(chosen: dict[str, StoredAs], sources: int, there: bool) -> str | None:
    names = ", ".join(name for name, store in chosen.items() if store == "packs")
    if not names:
        return None
    why = "as the archive has them" if there else f"since there are {sources:,} sources"
    bound = "" if there else f" (from {PACKED_FROM:,} on)"
    return f'{names}: in packs, {why}{bound}; `store = "objects"` in a plan makes single files'
