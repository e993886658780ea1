"""Whether a colour profile says anything that a viewer would not assume anyway."""

from __future__ import annotations

import io
import re
from typing import Final

import numpy as np
from PIL import Image, ImageCms

_SAYS_SRGB: Final = re.compile(r"sRGB|RGB_D65_SRG_..._SRG|Gra_D65_..._SRG")
"""Descriptions that libjxl gives the profiles it makes up."""
_STEPS: Final = 9
_TOLERANCE: Final = 2
"""Levels: tables of vendors' sRGB profiles round differently."""


def means_srgb(profile: bytes) -> bool:
    """Whether colours taken for sRGB look as the profile wants them, which no viewer tells apart.

    A grid of colours is converted to sRGB; all have to stay as they are.

    Args:
        profile: ICC, RGB or grey. A damaged one counts as saying something else.
    """
    steps = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space == "GRAY":
            grid = np.repeat(steps[None, :, None], 3, axis=2)
            image = Image.fromarray(np.ascontiguousarray(grid[..., 0]))
        else:
            image = Image.fromarray(grid)
        seen = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return seen is not None and int(abs(np.asarray(seen).astype(int) - grid).max()) <= _TOLERANCE


def stated_profile(icc: bytes | None) -> bytes | None:
    """The ICC profile, unless it is one the decoder made up to say sRGB."""
    if not icc or icc[4:8] != b"jxl ":
        return icc or None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = ImageCms.getProfileDescription(profile).strip()
    except (ImageCms.PyCMSError, OSError):
        return icc
    return None if _SAYS_SRGB.fullmatch(name) else icc
