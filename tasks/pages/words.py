"""Numbers as people read them."""

from __future__ import annotations

from datetime import timedelta

import humanize

from rescaling_core.plan import Floor


def size_text(nbytes: float) -> str:
    """Bytes as people read them: 12 B, 3.4 kB, 5.6 MB."""
    return humanize.naturalsize(round(nbytes)).replace(" Bytes", " B").replace(" Byte", " B")


def floor_text(floor: Floor) -> str:
    """What a floor asks for, in words; empty if nothing."""
    asked = (
        ("PSNR-Y of {:g} dB", floor.psnr_y),
        ("SSIM-Y of {:g}", floor.ssim_y),
        ("SSIMULACRA 2 of {:g}", floor.ssimulacra2),
        ("largest error of {:g}", floor.max_abs_error),
    )
    return ", ".join(words.format(value) for words, value in asked if value is not None)


def duration_text(lasted: timedelta) -> str:
    """As people say it: 3.2 seconds, 5 minutes and 3 seconds, 2 hours and 10 minutes."""
    short = lasted < timedelta(minutes=1)
    return humanize.precisedelta(
        lasted if short else timedelta(seconds=round(lasted.total_seconds())),
        minimum_unit="seconds" if lasted < timedelta(hours=1) else "minutes",
        format="%.1f" if short else "%.0f",
    )
