"""`refold ls` and `refold show`: what an archive holds."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from flows.cli.console import Json, Verbose, out, print_json, print_table
from rescaling_core.errors import UsageError
from tasks.pages.words import size_text

if TYPE_CHECKING:
    from tasks.catalog import Catalog, CatalogRow

LISTED: Final = (  # the measures follow them
    "source_key",
    "target",
    "state",
    "reason",
    "lr_key",
    "lr_bytes",
    "pack_key",
    "pack_offset",
    "source_bytes",
    "rescaler",
    "scale",
    "codec",
    "quality",
    "refinement",
    "width",
    "height",
    "seconds",
)
"""What `ls --json` prints of every row, beside all measures. Names are kept from release to
release."""

_KEY_ONLY: Final = ("source_key",)

_LEAST_OF_A_KEY: Final = 24
_LEAST_OF_A_REASON: Final = 16
"""Columns of a terminal below which a table is no help."""


def ls(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    keys: Annotated[list[str] | None, typer.Argument(help="Source keys or globs to list.")] = None,
    where: Annotated[
        str | None, typer.Option(help="List rows that meet this SQL condition on the columns.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List what became of every source, for each target."""
    from tasks.catalog import LIGHT

    catalog = _catalog(archive)
    rows = catalog.rows(where, keys=keys or (), columns=LIGHT)
    records = list(map(_record, rows)) if keys or json else map(_record, rows)
    if keys:
        _require_known(catalog, archive, keys, {record["source_key"] for record in records})
    if json:
        print_json(records)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("source", overflow="fold", min_width=_LEAST_OF_A_KEY)
    for name in ("target", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("size", "LR", "PSNR-Y"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold", min_width=_LEAST_OF_A_REASON)
    for record in records:
        table.add_row(
            record["source_key"],
            record["target"],
            record["state"],
            size_text(record["source_bytes"]),
            "" if record["lr_bytes"] is None else size_text(record["lr_bytes"]),
            "" if record["psnr_y"] is None else f"{record['psnr_y']:.2f}",
            record["reason"] or "",
        )
    print_table(table)


def _require_known(catalog: Catalog, archive: str, keys: list[str], found: set[str]) -> None:
    """Refuse keys and globs that no source has.

    Args:
        catalog: Of the archive.
        archive: As it was asked for.
        keys: As they were asked for.
        found: Those of the sources that are listed.

    Raises:
        UsageError: No source of the archive has such a key, whatever `--where` leaves of it.
    """
    for key in keys:
        if any(key == one or fnmatchcase(one, key) for one in found):
            continue
        if not any(batch.num_rows for batch in catalog.batches(keys=[key], columns=_KEY_ONLY)):
            raise UsageError(f"{key}: not in the catalog of {archive}")


def show(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    key: Annotated[
        str | None, typer.Argument(help="Source key. Without it the archive's totals are shown.")
    ] = (None),
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show all that is recorded for one source, or the totals of an archive."""
    from tasks.catalog.history import History

    catalog = _catalog(archive)
    if key is None:
        value: Any = _totals(catalog.rows())
    else:
        rows = list(catalog.rows(sources=[key]))
        if not rows:
            raise UsageError(f"{key}: not in the catalog of {archive}")
        current = History.of(rows).current
        value = [_full_record(row) | {"current": row in current} for row in rows]
    if json:
        print_json(value)
    else:
        out.print_json(data=value)


def _catalog(archive: str) -> Catalog:
    from tasks.catalog import open_catalog
    from tasks.storage import open_store

    return open_catalog(open_store(archive), create=False)


def _record(row: CatalogRow) -> dict[str, Any]:
    """The same names for every row, with null for what there is not in its state."""
    from rescaling_core.quality.scores import MEASURES

    values: dict[str, Any] = {name: getattr(row, name, None) for name in (*LISTED, *MEASURES)}
    quality: float | None = values["quality"]
    if quality is not None and quality == int(quality):
        quality = int(quality)
    return values | {"source_bytes": row.source_size, "quality": quality}


def _full_record(row: CatalogRow) -> dict[str, Any]:
    metadata_json: str | None = getattr(row, "metadata_json", None)
    return _record(row) | {
        "source_etag": row.source_etag,
        "source_sha256": row.source_sha256,
        "lr_sha256": getattr(row, "lr_sha256", None),
        "weights_sha256": getattr(row, "weights_sha256", None),
        "error_class": getattr(row, "error_class", None),
        "run_id": row.run_id,
        "committed_at": row.committed_at.isoformat() if row.committed_at else None,
        "restoration_metadata": json_module.loads(metadata_json) if metadata_json else None,
    }


def _totals(rows: Iterable[CatalogRow]) -> dict[str, Any]:
    """Of all rows, sorted by source key, of which one source's are in memory."""
    from tasks.catalog import Archived
    from tasks.catalog.history import histories
    from tasks.catalog.strategies import StrategyTallies

    sources = source_bytes = stored_bytes = 0
    states = {"archived": 0, "kept": 0, "quarantined": 0}
    targets: set[str] = set()
    tallies = StrategyTallies()
    for history in histories(rows):
        sources += 1
        for row in history.rows:
            states[row.state] += 1
            targets.add(row.target)
            if isinstance(row, Archived):
                stored_bytes += row.lr_bytes
                tallies.add(row)
        if history.archived:
            source_bytes += history.latest.source_size
    return {
        "sources": sources,
        "renditions": states,
        "targets": sorted(targets),
        "source_bytes": source_bytes,
        "stored_bytes": stored_bytes,
        "strategies": {
            name: [asdict(cost) for cost in costs] for name, costs in tallies.report().items()
        },
    }
