"""Whether a stored rendition is what the catalog says it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from rescaling_core.errors import MetadataError
from rescaling_core.metadata import read_metadata
from rescaling_core.quality.scores import MEASURES
from tasks.catalog import Archived
from tasks.renditions.files import stored_lr, stored_member
from tasks.renditions.packs import is_header_of
from tasks.renditions.rows import described
from tasks.storage import ObjectNotFoundError, Store
from tasks.storage.versions import may_be_copies

_FIRST: Final = ("psnr_y", "ssim_y")
_LATER: Final = ("refinement", "origin", *(name for name in MEASURES if name not in _FIRST))
"""Columns that the first catalogs lack: of measures, they had two."""


Problem = Literal[
    "missing", "size", "digest", "pack", "metadata", "restoration", "catalog", "network", "cold"
]
"""In the order they are looked for; the first that is found is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rendition that is not what the catalog says, or cannot be read to find out: `cold`."""

    source_key: str
    target: str
    lr_key: str
    problem: Problem
    reason: str


def inspect_stored(archive: Store, row: Archived) -> Finding | None:
    """Check existence, size, digest, and that file and catalog tell the same.

    Raises:
        StorageError: The store failed.
    """
    place, header = row.place, b""
    try:
        if place.pack_key is None:
            data = stored_lr(archive, place)
        else:
            header, data = stored_member(archive, place.pack_key, place)
    except ObjectNotFoundError as error:
        reason = "no such object" if place.pack_key is None else f"no such pack: {place.pack_key}"
        return finding(row, "missing", f"{reason}: {error}" if error.__cause__ else reason)
    return inspect_read(row, header, data)


def inspect_read(row: Archived, header: bytes, data: bytes) -> Finding | None:
    """Check what was read: size, digest, and that file and catalog tell the same.

    Args:
        row: Of the catalog.
        header: What lies before the LR file, where it is in a pack.
        data: The LR file.
    """
    place = row.place
    where = "" if place.pack_key is None else f" at byte {place.pack_offset} of {place.pack_key}"
    if len(data) != row.lr_bytes:
        return finding(row, "size", f"{len(data)} bytes{where}, not {row.lr_bytes}")
    if hashlib.sha256(data).hexdigest() != row.lr_sha256:
        return finding(row, "digest", f"its bytes{where} are not those that were archived")
    if place.pack_key is not None and not is_header_of(header, len(data)):
        reason = f"sound, but the header before it{where} is not: `tar` does not unpack it"
        return finding(row, "pack", reason)
    try:
        embedded = read_metadata(data)
        recorded = row.recorded
    except MetadataError as error:
        return finding(row, "metadata", str(error))
    columns = described(embedded) | {
        "source_key": embedded.source_key,
        "source_size": embedded.source_size,
        "source_sha256": embedded.source_sha256,
        "target": embedded.target,
    }
    # A row of before a column was says nothing about it.
    old = [name for name in _LATER if getattr(row, name) is None]
    wrong = [
        name for name, value in columns.items() if name not in old and getattr(row, name) != value
    ]
    # The row follows a file that was copied; the LR file says what it was when it was made.
    if not may_be_copies(embedded.source_etag, row.source_etag):
        wrong.append("source_etag")
    if embedded != recorded:
        wrong.append("metadata_json")
    if wrong:
        reason = f"the file and the catalog disagree on {', '.join(wrong)}"
        return finding(row, "metadata", reason)
    return None


def finding(row: Archived, problem: Problem, reason: str) -> Finding:
    """What is wrong with a row's LR object."""
    return Finding(
        source_key=row.source_key,
        target=row.target,
        lr_key=row.lr_key,
        problem=problem,
        reason=reason,
    )
