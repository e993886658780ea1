"""Sources that no photo can be made of without loss: their file, packed, beside a picture of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from rescaling_core import codecs, metadata
from rescaling_core.codecs import attachment
from rescaling_core.containers import png
from rescaling_core.convert.deep import at_quality, search_deep
from rescaling_core.convert.draft import draft_metadata
from rescaling_core.convert.outcome import Kept, Rendition
from rescaling_core.convert.rivals import NOTHING, Cost, Rivals
from rescaling_core.errors import CodecError, RestorationMismatchError
from rescaling_core.plan import DEEP, REPACK, Target
from rescaling_core.quality.deep import compare_deep
from rescaling_core.quality.scores import Scores, known
from rescaling_core.repack import MOST_UNPACKED, pack, same_file, unpack

if TYPE_CHECKING:
    from rescaling_core.codecs import Encode
    from rescaling_core.convert.outcome import SourceRef
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.plan import Candidate, TargetPlan

_PICTURE: Final = Target(long_edge=256)
"""Of what is there to be looked at. It is no part of what is restored."""
_EXACT: Final = Scores(psnr_y=inf, ssim_y=1.0, max_abs_error=0)


def repack(
    photo: Photo,
    source: SourceRef,
    plan: TargetPlan,
    software: str,
    *,
    data: bytes | None,
    encode: Encode | None = None,
) -> Rendition | Kept:
    """Pack the file of a source, if the plan has candidates for that; the smallest result wins.

    The packed file is put together again from the LR file as it is stored, and compared with the
    source byte for byte; of a PNG all but how its rows are deflated. Where the plan allows a loss,
    the colours of a file of 16 bits a sample are compared as they were measured, all else exactly.

    Args:
        photo: What can be shown of it.
        source: Where it came from.
        plan: The target and its candidates.
        software: Name and version to record.
        data: The source's bytes; None where there is only a restored picture.
        encode: Encodes the picture; by default `codecs.encode`.
    """
    target = plan.target
    makers = {REPACK: _exact, DEEP: _with_a_floor}
    if data is None or not any(one.rescaler in makers for one in plan.candidates):
        return Kept(target=target, reason=f"only a part could be restored: {photo.made_from}")
    rivals = Rivals.of(plan.candidates, source.size)
    outcomes = []
    for one in plan.candidates:
        if one.rescaler not in makers:  # for photos: alone, it would leave the source as it is
            rivals.add(one.strategy, NOTHING)
            rivals.add(one.plain.strategy, NOTHING)
            continue
        outcome = makers[one.rescaler](_Job(photo, source, plan, one, software, data, encode))
        outcomes.append(outcome)
        stored = len(outcome.lr_data) if isinstance(outcome, Rendition) else None
        rivals.add(one.strategy, Cost(stored))
    made = [one for one in outcomes if isinstance(one, Rendition)]
    if made:
        return replace(min(made, key=lambda one: len(one.lr_data)), rivals=rivals.all())
    kept = [one for one in outcomes if isinstance(one, Kept)]
    return Kept(
        target=target,
        reason="; ".join(dict.fromkeys(one.reason for one in kept)),
        best=next((one.best for one in kept if one.best is not None), None),
        tried=sum(one.tried for one in kept),
    )


@dataclass(frozen=True, slots=True)
class _Job:
    """A source and one candidate for it."""

    photo: Photo
    source: SourceRef
    plan: TargetPlan
    candidate: Candidate
    software: str
    data: bytes
    encode: Encode | None

    def kept(self, reason: str, tried: int, best: RestorationMetadata | None = None) -> Kept:
        return Kept(target=self.plan.target, reason=reason, best=best, tried=tried)

    def draft(self, lr: U8Array, scores: Scores, tried: int) -> RestorationMetadata:
        """What is recorded, but for the digest of the picture."""
        plain = draft_metadata(
            self.photo, self.source, self.plan.target, self.candidate, lr, self.software
        )
        measured: dict[str, Any] = {one.name: value for one, value in known(scores)}
        return replace(plain, tried=tried, **measured)


def _exact(job: _Job) -> Rendition | Kept:
    try:
        packed = pack(job.data)
    except (CodecError, ValueError) as error:
        return job.kept(f"its file cannot be packed: {error}", 1)
    made = _finished(job, packed, _EXACT, 1)
    if isinstance(made, Rendition) and not same_file(
        packed_file_of(made.lr_data, made.metadata), job.data
    ):
        return job.kept("its file, packed, does not come back", 1)
    return made


def _with_a_floor(job: _Job) -> Rendition | Kept:
    """The file with its colours at 12 bits, at the lowest quality that reaches the floor."""
    found = search_deep(job.data, job.candidate, job.plan.floor)
    if found.best is None:
        near = found.nearest
        best = None if near is None else job.draft(_picture(job.photo), near.scores, found.tried)
        return job.kept(found.reason, found.tried, best)
    chosen = replace(job, candidate=at_quality(job.candidate, found.best.quality))
    made = _finished(chosen, found.best.pack.data, found.best.scores, found.tried)
    if isinstance(made, Kept):
        return made
    compared = compare_deep(packed_file_of(made.lr_data, made.metadata), job.data)
    same = all(getattr(compared, one.name) == value for one, value in known(found.best.scores))
    if compared.lost or not same:
        return job.kept("its file, packed, does not come back as it was measured", found.tried)
    return made


def _finished(job: _Job, packed: bytes, scores: Scores, tried: int) -> Rendition | Kept:
    """The LR file: a picture to look at, and the pack."""
    source, target = job.source, job.plan.target
    if len(packed) >= source.size:
        return _not_smaller(target, len(packed), source.size, tried)
    lr = _picture(job.photo)
    draft = job.draft(lr, scores, tried)
    try:
        bare = (job.encode or codecs.encode)(lr, job.candidate.codec)
        pixels = codecs.decode(bare, channels=int(lr.shape[2]))
        digest = metadata.pixels_digest(pixels)[: metadata.DIGEST_DIGITS]
        final = replace(draft, lr_pixels_sha256=digest)
        lr_data = metadata.finalise(attachment.attach(bare, "pack", packed), final)
    except (CodecError, ValueError) as error:
        return job.kept(f"its file cannot be packed: {error}", tried)
    if len(lr_data) >= source.size:
        return _not_smaller(target, len(lr_data), source.size, tried)
    if metadata.read_metadata(lr_data) != final:
        raise RestorationMismatchError(
            f"{source.key} at {target.name}: the LR file does not read back as written"
        )
    extension = codecs.extension(job.candidate.codec)
    return Rendition(target=target, lr_data=lr_data, extension=extension, metadata=final)


def packed_file_of(lr_data: bytes, embedded: RestorationMetadata) -> bytes:
    """The source file that lies packed in an LR file, proven by its digest.

    Of a PNG that is the digest with its rows inflated; of a file whose colours have a loss, that of
    the file as it was measured, which the pack holds.

    Raises:
        RestorationMismatchError: It is missing, damaged, or another file.
    """
    name = f"{embedded.source_key} at {embedded.target}"
    try:
        packed = attachment.read(lr_data, "pack")
        if packed is None:
            raise RestorationMismatchError(f"{name}: the LR file has lost the packed source")
        data = unpack(packed, most=MOST_UNPACKED)
    except (CodecError, ValueError) as error:
        raise RestorationMismatchError(f"{name}: {error}") from error
    if embedded.rescaler == DEEP:
        return data
    is_source = metadata.bytes_digest(data) == embedded.source_sha256
    if not is_source and not data.startswith(png.SIGNATURE):
        raise RestorationMismatchError(f"{name}: the file that comes back is not the source")
    return data


def _not_smaller(target: Target, found: int, size: int, tried: int) -> Kept:
    return Kept(
        target=target,
        reason=f"not smaller: packed, its file takes {found} bytes, the source {size}",
        tried=tried,
    )


def _picture(photo: Photo) -> U8Array:
    """(h, w, C)."""
    samples = photo.pixels[..., 0] if photo.pixels.shape[2] == 1 else photo.pixels
    size = _PICTURE.preview_size(photo.width, photo.height)
    small = Image.fromarray(samples).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(small).reshape(size[1], size[0], -1)
