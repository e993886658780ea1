"""A restored picture with all that the source carried: size, mode, alpha, profile, EXIF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rescaling_core import codecs
from rescaling_core.errors import MetadataError, PhotoError
from rescaling_core.photo.opening import open_image
from rescaling_core.photo.record import MODES, Photo

if TYPE_CHECKING:
    from rescaling_core.metadata.record import RestorationMetadata
    from rescaling_core.pixels.arrays import U8Array


def photo_from_restoration(pixels: U8Array, metadata: RestorationMetadata, lr_data: bytes) -> Photo:
    """Give restored pixels back all that their source carried.

    Args:
        pixels: (H, W, C), restored.
        metadata: Of the rendition.
        lr_data: The LR file, for what lies in it natively.

    Raises:
        MetadataError: The LR file has lost what it held, or the metadata do not fit the pixels.
    """
    if pixels.shape[:2] != (metadata.height, metadata.width):
        raise MetadataError(
            f"{metadata.source_key}: restored to {pixels.shape[1]} x {pixels.shape[0]}, "
            f"recorded are {metadata.width} x {metadata.height}"
        )
    carried = metadata.extras
    values: dict[str, bytes | None] = {"icc": carried.icc, "exif": carried.exif}
    if carried.native:
        held = codecs.read_extras(lr_data)
        for name in carried.native:
            values[name] = getattr(held, name)
            if values[name] is None:
                raise MetadataError(f"{metadata.source_key}: the LR file has lost its {name}")
    planes, has_alpha = MODES[metadata.mode]
    if pixels.shape[2] != planes or has_alpha != (carried.alpha is not None):
        raise MetadataError(
            f"{metadata.source_key}: channels or alpha are not of mode {metadata.mode}"
        )
    return Photo(
        pixels=pixels,
        alpha=None if carried.alpha is None else _alpha_plane(carried.alpha, pixels, metadata),
        mode=metadata.mode,
        format=metadata.format,
        icc=values["icc"],
        exif=values["exif"],
        xmp=carried.xmp,
        dpi=carried.dpi,
        traits=carried.traits,
    )


def _alpha_plane(png: bytes, pixels: U8Array, metadata: RestorationMetadata) -> U8Array:
    try:
        with open_image(png, max_pixels=pixels.shape[0] * pixels.shape[1]) as image:
            image.load()
            plane = np.array(image)
    except PhotoError as error:
        raise MetadataError(f"{metadata.source_key}: alpha: {error}") from error
    if plane.shape != pixels.shape[:2] or plane.dtype != np.uint8:
        raise MetadataError(
            f"{metadata.source_key}: alpha is not an 8-bit plane of the image's size"
        )
    return plane
