"""What is known of a rendition, in words."""

from __future__ import annotations

import math

from humanize import naturalsize

from rescaling_core.metadata import RestorationMetadata
from rescaling_core.plan import AS_STORED, DEEP, PACKED
from rescaling_core.plan.strategy import strategy_name
from rescaling_core.quality.scores import known
from tasks.catalog import Archived, CatalogRow, Quarantined


def in_words(row: CatalogRow, record: RestorationMetadata | None) -> list[tuple[str, str]]:
    """Terms and what is to say of each, those that matter most first.

    Args:
        row: Of the catalog.
        record: Its restoration metadata, where there are any.
    """
    facts = [("Key", row.source_key), ("Target", row.target), ("State", _state(row))]
    if not isinstance(row, Quarantined) and row.width:
        facts.append(("Size", f"{row.width} × {row.height} pixels, mode {row.mode}"))
    facts.append(("Source", f"{_bytes(row.source_size)}, SHA-256 {row.source_sha256 or 'unknown'}"))
    if isinstance(row, Archived):
        share = f", {row.lr_bytes / row.source_size:.1%} of the source" if row.source_size else ""
        facts.append(("Stored", f"{_bytes(row.lr_bytes)}{share}"))
    facts += [("Measured", _measured(row)), ("Made by", _made(row))]
    if record is not None:
        facts += _recorded(record)
    if row.committed_at is not None:
        facts.append(("Committed", f"{row.committed_at:%Y-%m-%d %H:%M} UTC by run {row.run_id}"))
    return [(term, value) for term, value in facts if value]


def headline(row: CatalogRow, record: RestorationMetadata | None) -> str:
    """What there is to say of a rendition in one line: sizes, bytes and measured quality."""
    if row.state != "archived" or row.lr_bytes is None:
        return _state(row)
    said = []
    small = None if record is None or record.rescaler in PACKED else record
    if row.width and small and (small.lr_width, small.lr_height) != (row.width, row.height):
        said.append(f"{row.width} × {row.height} pixels out of {small.lr_width} × "
                    f"{small.lr_height}")  # fmt: skip
    elif row.width:
        said.append(f"{row.width} × {row.height} pixels")
    share = f", {row.lr_bytes / row.source_size:.1%} of the source" if row.source_size else ""
    said.append(f"{naturalsize(row.lr_bytes, binary=True)}{share}")
    if row.psnr_y is not None:
        said.append("exact" if row.psnr_y == math.inf else f"{row.psnr_y:.2f} dB PSNR-Y")
    return " · ".join(said)


def _recorded(record: RestorationMetadata) -> list[tuple[str, str]]:
    size = f"{record.lr_width} × {record.lr_height} pixels"
    facts = [("LR image", size), ("Network", f"SHA-256 {record.weights_sha256}")]
    if record.rescaler in PACKED:
        facts = [
            ("Packed", f"the file itself, beside a picture of {size}"),
            ("Shown", f"{record.made_from or 'a picture of it'}; refold restore gives the file"),
        ]
    if record.rescaler not in AS_STORED:
        tile = f"{record.tile} pixels a side" if record.tile else "the whole at once"
        facts.append(("Tiles", f"{tile}, {record.overlap} LR pixels of context"))
        if record.latent_policy.kind == "gaussian":
            facts.append(("Latent", f"drawn with seed {record.latent_seed}"))
    if record.residual is not None:
        planes = "luma" if record.residual.luma else "all channels"
        facts.append(
            ("Residual", f"{_bytes(record.residual.nbytes)} of {record.residual.codec}, {planes}")
        )
    if record.restorer is not None:
        facts.append(("Restorer", record.restorer))
    if record.fitted is not None:
        facts.append(("Filter", f"fitted to the picture, {record.fitted.nbytes} bytes"))
    if record.refinement:
        facts.append(("Refined", f"in {record.refinement} steps"))
    if record.max_abs_error is not None:
        facts.append(("Worst sample", f"{record.max_abs_error} levels of 255"))
    facts.append(("Software", record.software))
    return facts


def _state(row: CatalogRow) -> str:
    return row.state if isinstance(row, Archived) else f"{row.state}: {row.reason}"


def _measured(row: CatalogRow) -> str:
    if isinstance(row, Quarantined) or row.psnr_y is None:
        return ""
    if row.psnr_y == math.inf:
        return "the restoration is exact"
    # The worst sample is told in a line of its own.
    said = ", ".join(f"{one.title} {one.text(value)}" for one, value in known(row) if not one.whole)
    return f"{said}, restored against the {row.origin or 'source'}, over the whole image"


def _made(row: CatalogRow) -> str:
    if isinstance(row, Quarantined) or row.rescaler is None:
        return ""
    quality = f" at quality {row.quality}" if row.quality is not None else ""
    if row.rescaler in PACKED:
        return strategy_name(row.rescaler, "") + (quality if row.rescaler == DEEP else "")
    return f"{row.rescaler} at x{row.scale or 1:g}, {row.codec}{quality}"


def _bytes(count: int) -> str:
    if count < 1024:
        return f"{count} bytes"
    return f"{naturalsize(count, binary=True)} ({count:,} bytes)"
