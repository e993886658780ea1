"""Numbers as people read them."""

from __future__ import annotations

from datetime import timedelta

from rescaling_core.plan import Floor


def size_text(nbytes: float) -> str:
    """Bytes as people read them: 12 B, 3.4 kB, 5.6 MB."""
    if abs(nbytes) < 1000:
        return f"{nbytes:.0f} B"
    for unit in ("kB", "MB", "GB"):
        nbytes /= 1000
        if abs(nbytes) < 1000:
            return f"{nbytes:.1f} {unit}"
    return f"{nbytes / 1000:.1f} TB"


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
    """As people say it: 34 s, 5 min 3 s, 2 h 10 min."""
    seconds = round(lasted.total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{lasted.total_seconds():.1f} s"
