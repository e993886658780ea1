"""Restoration metadata: what a rendition records, embedded in and read from its LR file."""

from rescaling_core.metadata.carried import Carried, carry
from rescaling_core.metadata.embed import encode_with_packet, finalise, read_metadata
from rescaling_core.metadata.evidence import (
    bytes_digest,
    fingerprint,
    fingerprint_agrees,
    measured,
    pixels_digest,
)
from rescaling_core.metadata.giving_back import photo_from_restoration
from rescaling_core.metadata.record import SCHEMA_VERSION, ResidualRecord, RestorationMetadata
from rescaling_core.metadata.xmp import build_packet

__all__ = [
    "SCHEMA_VERSION",
    "Carried",
    "ResidualRecord",
    "RestorationMetadata",
    "build_packet",
    "bytes_digest",
    "carry",
    "encode_with_packet",
    "finalise",
    "fingerprint",
    "fingerprint_agrees",
    "measured",
    "photo_from_restoration",
    "pixels_digest",
    "read_metadata",
]
