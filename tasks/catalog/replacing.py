"""When a row of the catalog gives way to a later one of its source and target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

THAWED: Final = "thawed"
"""What a row depends on whose source lies in a cold class of its store. No run has this, so that
each looks again."""

JUDGED: Final = ("source_etag", "source_sha256", "state", "depends_on", "seconds", "lr_key")
"""Columns that decide."""


def gives_way(
    old: Mapping[str, Any], new: Mapping[str, Any], *, instead_of: Collection[str] = ()
) -> bool:
    """Whether a row gives way: it was changed, released, kept otherwise, or made again.

    - Its source has another change mark or other bytes. What lies in a cold class was not read, so
      that another mark says nothing: what was archived stays then.
    - It came out of quarantine.
    - It was kept under other circumstances.
    - It was made again from its LR file, which does not hold all that the run that made the file
      knows and is about to commit.
    - What it names is damaged.

    Args:
        old: The row that is there: the columns of `JUDGED`, null as None.
        new: The later one.
        instead_of: LR keys whose rows give way.
    """
    archived = old["state"] == "archived"
    unread = archived and new["depends_on"] == THAWED
    return (
        (_differ(old["source_etag"], new["source_etag"]) and not unread)
        or _differ(old["source_sha256"], new["source_sha256"])
        or (old["state"] == "quarantined" and new["state"] != "quarantined")
        or (
            not archived
            and old["depends_on"] is not None
            and new["depends_on"] != old["depends_on"]
        )
        or (
            archived
            and old["seconds"] is None
            and new["state"] == "archived"
            and new["seconds"] is not None
        )
        or old["lr_key"] in instead_of
    )


def _differ(one: str | None, other: str | None) -> bool:
    """Whether both are known and are not the same."""
    return one is not None and other is not None and one != other
