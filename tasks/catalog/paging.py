"""Pages of a catalog: some rows behind those that were seen, at the same cost wherever that is."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Final

from rescaling_core.errors import UsageError
from tasks.catalog import query as sql
from tasks.catalog.rows import CatalogRow, State

MOST_ROWS: Final = 500
"""Of a page."""

_LAST: Final = "\U0010ffff"
"""Sorts behind every other character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What rows are looked for. It becomes SQL here, from values and never from text."""

    prefix: str | None = None
    """Of the source key."""
    glob: str | None = None
    """A pattern of the whole source key: `*` stands for any characters, `?` for one."""
    state: State | None = None
    target: str | None = None
    psnr_min: float | None = None
    """dB."""
    psnr_max: float | None = None
    restorable: bool = False
    """Only rows that something can be restored from: previews are not."""

    def conditions(self) -> list[str]:
        """As SQL, all of which have to hold."""
        found = []
        if self.prefix:
            high = sql.literal(self.prefix + _LAST)
            found += [f"source_key >= {sql.literal(self.prefix)}", f"source_key <= {high}"]
            found.append(f"starts_with(source_key, {sql.literal(self.prefix)})")
        if self.glob:
            found.append(f"source_key LIKE {sql.literal(_like(self.glob))}")
        if self.state is not None:
            found.append(f"state = {sql.literal(self.state)}")
        if self.target is not None:
            found.append(f"target = {sql.literal(self.target)}")
        if self.psnr_min is not None:
            found.append(f"psnr_y >= {self.psnr_min:.6f}")
        if self.psnr_max is not None:
            found.append(f"psnr_y <= {self.psnr_max:.6f}")
        if self.restorable:
            found.append("state = 'archived' AND psnr_y IS NOT NULL")
        return found


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: the next one begins behind it."""

    source_key: str
    target: str

    def cursor(self) -> str:
        """As text that a caller gives back, safe within a URL."""
        text = json.dumps([self.source_key, self.target])
        return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")

    @classmethod
    def parse(cls, cursor: str) -> Position:
        """Read what `cursor` wrote.

        Raises:
            UsageError: It was not written by it.
        """
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            key, target = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, TypeError, binascii.Error, RecursionError):
            key = target = None
        if not isinstance(key, str) or not isinstance(target, str):
            raise UsageError("the cursor is not one that this service gave")
        return cls(key, target)

    def condition(self) -> str:
        """SQL: only what comes behind."""
        key, target = sql.literal(self.source_key), sql.literal(self.target)
        return (
            f"source_key >= {key} AND (source_key > {key} OR target > {target})"  # the first prunes
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and where to go on."""

    rows: list[CatalogRow]
    """By source key and target, without the columns that are nearly all of a row's bytes."""
    next: Position | None
    """None if these are the last."""


def _like(glob: str) -> str:
    """A glob as SQL's LIKE writes it."""
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
