"""Figures from the papers, to stand beside our own.

PSNR-Y (dB) and SSIM-Y, border of the scale cropped. Sources: the READMEs of IRN and SAIN, and its
`figures/benchmark.png` read off to ±0.03 dB; the bicubic rows with JPEG are SAIN's too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One cell of a published table."""

    method: str
    set: str
    scale: int
    quality: int | None
    """Quality of JPEG with 4:2:0 chroma; None where the LR image is 8-bit PNG."""
    psnr_y: float
    """PSNR-Y in dB, as published."""
    ssim_y: float | None = None


def find(set_name: str, scale: float, codec: str, quality: int | None) -> tuple[Published, ...]:
    """What was published for the same set, scale, codec and quality."""
    if codec not in ("png", "jpeg-420"):
        return ()
    return tuple(
        cell
        for cell in PUBLISHED
        if (cell.set, cell.scale, cell.quality) == (set_name, scale, quality)
    )


_SETS: Final = ("Set5", "Set14", "BSD100", "Urban100")

_LOSSLESS: Final = (
    ("Bicubic", 2, ((33.66, 0.9299), (30.24, 0.8688), (29.56, 0.8431), (26.88, 0.8403))),
    ("CAR&EDSR", 2, ((38.94, 0.9658), (35.61, 0.9404), (33.83, 0.9262), (35.24, 0.9572))),
    ("IRN", 2, ((43.99, 0.9871), (40.79, 0.9778), (41.32, 0.9876), (39.92, 0.9865))),
    ("Bicubic", 4, ((28.42, 0.8104), (26.00, 0.7027), (25.96, 0.6675), (23.14, 0.6577))),
    ("CAR&EDSR", 4, ((33.88, 0.9174), (30.31, 0.8382), (29.15, 0.8001), (29.28, 0.8711))),
    ("IRN", 4, ((36.19, 0.9451), (32.67, 0.9015), (31.64, 0.8826), (31.41, 0.9157))),
)

_JPEG_X2: Final = (
    ("SAIN", "Set5", (32.17, 34.02, 35.66, 36.45, 37.05)),
    ("SAIN", "Set14", (29.57, 31.14, 32.46, 33.06, 33.42)),
    ("SAIN", "BSD100", (28.70, 30.17, 31.5, 32.08, 32.43)),
    ("SAIN", "Urban100", (27.81, 29.71, 31.21, 31.83, 32.24)),
    ("Bicubic", "Set5", (29.75, 30.75, 31.62, 32.21, 32.98)),
    ("Bicubic", "Set14", (27.57, 28.31, 29.00, 29.43, 29.94)),
    ("Bicubic", "BSD100", (27.04, 27.70, 28.34, 28.76, 29.25)),
    ("Bicubic", "Urban100", (24.99, 25.62, 26.12, 26.41, 26.71)),
)

PUBLISHED: Final = (
    *(
        Published(method=method, set=name, scale=scale, quality=None, psnr_y=psnr, ssim_y=ssim)
        for method, scale, cells in _LOSSLESS
        for name, (psnr, ssim) in zip(_SETS, cells, strict=True)
    ),
    *(
        Published(method=method, set=name, scale=2, quality=quality, psnr_y=psnr)
        for method, name, cells in _JPEG_X2
        for quality, psnr in zip((30, 50, 70, 80, 90), cells, strict=True)
    ),
)
