"""Photographs: file bytes ⇄ pixels and all that travels with them."""

from rescaling_core.photo.decode import DEFAULT_MAX_PIXELS, decode_photo, decode_reduced
from rescaling_core.photo.encode import encode_photo, restored_extension
from rescaling_core.photo.foreign import DEFAULT_MAX_CARRIED, MOST_CARRIED
from rescaling_core.photo.opening import stated_pixels
from rescaling_core.photo.record import Foreign, JpegTraits, Photo, Reduced, Traits
from rescaling_core.photo.restored_file import RestoredFile, prove_given_back, restored_file
from rescaling_core.photo.restored_formats import EXTENSIONS as RESTORED_EXTENSIONS
from rescaling_core.photo.restored_formats import RestoredFormat, own_format
from rescaling_core.photo.shown import decode_for_preview, decode_shown, shown_pixels

__all__ = [
    "DEFAULT_MAX_CARRIED",
    "DEFAULT_MAX_PIXELS",
    "MOST_CARRIED",
    "RESTORED_EXTENSIONS",
    "Foreign",
    "JpegTraits",
    "Photo",
    "Reduced",
    "RestoredFile",
    "RestoredFormat",
    "Traits",
    "decode_for_preview",
    "decode_photo",
    "decode_reduced",
    "decode_shown",
    "encode_photo",
    "own_format",
    "prove_given_back",
    "restored_extension",
    "restored_file",
    "shown_pixels",
    "stated_pixels",
]
