"""Previews: nothing is restored from them, so nothing but their size and pixels is checked."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from rescaling_core import codecs, metadata
from rescaling_core.codecs import CodecSpec, FileExtras, attachment
from rescaling_core.convert.draft import draft_metadata
from rescaling_core.convert.outcome import Kept, Rendition
from rescaling_core.errors import CodecError, RestorationMismatchError
from rescaling_core.photo import Reduced
from rescaling_core.pixels.strips import strips

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rescaling_core.codecs import Encode
    from rescaling_core.convert.outcome import SourceRef
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.plan import Target, TargetPlan


ENOUGH: Final = 1.25
"""Decoded pixels of the longer side for each of the largest preview's. Halving in the decoder keeps
what a coarser Lanczos filter would: at 1.25 to 2 times the pixels 40 to 50 dB from it, well above
what the preview's codec loses."""
_GAP: Final = 2.0
"""A preview is made from a larger one that has at least so many times its pixels a side; and what
is larger than that is brought down to it by means of blocks before the Lanczos filter."""


def make_preview(
    photo: Photo,
    source: SourceRef,
    plan: TargetPlan,
    software: str,
    *,
    encode: Encode | None = None,
) -> Rendition | Kept:
    """One preview of a photo that is decoded whole; see `Previews`."""
    previews = Previews(Reduced.whole(photo), (plan.target,))
    return previews.make(source, plan, software, encode=encode)


class Previews:
    """All previews of one source, from one decoded picture.

    They are resized by Lanczos' filter, the largest from the source, smaller ones from a larger one
    where that has `_GAP` times their pixels a side. So the pixels depend on the source and on which
    previews are made together, and on nothing else.
    """

    def __init__(self, reduced: Reduced, targets: Iterable[Target]) -> None:
        """Resize.

        Args:
            reduced: The source, with at least `ENOUGH` times the pixels a side of the largest
                preview, or all that it has.
            targets: Those of the previews that will be asked for.
        """
        self._source = reduced
        sizes = {target.preview_size(reduced.width, reduced.height) for target in targets}
        self._resized: dict[tuple[int, int], Image.Image] = {}
        pixels = _on_white(reduced.photo)
        whole = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        by = reduced.divisor
        box = (0.0, 0.0, reduced.width / by, reduced.height / by)
        for size in sorted(sizes, reverse=True):
            if size == whole.size and by == 1:
                self._resized[size] = whole
                continue
            large = [one for one in self._resized.values() if _is_ample(one.size, size)]
            picture = large[-1] if large else whole
            self._resized[size] = picture.resize(
                size,
                Image.Resampling.LANCZOS,
                box=box if picture is whole else None,
                reducing_gap=_GAP,
            )

    def make(
        self,
        source: SourceRef,
        plan: TargetPlan,
        software: str,
        *,
        encode: Encode | None = None,
    ) -> Rendition | Kept:
        """Write one of them, by the first candidate's codec.

        A turned photo is written as JPEG (or PNG) where browsers would not turn it: a preview is
        there to be looked at. The file is decoded once, and from then on changed in its metadata
        only.

        Raises:
            RestorationMismatchError: It does not read back as written.
        """
        photo, target, candidate = self._source.photo, plan.target, plan.candidates[0]
        if photo.orientation != 1:
            candidate = replace(candidate, codec=_seen_turned(candidate.codec))
        width, height = self._source.width, self._source.height
        resized = self._resized[target.preview_size(width, height)]
        planes = len(resized.getbands())
        blank = np.broadcast_to(np.uint8(0), (resized.height, resized.width, planes))
        opaque = replace(photo, alpha=None, mode=resized.mode)
        draft = draft_metadata(opaque, source, target, candidate, blank, software)
        draft = replace(
            draft,
            width=width,
            height=height,
            scale=max(width, height) / max(resized.size),
            mode=photo.mode,
            lr_pixels_sha256="0" * metadata.DIGEST_DIGITS,
            extras=metadata.Carried(native=draft.extras.native),
        )
        try:
            bare = _encoded(resized, candidate.codec, photo, encode)
            data = metadata.finalise(bare, draft)
            pixels = codecs.decode(data, channels=planes)
        except CodecError as error:
            return Kept(target=target, reason=str(error))
        digest = metadata.pixels_digest(pixels)[: metadata.DIGEST_DIGITS]
        final = replace(draft, lr_pixels_sha256=digest)
        lr_data = metadata.finalise(data, final)
        picture, decoded = (attachment.without(file, "meta") for file in (lr_data, data))
        if picture != decoded or metadata.read_metadata(lr_data) != final:
            raise RestorationMismatchError(
                f"{final.source_key} at {final.target}: the preview does not read back as written"
            )
        extension = codecs.extension(candidate.codec)
        return Rendition(target=target, lr_data=lr_data, extension=extension, metadata=final)


def _on_white(photo: Photo) -> U8Array:
    """What is seen of a photo on a white page: colours under clear pixels may be anything."""
    if photo.alpha is None:
        return photo.pixels
    found = np.empty_like(photo.pixels)
    for part in strips(photo.pixels.shape):
        covers = photo.alpha[part][..., None].astype(np.uint32)
        seen = photo.pixels[part] * covers + 255 * (255 - covers)
        found[part] = (seen + 127) // 255
    return found


def _encoded(image: Image.Image, spec: CodecSpec, photo: Photo, encode: Encode | None) -> bytes:
    """The file of a preview, without metadata: with no copy of its pixels if encoded here."""
    extras = FileExtras(icc=photo.icc, exif=photo.exif)
    if encode is None:
        return codecs.encode_image(image, spec, extras=extras)
    pixels = np.asarray(image)
    return encode(pixels[..., None] if pixels.ndim == 2 else pixels, spec, extras=extras)


def _is_ample(picture: tuple[int, int], size: tuple[int, int]) -> bool:
    return all(have >= _GAP * want for have, want in zip(picture, size, strict=True))


def least_side(targets: Iterable[Target]) -> int:
    """Pixels of the longer side that previews of these targets need."""
    return ceil(ENOUGH * max(target.long_edge or 0 for target in targets))


def _seen_turned(spec: CodecSpec) -> CodecSpec:
    if spec.codec.turned_by_browsers:
        return spec
    if spec.quality is None:
        return CodecSpec("png")
    return CodecSpec("jpeg", max(1, spec.quality), "4:2:0")
