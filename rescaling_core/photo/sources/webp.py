"""WebP sources: every chunk, and what follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rescaling_core.containers import exif, riff
from rescaling_core.containers.parts import METADATA, UNKNOWN
from rescaling_core.errors import UnreadableImageError
from rescaling_core.photo.foreign import foreign_of, refuse_gain_map, refuse_too_much
from rescaling_core.photo.opening import open_image
from rescaling_core.photo.record import Photo, Traits
from rescaling_core.photo.sources.shared import load, named, refuse_mode, refuse_sequence

if TYPE_CHECKING:
    from rescaling_core.photo.sources.shared import Limits


def decode(data: bytes, limits: Limits) -> Photo:
    """Decode a WebP.

    Raises:
        UnreadableImageError: It ends early, or the decoder fails.
        UnsupportedImageError: It would lose something; the message says what.
    """
    with open_image(data, max_pixels=limits.max_pixels) as image:
        refuse_sequence(image)
        refuse_mode(image)
        try:
            parts = riff.parts(data)
        except ValueError as error:
            raise UnreadableImageError(f"damaged or truncated: {error}") from error
        sizes = [part.length for part in parts if part.kind in (METADATA, UNKNOWN)]
        refuse_too_much(sizes, limits.max_carried)
        foreign = foreign_of(data, parts)
        xmp = named(parts, data, "xmp")
        refuse_gain_map(xmp)
        pixels, alpha = load(image)
        return Photo(
            pixels=pixels,
            alpha=alpha,
            mode=image.mode,
            format="WEBP",
            icc=named(parts, data, "icc"),
            exif=exif.without_prefix(named(parts, data, "exif")),
            xmp=xmp,
            traits=Traits(foreign=foreign),
        )
