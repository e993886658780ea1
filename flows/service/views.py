"""Pictures of an upright image, as IIIF and the pages ask for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from flows.service.asking import Asked
from flows.service.iiif import Grid, ImageRequest
from rescaling_core.containers import exif
from rescaling_core.opened import OpenedLr
from rescaling_core.photo import Photo
from rescaling_core.photo.encode import as_image
from rescaling_core.photo.served import default_options, encode_served, saved
from rescaling_core.pixels.area import as_stored, upright, upright_size
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.plan import AS_STORED
from rescaling_core.regions import enlarged_lr, resized


def upright_size_of(opened: OpenedLr) -> tuple[int, int]:
    """Width and height once it is upright."""
    frame = opened.frame
    return upright_size(frame.width, frame.height, frame.orientation)


def grid_of(opened: OpenedLr) -> Grid:
    """How the image is stored."""
    record = opened.metadata
    at_full_size = record.rescaler in AS_STORED
    return Grid(1.0 if at_full_size else record.scale, 0 if at_full_size else record.tile)


def picture(asked: Asked, wanted: ImageRequest, kept_only: bool) -> bytes:
    """The file that a request of the Image API gets.

    Raises:
        NotKeptError: A network would have to run, and none is to.
        RefoldError: The rendition is missing or damaged, or the store fails.
    """
    opened = asked.archive.opened(asked.row)
    frame = opened.frame
    turned = frame.orientation
    area = as_stored(wanted.area, frame.width, frame.height, turned)
    size = upright_size(*wanted.size, turned)
    photo = turned_upright(asked.archive.view(asked.row, area, size, kept_only=kept_only))
    asked.service.metrics.pixels.inc(photo.width * photo.height)
    photo = _rotated(photo, mirrored=wanted.mirrored, degrees=wanted.degrees)
    if wanted.quality in ("default", "color"):
        return encode_served(photo, wanted.format)
    grey = as_image(photo).convert("LA" if photo.alpha is not None else "L")
    if wanted.quality == "bitonal":
        grey = _bitonal(grey)
    return saved(grey, wanted.format, default_options(wanted.format))


def turned_upright(photo: Photo) -> Photo:
    """The same photo with its rows and columns as they are seen."""
    turned = photo.orientation
    if turned == 1:
        return photo
    return replace(
        photo,
        pixels=upright(photo.pixels, turned),
        alpha=None if photo.alpha is None else upright(photo.alpha, turned),
        exif=exif.with_orientation(photo.exif or b"", 1),
    )


def _rotated(photo: Photo, *, mirrored: bool, degrees: int) -> Photo:
    """Mirrored from left to right, then turned clockwise."""

    def turn(plane: np.ndarray) -> np.ndarray:
        if mirrored:
            plane = plane[:, ::-1]
        return np.ascontiguousarray(np.rot90(plane, -degrees // 90))

    if not mirrored and not degrees:
        return photo
    return replace(
        photo,
        pixels=turn(photo.pixels),
        alpha=None if photo.alpha is None else turn(photo.alpha),
    )


def _bitonal(grey: Image.Image) -> Image.Image:
    """Black and white by a threshold in the middle."""
    return grey.convert("L").point([0] * 128 + [255] * 128)


def beside(asked: Asked, wanted: ImageRequest, layer: str) -> bytes | None:
    """A part of what a restoration is compared with, as PNG; None if there is no such thing.

    Args:
        asked: The rendition.
        wanted: Which part, of the upright image.
        layer: `lr` for the LR image enlarged by a bicubic filter, `source` for the source.

    Raises:
        RefoldError: The rendition is missing or damaged, or the store fails.
    """
    opened = asked.archive.opened(asked.row)
    frame = opened.frame
    area = as_stored(wanted.area, frame.width, frame.height, frame.orientation)
    size = upright_size(*wanted.size, frame.orientation)
    if layer == "lr":
        pixels = enlarged_lr(opened, area, size)
    else:
        source = asked.archive.source(asked.row)
        if source is None:
            return None
        pixels = resized(source[area.rows, area.columns], size)
    return as_png(pixels, frame)


def as_png(pixels: U8Array, frame: Photo) -> bytes:
    """Pixels as they are stored, (h, w, C), turned upright and in the colours of a photo."""
    turned = upright(pixels, frame.orientation)
    image = Image.fromarray(turned[..., 0] if turned.shape[2] == 1 else turned)
    options = default_options("png") | ({"icc_profile": frame.icc} if frame.icc else {})
    return saved(image, "png", options)
