"""Parts of a photo, restored from the tiles that they need, and smaller sizes of it.

A region is put together from whole tiles of the grid that the photo was measured with, so that
its pixels are those of the whole restoration. The LR pixels, the weights and the residual are
checked against what was recorded; the fingerprint is of the whole image, and only that is checked
by it.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from rescaling_core.errors import UsageError
from rescaling_core.hr_tiles import forget, restored_area
from rescaling_core.pixels.area import Area
from rescaling_core.pixels.grey import as_grey
from rescaling_core.plan import AS_STORED

if TYPE_CHECKING:
    from rescaling_core.convert import Models
    from rescaling_core.hr_tiles import Remember
    from rescaling_core.opened import OpenedLr
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array

_REACH: Final = 4
"""Pixels of the smaller image that a resampling filter looks beyond what it is asked for."""


def view(
    opened: OpenedLr,
    models: Models,
    region: Area | None = None,
    size: tuple[int, int] | None = None,
    *,
    remember: Remember = forget,
) -> Photo:
    """A region of a photo, at some size.

    Args:
        opened: The LR file.
        models: Gives the networks that its metadata name.
        region: Of the photo as stored; all of it by default.
        size: (width, height) of the result; by default the region's own. A size at or below that
            of the LR image is made from it, without a network.
        remember: Keeps tiles and residuals for the next call about this LR file.

    Returns:
        Pixels and alpha of the region, with all else that the source carried.

    Raises:
        UsageError: The region does not lie within the photo, or the size is not one.
        RestorationMismatchError: The weights or the residual are not those that were measured.
        WeightsNotFoundError: `models` has no weights of that digest.
    """
    record = opened.metadata
    area = region or Area(0, 0, record.width, record.height)
    area.check_within(record.width, record.height)
    width, height = wanted = size or (area.width, area.height)
    if width < 1 or height < 1:
        raise UsageError(f"size {width} x {height}: both sides are at least 1")
    if is_in_lr(opened, area, wanted):
        pixels = _from_lr(opened, area, wanted)
    else:
        pixels = _resized(restored_area(opened, models, area, remember=remember), wanted)
    alpha = opened.frame.alpha
    if alpha is not None:
        alpha = _resized(alpha[area.rows, area.columns, None], wanted)[..., 0]
    return replace(opened.frame, pixels=pixels, alpha=alpha)


def is_in_lr(opened: OpenedLr, area: Area, size: tuple[int, int]) -> bool:
    """Whether an area at this size, (width, height), is made from the LR image."""
    record = opened.metadata
    if opened.lr.shape[2] < record.channels:  # its colours are hidden
        return False
    width, height = size
    scale = _scale(opened)
    if width > ceil(area.width / scale) or height > ceil(area.height / scale):
        return False
    # A single pixel is as large in both images, and meant is that of the restoration.
    return size != (area.width, area.height) or (record.is_as_stored and record.residual is None)


def enlarged_lr(opened: OpenedLr, area: Area, size: tuple[int, int]) -> U8Array:
    """An area of the LR image at some size, enlarged by a bicubic filter and nothing else.

    It is what a viewer sees who has only the LR image, to compare a restoration with.

    Args:
        opened: The LR file.
        area: Of the photo as stored.
        size: (width, height) of the result.

    Raises:
        UsageError: The area does not lie within the photo.
    """
    area.check_within(opened.metadata.width, opened.metadata.height)
    h, w, _ = opened.lr.shape
    scale = _scale(opened)
    right, bottom = min(w, area.right / scale), min(h, area.bottom / scale)
    box = (area.left / scale, area.top / scale, right, bottom)
    return _resized(opened.lr, size, box, Image.Resampling.BICUBIC)


def _scale(opened: OpenedLr) -> float:
    """HR side / side of the decoded image."""
    record = opened.metadata
    return 1.0 if record.rescaler in AS_STORED else record.scale


def _from_lr(opened: OpenedLr, area: Area, size: tuple[int, int]) -> U8Array:
    """An area at a size that the LR image suffices for."""
    pixels = _resized(opened.lr, size, _box(opened, area))
    return as_grey(pixels) if opened.metadata.channels == 1 else pixels


def _box(opened: OpenedLr, area: Area) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of an area in the LR image."""
    scale, record = _scale(opened), opened.metadata
    h, w, _ = opened.lr.shape
    # Where the HR side is not a multiple of the scale, the last LR pixel reaches beyond it.
    right = w if area.right == record.width else min(w, area.right / scale)
    bottom = h if area.bottom == record.height else min(h, area.bottom / scale)
    return area.left / scale, area.top / scale, right, bottom


def resized(pixels: U8Array, size: tuple[int, int]) -> U8Array:
    """(H, W, C) at (width, height), by Lanczos' filter."""
    return _resized(pixels, size)


def _resized(
    pixels: U8Array,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
    by: Image.Resampling = Image.Resampling.LANCZOS,
) -> U8Array:
    """Resample a box of (H, W, C), all of it by default, to (width, height)."""
    height, width, _ = pixels.shape
    left, top, right, bottom = box or (0.0, 0.0, float(width), float(height))
    across = _REACH * max(1.0, (right - left) / size[0])
    down = _REACH * max(1.0, (bottom - top) / size[1])
    x, y = max(0, floor(left - across)), max(0, floor(top - down))
    near = pixels[y : min(height, ceil(bottom + down)), x : min(width, ceil(right + across))]
    image = Image.fromarray(np.ascontiguousarray(near[..., 0] if near.shape[2] == 1 else near))
    resized = image.resize(size, by, box=(left - x, top - y, right - x, bottom - y))
    samples = np.asarray(resized)
    return samples[..., None] if samples.ndim == 2 else samples
