"""What an export writes: one item for each source, and how it is named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import PurePosixPath
from typing import Any, Final

from rescaling_core.errors import UsageError
from rescaling_core.photo.beside import EXTENSION as BESIDE_EXTENSION
from rescaling_core.plan import OWN_FILE, PACKED
from tasks.catalog import Archived, Catalog
from tasks.catalog.query import is_glob
from tasks.datasets.index import Entry, chosen_rows
from tasks.jobs.export.check import Request
from tasks.renditions.names import RESTORED_EXTENSION, extended, unique_names

_BESIDE: Final = 8192
"""Bytes of a tar shard that an image takes beside its own: headers, padding, its JSON."""
_EMPTY: Final = "%00"
"""What stands in a tar shard for a part of a key that has no characters."""
_LONGEST: Final = f"{RESTORED_EXTENSION}{BESIDE_EXTENSION}"
"""What may stand behind a sample's name."""
_CARRIED: Final = 65_536
"""Bytes that a restored file may have beside its pixels, as far as planning shards goes."""


@dataclass(frozen=True, slots=True)
class Item:
    """One image to be exported."""

    entry: Entry
    extension: str
    """Of its file, with the dot."""
    is_own_file: bool
    """Whether it is the source's own file, under its own name."""
    at_most: int
    """Bytes that it may take within a tar shard, as far as the catalog tells."""
    facts: tuple[tuple[str, Any], ...]
    """What is said of it beside the image, as JSON has it."""


def items_of(catalog: Catalog, request: Request) -> list[Item]:
    """All that is to be exported, by source key.

    Raises:
        UsageError: There is nothing.
    """
    rows = chosen_rows(
        catalog,
        request.where,
        request.target,
        keys=request.keys,
        previews_too=request.size == "lr",
    )
    items = [_item(row, restored=request.size == "hr") for row in rows]
    if not items:
        raise UsageError(f"{catalog.store.url}: nothing to export, as far as it was asked for")
    return items


def not_found(items: Sequence[Item], keys: Sequence[str]) -> list[str]:
    """The keys and globs asked for that no item answers."""
    there = {item.entry.source_key for item in items}
    return [
        key
        for key in keys
        if key not in there and not any(fnmatchcase(one, key) for one in there if is_glob(key))
    ]


def _item(row: Archived, *, restored: bool) -> Item:
    is_own_file = restored and row.rescaler in OWN_FILE
    stored = PurePosixPath(row.lr_key).suffix
    if row.rescaler in PACKED and is_own_file:  # deflated again, or without compression
        extension = PurePosixPath(row.source_key).suffix.lower() or ".bin"
        nbytes = row.source_size + row.pixels * 9 + _CARRIED
    elif is_own_file:
        extension, nbytes = ".jpg", row.source_size
    elif restored:
        extension, nbytes = RESTORED_EXTENSION, row.pixels * 4 + _CARRIED
    else:
        extension, nbytes = stored, row.lr_bytes
    exact = row.psnr_y is not None and not isfinite(row.psnr_y)
    facts = {
        "key": row.source_key,
        "target": row.target,
        "width": row.width,
        "height": row.height,
        "scale": row.scale,
        "psnr_y": None if exact else row.psnr_y,
        "exact": exact,
        "source_sha256": row.source_sha256,
    }
    return Item(
        Entry(row.source_key, row.target, row.place),
        extension,
        is_own_file,
        nbytes + _BESIDE,
        tuple(facts.items()),
    )


def digest_of(items: Iterable[Item]) -> str:
    """Of all that is exported: the same digest, the same files."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(item.entry.identity)
    return digest.hexdigest()


def file_names(items: Sequence[Item]) -> list[str]:
    """The names of files that lie under their keys, in the order of the items."""
    names = unique_names(
        {one.entry.source_key: "" if one.is_own_file else one.extension for one in items}
    )
    return [names[one.entry.source_key] for one in items]


def member_name(key: str) -> str:
    """What a sample is called in a tar shard: its key, without dots in the last part.

    WebDataset takes what follows the first dot of a file's name as the kind of the file, and what
    stands before it as the name of the sample. No two keys have one name, and none leads out of
    the folder that a shard is unpacked into.
    """
    *folders, last = key.replace("%", "%25").split("/")
    spelt = [part.replace(".", "%2E") if part in (".", "..") else part for part in folders]
    whole = "/".join(part or _EMPTY for part in (*spelt, last.replace(".", "%2E")))
    return extended(whole, _LONGEST).removesuffix(_LONGEST)


def shards_of(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    """Cut items into shards, the same ones for the same items.

    Args:
        items: In order.
        most: Bytes of a shard, unless a single item may take more.
    """
    begun, nbytes = 0, 0
    for at, item in enumerate(items):
        if at > begun and nbytes + item.at_most > most:
            yield items[begun:at]
            begun, nbytes = at, 0
        nbytes += item.at_most
    if begun < len(items):
        yield items[begun:]
