"""The inventory: every source of a collection, as Arrow batches."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasks.storage import Place, Store, Surveyed

SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("trouble", pa.string()),
        pa.field("reason", pa.string()),
    ]
)
"""Schema of a batch: key relative to the collection, size in bytes, the store's change mark.

`trouble` and `reason` are null for sources. What lies in the collection and is not taken as a
source (a folder that cannot be read, a link that leads out of it) is listed with the kind of
trouble and the reason, so that it is accounted for like everything else. The key of a folder ends
in a slash.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which sources of a collection a run is about."""

    include: tuple[str, ...] = ()
    """Globs (`*` crosses `/`): a key is taken if it matches one, or if there is none."""
    exclude: tuple[str, ...] = ()
    """Globs: a key that matches one is passed over."""
    retry_quarantined: bool = False
    """Whether sources in quarantine are tried again though they did not change."""
    inventory: str | None = None
    """URL of the manifest.json of an S3 Inventory report to read, rather than list the store."""
    follow_links: bool = False
    """Whether symbolic links that lead out of a local collection are followed."""
    include_renditions: bool = False
    """Whether LR files that Refold made are taken as sources."""
    verify_sources: bool = False
    """Whether sources that look unchanged are read and compared with the SHA-256 on record."""


EVERYTHING: Final = Selection()

BATCH_ROWS: Final = 65_536
"""Number of keys held at once: about 10 MiB."""


def scan(
    store: Store,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    avoid: Sequence[Place] = (),
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pa.RecordBatch]:
    """List a collection.

    Args:
        store: The collection.
        include: Globs (`*` crosses `/`); a key is listed if it matches one, or if there is none.
        exclude: Globs; a key that matches one is passed over. A folder all of whose keys would be
            passed over is not entered.
        avoid: Places that are not entered, though they lie inside: archives.
        batch_rows: Keys a batch, the last one excepted.

    Yields:
        Batches of `SCHEMA`, sorted by key within and across batches.

    Raises:
        UsageError: A glob is empty.
        StorageError: The listing could not be completed.
    """
    check_globs(include, exclude)
    waiting = _Columns()
    for found in store.survey(lambda folder: may_hold(folder, include, exclude), avoid=avoid):
        if _is_listed(found, include, exclude):
            waiting.add(found)
        if len(waiting.keys) == batch_rows:
            yield waiting.batch()
            waiting = _Columns()
    if waiting.keys:
        yield waiting.batch()


def _is_listed(found: Surveyed, include: Sequence[str], exclude: Sequence[str]) -> bool:
    key = found.info.key
    if key.endswith("/"):  # a folder that cannot be read
        return may_hold(key, include, exclude) and not _matches(key.rstrip("/"), exclude)
    return is_wanted(key, include, exclude)


def check_globs(include: Sequence[str], exclude: Sequence[str]) -> None:
    """Refuse what matches nothing.

    Raises:
        UsageError: A glob is empty.
    """
    if "" in (*include, *exclude):
        raise UsageError("include and exclude: an empty glob matches nothing")


def is_wanted(key: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a key is taken: it matches an `include`, or there is none, and no `exclude`."""
    return (not include or _matches(key, include)) and not (exclude and _matches(key, exclude))


def may_hold(folder: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a key that is taken can lie below a folder.

    Args:
        folder: Its key, with a slash at the end.
        include: As for `scan`.
        exclude: As for `scan`.
    """
    # `*` crosses slashes: a glob that ends in it and matches the folder matches all that is below.
    if any(glob.endswith("*") and fnmatchcase(folder, glob) for glob in exclude):
        return False
    starts = [re.split(r"[*?[]", glob, maxsplit=1)[0] for glob in include]
    return not include or any(
        folder.startswith(start) or start.startswith(folder) for start in starts
    )


def _matches(key: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(key, glob) for glob in globs)


@dataclass(slots=True)
class _Columns:
    """The columns of a batch to come.

    What a survey found is taken apart at once: Python's collector of garbage goes through all
    objects that wait, again and again, but not through lists of texts and numbers.
    """

    keys: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    etags: list[str] = field(default_factory=list)
    troubles: list[str | None] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)

    def add(self, found: Surveyed) -> None:
        """What a survey found, as a row."""
        info, trouble = found.info, found.trouble
        self.keys.append(info.key)
        self.sizes.append(info.size)
        self.etags.append(info.etag)
        self.troubles.append(None if trouble is None else trouble.error_class)
        self.reasons.append(None if trouble is None else trouble.reason)

    def batch(self) -> pa.RecordBatch:
        """All rows, as Arrow has them."""
        columns = [self.keys, self.sizes, self.etags, self.troubles, self.reasons]
        return pa.record_batch(columns, schema=SCHEMA)
