"""LR pixels ⇄ LR bytes: one interface over the codecs of this installation.

Encoders are libraries. Pixels go in and come out as stored; what a viewer needs (orientation,
colour profile) is embedded natively.
"""

from rescaling_core.codecs.files import (
    Encode,
    available,
    check_available,
    decode,
    encode,
    encode_image,
    extension,
    read_extras,
    read_xmp,
)
from rescaling_core.codecs.spec import CODECS, CodecSpec, codec_of
from rescaling_core.codecs.traits import NO_EXTRAS, Codec, FileExtras

__all__ = [
    "CODECS",
    "NO_EXTRAS",
    "Codec",
    "CodecSpec",
    "Encode",
    "FileExtras",
    "available",
    "check_available",
    "codec_of",
    "decode",
    "encode",
    "encode_image",
    "extension",
    "read_extras",
    "read_xmp",
]
