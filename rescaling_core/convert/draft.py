"""What is recorded before anything is encoded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rescaling_core import metadata
from rescaling_core.latent import LatentPolicy
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.zoo import NO_WEIGHTS_SHA256

if TYPE_CHECKING:
    from rescaling_core.convert.outcome import SourceRef
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.plan import Candidate, Target

LATENT_SEED: Final = 0
"""Seed of every drawn latent: it is recorded, so one value serves."""


def draft_metadata(
    photo: Photo,
    source: SourceRef,
    target: Target,
    candidate: Candidate,
    lr: U8Array,
    software: str,
) -> RestorationMetadata:
    """Everything but the measures and what only a rescaler knows.

    Args:
        photo: The source, decoded.
        source: Where it came from.
        target: What is made.
        candidate: How.
        lr: (h, w, C), the pixels to be encoded.
        software: Name and version to record.
    """
    extras = metadata.carry(photo, candidate.codec)
    other_planes = lr.shape[2] != photo.pixels.shape[2]
    if other_planes:  # a profile of grey does not fit a file in colour, nor the other way round
        native = tuple(name for name in extras.native if name != "icc")
        extras = replace(extras, native=native, icc=photo.icc)
    return RestorationMetadata(
        source_key=source.key,
        source_etag=source.etag,
        source_size=source.size,
        source_sha256=source.sha256,
        origin="restored image" if source.restored else None,
        width=photo.width,
        height=photo.height,
        mode=photo.mode,
        format=photo.format,
        target=target.name,
        scale=max(photo.width, photo.height) / max(lr.shape[:2]),
        lr_width=int(lr.shape[1]),
        lr_height=int(lr.shape[0]),
        rescaler=candidate.rescaler,
        weights_sha256=NO_WEIGHTS_SHA256,
        latent_policy=LatentPolicy("none"),
        latent_seed=LATENT_SEED,
        codec=str(candidate.codec),
        quality=candidate.codec.quality,
        effort=candidate.codec.effort,
        tile=0,
        overlap=0,
        software=software,
        extras=extras,
        refinement=candidate.refinement or None,
        made_from=photo.made_from,
        lr_channels=int(lr.shape[2]) if other_planes else None,
    )
