"""Numbers as people read them."""

from __future__ import annotations

from datetime import timedelta

import humanize


def size_text(nbytes: float) -> str:
    """Bytes as people read them: 12 B, 3.4 kB, 5.6 MB."""
    return humanize.naturalsize(round(nbytes)).replace(" Bytes", " B").replace(" Byte", " B")


def duration_text(lasted: timedelta) -> str:
    """As people say it: 3.2 seconds, 5 minutes and 3 seconds, 2 hours and 10 minutes."""
    short = lasted < timedelta(minutes=1)
    return humanize.precisedelta(
        lasted if short else timedelta(seconds=round(lasted.total_seconds())),
        minimum_unit="seconds" if lasted < timedelta(hours=1) else "minutes",
        format="%.1f" if short else "%.0f",
    )
