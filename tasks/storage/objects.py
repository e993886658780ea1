"""What a store tells of the objects in it, and of what lies there that is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tasks.storage.locks import Lock


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as a listing shows it."""

    key: str
    """Relative to the store's root, parts separated by `/`, unquoted."""
    size: int
    """Bytes."""
    etag: str
    """Changes when the content does; made by the store, compared for equality only."""
    modified: datetime | None = field(default=None, compare=False)
    """When it was last written, by the store's clock; None where the store does not say."""
    lock: Lock | None = field(default=None, compare=False)
    """What keeps it from being removed; None where nothing does, and in listings."""


TroubleKind = Literal[
    "FolderUnreadable",
    "FileUnreadable",
    "NameUnspellable",
    "LinkLeadsOut",
    "LinkBroken",
    "NotAFile",
    "ArchiveInside",
]
"""Why something that lies in a collection is not taken as a source."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something that lies in a collection is not taken as a source."""

    error_class: TroubleKind
    reason: str


@dataclass(frozen=True, slots=True)
class Surveyed:
    """Something that lies in a collection."""

    info: ObjectInfo
    """Of a folder that cannot be read, the key ends in a slash."""
    trouble: Trouble | None = None
    """None: it is an object that can be read, as far as the listing tells."""
