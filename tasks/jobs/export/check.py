"""What is looked at before an export writes anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from rescaling_core.errors import UsageError
from rescaling_core.plan import Target
from tasks.catalog import open_catalog
from tasks.collection.access import refuse_inside_archive
from tasks.storage import open_store

Layout = Literal["webdataset", "folder", "hf"]
"""Tar shards; files under their keys; such files, and a `metadata.jsonl` that names them."""

DEFAULT_SHARD_MB: Final = 128
_MOST_SHARD_MB: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `refold export` was asked for."""

    archive: str
    dest: str
    layout: Layout
    size: Literal["lr", "hr"] = "lr"
    keys: tuple[str, ...] = ()
    """Source keys or globs; empty for all."""
    where: str | None = None
    target: str | None = None
    shard_mb: int = DEFAULT_SHARD_MB
    """Megabytes (10⁶ bytes) of a tar shard, at most, unless a single image takes more."""


def check(request: Request) -> None:
    """Refuse an export that cannot work.

    Raises:
        UsageError: No archive there, a wrong URL or condition, restoring from a preview, a shard
            size that is none, or a destination inside the archive.
        StorageError: The archive's store cannot be reached.
    """
    if not 1 <= request.shard_mb <= _MOST_SHARD_MB:
        raise UsageError(f"shards of {request.shard_mb} MB: 1 to {_MOST_SHARD_MB} are allowed")
    if request.target is not None:
        preview = Target.parse(request.target).preview_only
        if preview and request.size == "hr":
            raise UsageError(
                f"target {request.target}: a preview, which nothing can be restored from"
            )
    archive, destination = open_store(request.archive), open_store(request.dest, follow_links=True)
    catalog = open_catalog(archive, create=False)
    if request.where is not None:
        catalog.check_condition(request.where)
    refuse_inside_archive(destination, archive)
