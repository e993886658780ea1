"""One photo on its way to one target: what its candidates are made and measured with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rescaling_core import codecs, metadata
from rescaling_core.codecs import attachment, transcode
from rescaling_core.convert import residual
from rescaling_core.convert.ascent import Plain
from rescaling_core.convert.draft import LATENT_SEED, draft_metadata
from rescaling_core.convert.outcome import restorer_of
from rescaling_core.convert.trial import Encoded, Trial
from rescaling_core.errors import CodecError, UsageError
from rescaling_core.fitted import filtered, fit
from rescaling_core.pixels import differences
from rescaling_core.pixels.grey import as_colour, as_grey
from rescaling_core.plan import AS_STORED, FULL_SIZE
from rescaling_core.quality.pixel_measures import PSNR_Y
from rescaling_core.quality.scores import known, measure_all
from rescaling_core.rescale import downscale_pixels, restore_pixels
from rescaling_core.rescale.decoded import restore_decoded
from rescaling_core.rescale.refine import Refinement, refine_pixels

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rescaling_core.codecs import CodecSpec, Encode
    from rescaling_core.convert.outcome import Models, SourceRef
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.pixels.tiles import Tiling
    from rescaling_core.plan import Candidate, Floor, Target
    from rescaling_core.zoo.restorers import LoadedRestorer


@dataclass(slots=True, kw_only=True)
class Workbench:
    """Makes candidates of one photo for one target. Each rescaler downscales and refines once."""

    photo: Photo
    source: SourceRef
    target: Target
    floor: Floor
    models: Models
    software: str
    tiling: Tiling
    data: bytes | None
    """The source's bytes, for transcoding them."""
    lane: AbstractContextManager[None]
    """Held while a rescaler works."""
    encode_pixels: Encode
    _lr: dict[tuple[str, str, int], U8Array] = field(default_factory=dict)
    """By rescaler, mode and steps of refinement."""

    def encode(self, candidate: Candidate) -> Encoded:
        """Encode the LR image, or at full size the image itself, and decode it.

        Raises:
            CodecError: The codec cannot hold the image or what travels with it.
        """
        lr = self._lr_image(candidate)
        draft = self._draft(candidate, lr)
        photo = self.photo
        if draft.lr_channels is not None:  # it would not fit the file: see the draft
            photo = replace(photo, icc=None)
        data = metadata.encode_with_record(
            lr, candidate.codec, photo, draft, encode=self.encode_pixels
        )
        decoded = codecs.decode(data, channels=int(lr.shape[2]))
        if decoded.shape != lr.shape:
            raise CodecError(f"codec {candidate.codec}: {lr.shape} came back as {decoded.shape}")
        return Encoded(data=data, pixels=decoded, draft=draft, candidate=candidate)

    def with_restorer(self, plain: Encoded, name: str) -> Encoded | None:
        """The same file, to be restored by a restorer; None if it was not trained for the quality.

        Raises:
            CodecError: It is for pictures of another codec.
        """
        loaded = self.restorer(name)
        self._check_scale(plain, loaded)
        spec = plain.candidate.codec
        try:
            loaded.check_but_effort(spec)
        except UsageError as error:
            if str(spec) != loaded.coding.codec:
                raise CodecError(str(error)) from error
            return None
        draft = replace(plain.draft, restorer=loaded.id, weights_sha256=loaded.weights_sha256)
        data = metadata.finalise(plain.data, metadata.with_room(draft))
        candidate = replace(plain.candidate, restorer=name)
        return replace(plain, data=data, draft=draft, candidate=candidate)

    def with_fitted(self, encoded: Encoded, restored: U8Array) -> Plain | None:
        """The same file with a filter fitted to what it restores to; None where none pays."""
        with self.lane:
            found = fit(restored, self.photo.pixels, len(encoded.data))
            if found is None:
                return None
            better = filtered(restored, found)
        draft = replace(encoded.draft, fitted=found, schema_version=metadata.FITTED_VERSION)
        data = metadata.finalise(encoded.data, metadata.with_room(draft))
        return Plain(replace(encoded, data=data, draft=draft), better)

    def behind(self, base: Encoded, name: str) -> Encoded:
        """A small image that a restorer enlarges, to which a residual is to be added.

        Raises:
            CodecError: The restorer is for other pictures.
        """
        enlarged = self.with_restorer(base, name)
        if enlarged is None:
            quality = base.candidate.codec.quality
            raise CodecError(f"restorer {name}: it was not trained for quality {quality}")
        return enlarged

    def _check_scale(self, plain: Encoded, loaded: LoadedRestorer) -> None:
        if loaded.network.scale != plain.draft.scale:
            raise CodecError(
                f"restorer {loaded.id}: it is for x{loaded.network.scale}, "
                f"not for x{plain.draft.scale:g}"
            )

    def restorer(self, name: str) -> LoadedRestorer:
        """Look a restorer up."""
        return restorer_of(self.models, name)

    def restore(self, encoded: Encoded) -> U8Array:
        """Restore from the decoded LR pixels, as restoration will."""
        draft = encoded.draft
        if encoded.candidate.restorer is not None:
            loaded = self.restorer(encoded.candidate.restorer)
            with self.lane:
                better = restore_decoded(encoded.pixels, draft.quality or 0, loaded.network)
            better = better[: self.photo.height, : self.photo.width]
            return as_grey(better) if draft.channels == 1 else better
        if draft.rescaler in AS_STORED:
            return encoded.pixels
        with self.lane:
            restored = restore_pixels(
                self.models(draft.rescaler, draft.weights_sha256).rescaler,
                encoded.pixels,
                (self.photo.height, self.photo.width),
                draft.scale,
                seed=draft.latent_seed,
                tiling=self.tiling,
            )
        return as_grey(restored) if draft.channels == 1 else restored

    def add_residual(
        self, base: Encoded, restored: U8Array, spec: CodecSpec, *, luma: bool = False
    ) -> Plain:
        """Put what `restored` misses into the file, and what that gives beside it."""
        luma = luma and restored.shape[2] == 3
        missing = differences.difference(self.photo.pixels, restored, luma=luma)
        coded = self.encode_pixels(missing, spec)
        decoded = codecs.decode(coded, channels=int(missing.shape[2]))
        draft = replace(base.draft, residual=residual.describe(coded, spec, luma=luma))
        data = attachment.attach(attachment.without(base.data, "meta"), "rsdl", coded)
        data = metadata.finalise(data, metadata.with_room(draft))
        total = differences.add(restored, decoded)
        return Plain(replace(base, data=data, draft=draft, residual_spec=spec), total)

    def filters(self, base: Encoded) -> bool:
        """Whether what enlarges a small image has a filter for the sum with a residual."""
        name = base.candidate.restorer
        return name is not None and self.restorer(name).final is not None

    def with_filter(self, plain: Encoded) -> Encoded | None:
        """The same file, its sum to be filtered; None where no filter was trained for it."""
        name, spec = plain.candidate.restorer, plain.residual_spec
        final = None if name is None else self.restorer(name).final
        record = plain.draft.residual
        if final is None or spec is None or record is None:
            return None
        try:
            final.coding.check_but_effort(spec, name=str(name))
        except UsageError:
            return None
        draft = replace(plain.draft, residual=replace(record, filtered=True))
        data = metadata.finalise(plain.data, metadata.with_room(draft))
        return replace(plain, data=data, draft=draft)

    def filtered(self, encoded: Encoded, enlarged: U8Array, total: U8Array) -> U8Array:
        """What the final filter makes of a sum."""
        loaded, draft = self.restorer(str(encoded.candidate.restorer)), encoded.draft
        assert loaded.final is not None
        assert draft.residual is not None
        with self.lane:
            return residual.filtered(loaded.final.network, enlarged, total, draft)

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
        data = metadata.finalise(coded, metadata.with_room(draft))
        return Encoded(data=data, pixels=pixels, draft=draft, candidate=candidate)

    def measure(self, encoded: Encoded, restored: U8Array) -> Trial:
        """Measure PSNR-Y, and where that is enough whatever else the floor asks for.

        The costly measures come last, and only where all others are reached.
        """
        pixels, floor = self.photo.pixels, self.floor
        others = [measure for measure, _ in known(floor) if measure is not PSNR_Y]
        first = measure_all(restored, pixels, [PSNR_Y])
        trial = Trial(encoded=encoded, restored=restored, **first)
        for costly in (False, True):
            if trial.falls_short(floor):
                return trial
            asked = [measure for measure in others if measure.costly == costly]
            trial = replace(trial, **measure_all(restored, pixels, asked))
        return trial

    def measured(self, trial: Trial, tried: int) -> RestorationMetadata:
        """The metadata of a trial, with all measures."""
        final = metadata.measured(
            trial.encoded.draft, trial.encoded.pixels, trial.restored, self.photo.pixels
        )
        costly: dict[str, Any] = {one.name: value for one, value in known(trial) if one.costly}
        return replace(final, tried=tried, **costly)

    def _lr_image(self, candidate: Candidate) -> U8Array:
        """What is to be encoded; made once for all qualities."""
        if candidate.rescaler == FULL_SIZE:
            return self.photo.pixels
        key = (candidate.rescaler, candidate.lr_mode, candidate.refinement)
        if key not in self._lr:
            self._lr[key] = self._rescaled(candidate)
        return self._lr[key]

    def _rescaled(self, candidate: Candidate) -> U8Array:
        scale = self.target.scale
        if scale is None:
            raise ValueError(f"{self.target.name}: a preview has no candidates to try")
        pixels = self.photo.pixels
        if candidate.lr_mode == "colour":
            pixels = as_colour(pixels)
        plain = self._lr_image(replace(candidate, refinement=0)) if candidate.refinement else None
        with self.lane:
            rescaler = self.models(candidate.rescaler).rescaler
            if plain is None:
                return downscale_pixels(rescaler, pixels, scale, tiling=self.tiling)
            how = Refinement(steps=candidate.refinement)
            return refine_pixels(rescaler, plain, pixels, scale, refinement=how, seed=LATENT_SEED)

    def _draft(self, candidate: Candidate, lr: U8Array) -> RestorationMetadata:
        draft = draft_metadata(self.photo, self.source, self.target, candidate, lr, self.software)
        if candidate.residual is not None:
            luma = candidate.residual.luma and lr.shape[2] == 3
            kept = residual.placeholder(candidate.residual.codec, luma=luma)
            draft = replace(draft, residual=kept)
        room: dict[str, Any] = {one.name: one.best for one, _ in known(self.floor) if one.costly}
        draft = replace(draft, **room)
        if lr is self.photo.pixels:
            return replace(draft, scale=1.0)
        model = self.models(candidate.rescaler)
        return replace(
            draft,
            scale=self.target.scale or 1.0,
            rescaler=model.id,  # not a path or a URL, as the plan may say
            weights_sha256=model.weights_sha256,
            latent_policy=model.rescaler.latent_policy,
            tile=self.tiling.tile,
            overlap=self.tiling.overlap,
        )
