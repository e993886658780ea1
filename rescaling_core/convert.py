"""One photo and one target in, one rendition out, restored from its own bytes and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rescaling_core import codecs, metadata, metrics
from rescaling_core.errors import CodecError, RestorationMismatchError
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.networks.latent import LatentPolicy
from rescaling_core.rescale import DEFAULT_TILING, Tiling, downscale_pixels, restore_pixels
from rescaling_core.zoo import NO_WEIGHTS_SHA256, LoadedRescaler

if TYPE_CHECKING:
    from rescaling_core.arrays import U8Array
    from rescaling_core.photo import Photo
    from rescaling_core.plan import Candidate, Floor, Target, TargetPlan

LATENT_SEED = 0
"""Seed of every drawn latent: it is recorded, so one value serves."""

Models = Callable[[str], LoadedRescaler]
"""From a rescaler id to the network with its weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """The HR object as it lies in storage."""

    key: str
    etag: str
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """The stored result for one source and one target."""

    target: Target
    lr_data: bytes
    """The LR file, restoration metadata embedded."""
    extension: str
    """With its dot."""
    metadata: RestorationMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """No rendition for this target: the source stays as it is, and why."""

    target: Target
    reason: str
    best: RestorationMetadata | None = None
    """What the best candidate reached, if one was made."""


def convert(
    photo: Photo,
    source: SourceRef,
    plan: TargetPlan,
    models: Models,
    *,
    software: str,
    tiling: Tiling = DEFAULT_TILING,
) -> Rendition | Kept:
    """Make the cheapest rendition that reaches the floor.

    Every candidate is encoded, decoded and restored for real before it is judged.

    Args:
        photo: The decoded source.
        source: Where it came from.
        plan: The target, its candidates and its floor.
        models: Gives the rescalers by their ids.
        software: Name and version to record.
        tiling: How large images are cut; recorded.

    Returns:
        The rendition with the fewest bytes among those that reach the floor and are smaller than
        the source, else why the source is kept.
    """
    if plan.target.preview_only:
        return _preview(photo, source, plan, software)
    best: Rendition | None = None
    misses: list[Kept] = []
    for candidate in plan.candidates:
        outcome = _try_candidate(photo, source, plan, candidate, models, software, tiling)
        if isinstance(outcome, Kept):
            misses.append(outcome)
        elif best is None or len(outcome.lr_data) < len(best.lr_data):
            best = outcome
    if best is None:
        return max(misses, key=_quality_reached)
    return best


def _try_candidate(
    photo: Photo,
    source: SourceRef,
    plan: TargetPlan,
    candidate: Candidate,
    models: Models,
    software: str,
    tiling: Tiling,
) -> Rendition | Kept:
    """Encode, decode, restore and measure one candidate."""
    target = plan.target
    if target.scale is None:
        raise ValueError(f"{target.name}: a preview has no candidates to try")
    model = models(candidate.rescaler)
    lr = downscale_pixels(model.rescaler, photo.pixels, target.scale, tiling=tiling)
    draft = replace(
        _draft(photo, source, target, candidate, lr, software),
        scale=target.scale,
        weights_sha256=model.weights_sha256,
        latent_policy=model.rescaler.latent_policy,
        tile=tiling.tile,
        overlap=tiling.overlap,
    )
    try:
        encoded = metadata.encode_with_packet(lr, candidate.codec, photo, draft)
    except CodecError as error:
        return Kept(target=target, reason=str(error))
    decoded = _decoded(encoded, lr, candidate)
    restored = restore_pixels(
        model.rescaler,
        decoded,
        (photo.height, photo.width),
        target.scale,
        seed=draft.latent_seed,
        tiling=tiling,
    )
    measured = _measured(draft, decoded, restored, photo)
    if missed := _missed(plan.floor, measured):
        return Kept(target=target, reason=missed, best=measured)
    lr_data = _finalised(encoded, measured, decoded)
    if len(lr_data) >= source.size:
        reason = f"not smaller: the rendition takes {len(lr_data)} bytes, the source {source.size}"
        return Kept(target=target, reason=reason, best=measured)
    extension = codecs.extension(candidate.codec)
    return Rendition(target=target, lr_data=lr_data, extension=extension, metadata=measured)


def _preview(photo: Photo, source: SourceRef, plan: TargetPlan, software: str) -> Rendition | Kept:
    """Make a preview: nothing is restored from it, so nothing but its size is checked."""
    target = plan.target
    candidate = plan.candidates[0]
    size = target.preview_size(photo.width, photo.height)
    samples = photo.pixels[..., 0] if photo.pixels.shape[2] == 1 else photo.pixels
    resized = Image.fromarray(samples).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    lr = np.asarray(resized)
    lr = lr[..., None] if lr.ndim == 2 else lr
    draft = _draft(photo, source, target, candidate, lr, software)
    draft = replace(draft, extras=metadata.Carried(native=draft.extras.native))
    try:
        encoded = metadata.encode_with_packet(lr, candidate.codec, photo, draft)
    except CodecError as error:
        return Kept(target=target, reason=str(error))
    decoded = _decoded(encoded, lr, candidate)
    final = replace(draft, lr_pixels_sha256=metadata.pixels_digest(decoded))
    lr_data = _finalised(encoded, final, decoded)
    extension = codecs.extension(candidate.codec)
    return Rendition(target=target, lr_data=lr_data, extension=extension, metadata=final)


def _draft(
    photo: Photo,
    source: SourceRef,
    target: Target,
    candidate: Candidate,
    lr: U8Array,
    software: str,
) -> RestorationMetadata:
    """What is known before anything is encoded; of a preview, all but the LR digest."""
    return RestorationMetadata(
        source_key=source.key,
        source_etag=source.etag,
        source_size=source.size,
        source_sha256=source.sha256,
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
        tile=0,
        overlap=0,
        software=software,
        extras=metadata.carry(photo, candidate.codec),
    )


def _decoded(encoded: bytes, lr: U8Array, candidate: Candidate) -> U8Array:
    decoded = codecs.decode(encoded, channels=int(lr.shape[2]))
    if decoded.shape != lr.shape:
        raise CodecError(f"codec {candidate.codec}: {lr.shape} came back as {decoded.shape}")
    return decoded


def _measured(
    draft: RestorationMetadata, decoded: U8Array, restored: U8Array, photo: Photo
) -> RestorationMetadata:
    return replace(
        draft,
        lr_pixels_sha256=metadata.pixels_digest(decoded),
        psnr_y=metrics.psnr_y(restored, photo.pixels),
        ssim_y=metrics.ssim_y(restored, photo.pixels),
        max_abs_error=metrics.max_abs_error(restored, photo.pixels),
        fingerprint=metadata.fingerprint(restored),
    )


def _missed(floor: Floor, measured: RestorationMetadata) -> str | None:
    if measured.psnr_y is None or measured.ssim_y is None or measured.max_abs_error is None:
        raise ValueError(f"{measured.source_key}: not measured")
    return floor.misses(
        psnr_y=measured.psnr_y, ssim_y=measured.ssim_y, max_abs_error=measured.max_abs_error
    )


def _finalised(encoded: bytes, final: RestorationMetadata, decoded: U8Array) -> bytes:
    """Write the metadata into the file and prove that file and pixels are still what they were.

    Raises:
        RestorationMismatchError: They are not.
    """
    lr_data = metadata.finalise(encoded, final)
    same_pixels = np.array_equal(codecs.decode(lr_data, channels=int(decoded.shape[2])), decoded)
    if not same_pixels or metadata.read_metadata(lr_data) != final:
        raise RestorationMismatchError(
            f"{final.source_key} at {final.target}: the LR file does not read back as written"
        )
    return lr_data


def _quality_reached(kept: Kept) -> float:
    return -np.inf if kept.best is None or kept.best.psnr_y is None else kept.best.psnr_y
