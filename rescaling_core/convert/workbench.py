"""One photo on its way to one target: what its candidates are made and measured with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rescaling_core import attachment, codecs, metadata, metrics, residual, transcode
from rescaling_core.convert.draft import draft_metadata
from rescaling_core.errors import CodecError
from rescaling_core.plan import FULL_SIZE, TRANSCODE
from rescaling_core.rescale import Tiling, downscale_pixels, restore_pixels

if TYPE_CHECKING:
    from rescaling_core.arrays import U8Array
    from rescaling_core.codecs import CodecSpec
    from rescaling_core.convert.outcome import Models, SourceRef
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.photo import Photo
    from rescaling_core.plan import Candidate, Floor, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A candidate's LR file, its measures still to come."""

    data: bytes
    """Already as long as it will be in the end."""
    pixels: U8Array
    """Decoded from it."""
    draft: RestorationMetadata
    candidate: Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A candidate that was encoded, decoded and restored."""

    encoded: Encoded
    restored: U8Array
    psnr_y: float
    ssim_y: float | None
    """None where the floor does not ask for it; likewise below."""
    max_abs_error: int | None

    def missed(self, floor: Floor) -> str | None:
        """Which measure falls short, or None."""
        return floor.misses(
            psnr_y=self.psnr_y,
            ssim_y=1.0 if self.ssim_y is None else self.ssim_y,
            max_abs_error=0 if self.max_abs_error is None else self.max_abs_error,
        )

    def slack(self, floor: Floor) -> float:
        """How far above the floor, in dB or about; below 0 exactly where it is missed."""
        slacks = [float("inf")]
        if floor.psnr_y is not None:
            slacks.append(self.psnr_y - (floor.psnr_y + floor.margin_db))
        if floor.ssim_y is not None and self.ssim_y is not None:
            slacks.append(50 * (self.ssim_y - floor.ssim_y))
        if floor.max_abs_error is not None and self.max_abs_error is not None:
            slacks.append(0.5 * (floor.max_abs_error - self.max_abs_error))
        return min(slacks)


@dataclass(slots=True, kw_only=True)
class Workbench:
    """Makes candidates of one photo for one target. Each rescaler downscales once."""

    photo: Photo
    source: SourceRef
    target: Target
    floor: Floor
    models: Models
    software: str
    tiling: Tiling
    data: bytes | None
    """The source's bytes, for transcoding them."""
    _lr: dict[str, U8Array] = field(default_factory=dict)

    def encode(self, candidate: Candidate) -> Encoded:
        """Encode the LR image, or at full size the image itself, and decode it.

        Raises:
            CodecError: The codec cannot hold the image or what travels with it.
        """
        lr = self._downscaled(candidate.rescaler)
        draft = self._draft(candidate, lr)
        data = metadata.encode_with_packet(lr, candidate.codec, self.photo, draft)
        decoded = codecs.decode(data, channels=int(lr.shape[2]))
        if decoded.shape != lr.shape:
            raise CodecError(f"codec {candidate.codec}: {lr.shape} came back as {decoded.shape}")
        return Encoded(data=data, pixels=decoded, draft=draft, candidate=candidate)

    def restore(self, encoded: Encoded) -> U8Array:
        """Restore from the decoded LR pixels, as restoration will."""
        draft = encoded.draft
        if draft.rescaler in (FULL_SIZE, TRANSCODE):
            return encoded.pixels
        return restore_pixels(
            self.models(draft.rescaler).rescaler,
            encoded.pixels,
            (self.photo.height, self.photo.width),
            draft.scale,
            seed=draft.latent_seed,
            tiling=self.tiling,
        )

    def add_residual(
        self, base: Encoded, restored: U8Array, spec: CodecSpec
    ) -> tuple[Encoded, U8Array]:
        """Put what `restored` misses into the file, and what that gives beside it."""
        coded = codecs.encode(residual.difference(self.photo.pixels, restored), spec)
        decoded = codecs.decode(coded, channels=int(restored.shape[2]))
        draft = replace(base.draft, residual=residual.describe(coded, spec))
        data = attachment.attach(base.data, "rsdl", coded)
        return replace(base, data=data, draft=draft), residual.add(restored, decoded)

    def transcode(self, candidate: Candidate) -> Encoded:
        """The source's JPEG file as JPEG XL, proven to come back bit for bit.

        Raises:
            CodecError: It does not, or cannot be held.
        """
        if self.data is None:
            raise CodecError("the source's bytes are not at hand to be transcoded")
        pixels = self.photo.pixels
        coded = transcode.from_jpeg(self.data, width=self.photo.width, height=self.photo.height)
        draft = replace(self._draft(candidate, pixels), extras=metadata.Carried())
        room = replace(metadata.measured(draft, pixels, pixels, pixels), tried=9999)
        data = attachment.attach(coded, "meta", room.to_json().encode("ascii"))
        return Encoded(data=data, pixels=pixels, draft=draft, candidate=candidate)

    def measure(self, encoded: Encoded, restored: U8Array) -> Trial:
        """Measure what the floor asks for, and PSNR-Y in any case."""
        pixels, floor = self.photo.pixels, self.floor
        wants_ssim, wants_worst = floor.ssim_y is not None, floor.max_abs_error is not None
        return Trial(
            encoded=encoded,
            restored=restored,
            psnr_y=metrics.psnr_y(restored, pixels),
            ssim_y=metrics.ssim_y(restored, pixels) if wants_ssim else None,
            max_abs_error=metrics.max_abs_error(restored, pixels) if wants_worst else None,
        )

    def measured(self, trial: Trial, tried: int) -> RestorationMetadata:
        """The metadata of a trial, with all measures."""
        final = metadata.measured(
            trial.encoded.draft, trial.encoded.pixels, trial.restored, self.photo.pixels
        )
        return replace(final, tried=tried)

    def _downscaled(self, rescaler: str) -> U8Array:
        if rescaler == FULL_SIZE:
            return self.photo.pixels
        if self.target.scale is None:
            raise ValueError(f"{self.target.name}: a preview has no candidates to try")
        if rescaler not in self._lr:
            model = self.models(rescaler).rescaler
            self._lr[rescaler] = downscale_pixels(
                model, self.photo.pixels, self.target.scale, tiling=self.tiling
            )
        return self._lr[rescaler]

    def _draft(self, candidate: Candidate, lr: U8Array) -> RestorationMetadata:
        draft = draft_metadata(self.photo, self.source, self.target, candidate, lr, self.software)
        if candidate.residual is not None:
            draft = replace(draft, residual=residual.placeholder(candidate.residual.codec))
        if lr is self.photo.pixels:
            return replace(draft, scale=1.0)
        model = self.models(candidate.rescaler)
        return replace(
            draft,
            scale=self.target.scale or 1.0,
            weights_sha256=model.weights_sha256,
            latent_policy=model.rescaler.latent_policy,
            tile=self.tiling.tile,
            overlap=self.tiling.overlap,
        )
