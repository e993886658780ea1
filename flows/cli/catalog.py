"""`refold ls` and `refold show`: what an archive holds."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from flows.cli.console import Json, Verbose, out, print_json
from rescaling_core.errors import UsageError
from tasks.gallery import size_text

if TYPE_CHECKING:
    from tasks.catalog import CatalogRow

LISTED: Final = (
    "source_key",
    "target",
    "state",
    "reason",
    "lr_key",
    "lr_bytes",
    "source_bytes",
    "rescaler",
    "scale",
    "codec",
    "quality",
    "psnr_y",
    "ssim_y",
    "ssimulacra2",
    "refinement",
    "width",
    "height",
    "seconds",
)
"""What `ls --json` prints of every row. Names are kept from release to release."""


def ls(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    where: Annotated[str | None, typer.Option(help="SQL condition on the columns.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List what became of every source, for each target."""
    records = [_record(row) for row in _rows(archive, where)]
    if json:
        print_json(records)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("source", "target", "state"):
        table.add_column(name, overflow="fold")
    for name in ("source", "LR", "PSNR-Y"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
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
    out.print(table)


def show(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    key: Annotated[str | None, typer.Argument(help="Source key; the archive's totals without.")] = (
        None
    ),
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show all that is recorded for one source, or the totals of an archive."""
    rows = list(_rows(archive, None))
    if key is None:
        value: Any = _totals(rows)
    else:
        value = [_full_record(row) for row in rows if row.source_key == key]
        if not value:
            raise UsageError(f"{key}: not in the catalog of {archive}")
    if json:
        print_json(value)
    else:
        out.print_json(data=value)


def _rows(archive: str, where: str | None) -> Iterator[CatalogRow]:
    from tasks.catalog import open_catalog
    from tasks.storage import open_store

    return open_catalog(open_store(archive), create=False).rows(where=where)


def _record(row: CatalogRow) -> dict[str, Any]:
    values = {name: getattr(row, name, None) for name in LISTED}
    quality: float | None = row.quality
    if quality is not None and quality == int(quality):
        quality = int(quality)
    return values | {"source_bytes": row.source_size, "quality": quality}


def _full_record(row: CatalogRow) -> dict[str, Any]:
    metadata = json_module.loads(row.metadata_json) if row.metadata_json else None
    return _record(row) | {
        "source_etag": row.source_etag,
        "source_sha256": row.source_sha256,
        "lr_sha256": row.lr_sha256,
        "weights_sha256": row.weights_sha256,
        "error_class": row.error_class,
        "run_id": row.run_id,
        "committed_at": row.committed_at.isoformat() if row.committed_at else None,
        "restoration_metadata": metadata,
    }


def _totals(rows: list[CatalogRow]) -> dict[str, Any]:
    from tasks.strategies import StrategyTallies

    archived = [row for row in rows if row.state == "archived"]
    tallies = StrategyTallies()
    for row in archived:
        tallies.add(row)
    return {
        "sources": len({row.source_key for row in rows}),
        "renditions": {
            state: sum(row.state == state for row in rows)
            for state in ("archived", "kept", "quarantined")
        },
        "targets": sorted({row.target for row in rows}),
        "source_bytes": sum({row.source_key: row.source_size for row in archived}.values()),
        "stored_bytes": sum(row.lr_bytes or 0 for row in archived),
        "strategies": tallies.report(),
    }
