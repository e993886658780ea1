"""Photographs: file bytes ⇄ pixels and all that travels with them."""

from rescaling_core.photo.decode import DEFAULT_MAX_PIXELS, decode_photo
from rescaling_core.photo.encode import encode_photo, restored_extension
from rescaling_core.photo.opening import stated_pixels
from rescaling_core.photo.record import JpegTraits, Photo, Traits

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "JpegTraits",
    "Photo",
    "Traits",
    "decode_photo",
    "encode_photo",
    "restored_extension",
    "stated_pixels",
]
