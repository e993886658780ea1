"""Restoration metadata: what a rendition records, embedded in and read from its LR file."""

from rescaling_core.metadata.carried import Carried, carry
from rescaling_core.metadata.embed import (
    encode_with_record,
    finalise,
    names_restoration,
    read_metadata,
    with_room,
)
from rescaling_core.metadata.evidence import (
    DIGEST_DIGITS,
    bytes_digest,
    fingerprint,
    fingerprint_agrees,
    measured,
    pixels_agree,
    pixels_digest,
)
from rescaling_core.metadata.giving_back import photo_from_restoration
from rescaling_core.metadata.parts import FITTED_VERSION, ResidualRecord
from rescaling_core.metadata.record import SCHEMA_VERSION, RestorationMetadata

__all__ = [
    "DIGEST_DIGITS",
    "FITTED_VERSION",
    "SCHEMA_VERSION",
    "Carried",
    "ResidualRecord",
    "RestorationMetadata",
    "bytes_digest",
    "carry",
    "encode_with_record",
    "finalise",
    "fingerprint",
    "fingerprint_agrees",
    "measured",
    "names_restoration",
    "photo_from_restoration",
    "pixels_agree",
    "pixels_digest",
    "read_metadata",
    "with_room",
]
