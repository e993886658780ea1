"""Restoration metadata in and out of LR files.

The measures are known only after the LR file was encoded, decoded and restored. So the file is
encoded once, with a draft in an uncompressed XMP packet that leaves room, and the packet is then
overwritten in place: pixels cannot change, and nothing is encoded twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec, Encode, FileExtras
from rescaling_core.containers import attachment, png
from rescaling_core.errors import CodecError, MetadataError
from rescaling_core.metadata.record import RestorationMetadata
from rescaling_core.metadata.xmp import build_packet, parse_packet

if TYPE_CHECKING:
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array


def encode_with_packet(
    pixels: U8Array,
    spec: CodecSpec,
    photo: Photo,
    draft: RestorationMetadata,
    *,
    encode: Encode | None = None,
) -> bytes:
    """Encode an LR image with its metadata, the measures still to come.

    Args:
        pixels: (h, w, C), the LR image.
        spec: Its codec.
        photo: The source: its orientation and colour profile go into the file.
        draft: Metadata whose `extras` are `carry(photo, spec)`.
        encode: Encodes; by default `codecs.encode`.

    Raises:
        CodecError: The codec cannot hold the pixels or all that travels with them.
    """
    extras = FileExtras(icc=photo.icc, exif=photo.exif, xmp=build_packet(draft))
    return (encode or codecs.encode)(pixels, spec, extras=extras)


def finalise(lr_data: bytes, metadata: RestorationMetadata) -> bytes:
    """Overwrite the draft in an LR file, at equal length.

    Args:
        lr_data: What `encode_with_packet` gave.
        metadata: The draft with its measures.

    Raises:
        MetadataError: The file holds no packet of ours, or the metadata do not fit it.
    """
    old = codecs.read_xmp(lr_data)
    if old is None or parse_packet(old) is None or lr_data.count(old) != 1:
        raise MetadataError(f"{metadata.source_key}: the LR file holds no packet to finish")
    new = build_packet(metadata, length=len(old))
    at = lr_data.index(old)
    out = bytearray(lr_data)
    out[at : at + len(old)] = new
    if lr_data.startswith(png.SIGNATURE):
        png.with_checksum(out, at)
    return bytes(out)


def read_metadata(data: bytes) -> RestorationMetadata:
    """Read the metadata embedded in an LR file.

    Raises:
        MetadataError: There is none, it is damaged, or of a version this release cannot read.
    """
    try:
        packet = codecs.read_xmp(data)
        text = None if packet is None else parse_packet(packet)
        if text is None:
            attached = attachment.read(data, "meta")
            text = None if attached is None else attached.decode("ascii", "replace")
    except CodecError as error:
        raise MetadataError(f"no restoration metadata: {error}") from error
    if text is None:
        raise MetadataError("no restoration metadata: the file was not made by Refold, or lost it")
    return RestorationMetadata.from_json(text)
