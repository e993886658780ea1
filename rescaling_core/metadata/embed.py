"""Restoration metadata in and out of LR files.

The record is attached to the file as its codec wrote it, so the file need not be encoded again when
the measures are known: the record that kept room for them is replaced. Files of version 1 hold
theirs in an XMP packet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec, Encode, FileExtras, attachment
from rescaling_core.errors import CodecError, MetadataError
from rescaling_core.metadata.evidence import DIGEST_DIGITS, fingerprint
from rescaling_core.metadata.record import RestorationMetadata
from rescaling_core.metadata.xmp import NAMESPACE, parse_packet
from rescaling_core.quality.scores import usual

if TYPE_CHECKING:
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array

_FINGERPRINTS = {planes: fingerprint(np.zeros((1, 1, planes), np.uint8)) for planes in (1, 3)}


def encode_with_record(
    pixels: U8Array,
    spec: CodecSpec,
    photo: Photo,
    draft: RestorationMetadata,
    *,
    encode: Encode | None = None,
) -> bytes:
    """Encode an LR image and attach its metadata, with room for the measures still to come.

    Args:
        pixels: (h, w, C), the LR image.
        spec: Its codec.
        photo: The source: its orientation and colour profile go into the file.
        draft: Metadata whose `extras` are `carry(photo, spec)`.
        encode: Encodes; by default `codecs.encode`.

    Raises:
        CodecError: The codec cannot hold the pixels or all that travels with them.
    """
    extras = FileExtras(icc=photo.icc, exif=photo.exif)
    bare = (encode or codecs.encode)(pixels, spec, extras=extras)
    return finalise(bare, with_room(draft))


def names_restoration(data: bytes) -> bool:
    """Whether a file carries restoration metadata, damaged or not: Refold made it.

    None of the formats compresses packets or attachments, so that a look at the bytes mostly tells.
    """
    if NAMESPACE.encode("ascii") in data:
        return True
    if not any(sign in data for sign in attachment.SIGNS):
        return False
    try:
        return attachment.read(data, "meta") is not None
    except CodecError:
        return False


def finalise(lr_data: bytes, metadata: RestorationMetadata) -> bytes:
    """Attach metadata to an LR file, in the place of what it may hold.

    A record that is `with_room` is as long as the same with any measures.

    Args:
        lr_data: An LR file.
        metadata: The draft with its measures.

    Raises:
        CodecError: The file cannot hold them.
    """
    return attachment.attach(attachment.without(lr_data, "meta"), "meta", metadata.to_bytes())


def with_room(draft: RestorationMetadata) -> RestorationMetadata:
    """A draft with measures in the place of those to come, which will take as many bytes."""
    planes = draft.channels if draft.restorer is None else 1
    measures: dict[str, Any] = {one.name: 0 if one.whole else 0.0 for one in usual()}
    return replace(
        draft,
        lr_pixels_sha256="0" * DIGEST_DIGITS,
        tried=0,
        fingerprint=None if draft.is_told_by_pixels else _FINGERPRINTS[planes],
        **measures,
    )


def read_metadata(data: bytes) -> RestorationMetadata:
    """Read the metadata embedded in an LR file.

    Raises:
        MetadataError: There is none, it is damaged, or of a version this release cannot read.
    """
    try:
        attached = attachment.read(data, "meta")
        if attached is not None:
            return RestorationMetadata.from_bytes(attached)
        packet = codecs.read_xmp(data)
        text = None if packet is None else parse_packet(packet)
    except CodecError as error:
        raise MetadataError(f"no restoration metadata: {error}") from error
    if text is None:
        raise MetadataError("no restoration metadata: the file was not made by Refold, or lost it")
    return RestorationMetadata.from_json(text)
