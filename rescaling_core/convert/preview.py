"""Previews: nothing is restored from them, so nothing but their size and pixels is checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rescaling_core import codecs, metadata
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert.draft import draft_metadata
from rescaling_core.convert.finish import finish
from rescaling_core.convert.outcome import Kept, Rendition
from rescaling_core.convert.trial import Encoded
from rescaling_core.errors import CodecError

if TYPE_CHECKING:
    from rescaling_core.codecs import Encode
    from rescaling_core.convert.outcome import SourceRef
    from rescaling_core.photo import Photo
    from rescaling_core.plan import TargetPlan


def make_preview(
    photo: Photo,
    source: SourceRef,
    plan: TargetPlan,
    software: str,
    *,
    encode: Encode | None = None,
) -> Rendition | Kept:
    """Downscale with a plain filter, by the first candidate's codec.

    A turned photo is written as JPEG (or PNG) where browsers would not turn it: a preview is there
    to be looked at.
    """
    target, candidate = plan.target, plan.candidates[0]
    if photo.orientation != 1:
        candidate = replace(candidate, codec=_seen_turned(candidate.codec))
    size = target.preview_size(photo.width, photo.height)
    samples = photo.pixels[..., 0] if photo.pixels.shape[2] == 1 else photo.pixels
    resized = Image.fromarray(samples).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    lr = np.asarray(resized)
    lr = lr[..., None] if lr.ndim == 2 else lr
    draft = draft_metadata(photo, source, target, candidate, lr, software)
    draft = replace(draft, extras=metadata.Carried(native=draft.extras.native))
    try:
        data = metadata.encode_with_record(lr, candidate.codec, photo, draft, encode=encode)
        pixels = codecs.decode(data, channels=int(lr.shape[2]))
    except CodecError as error:
        return Kept(target=target, reason=str(error))
    digest = metadata.pixels_digest(pixels)[: metadata.DIGEST_DIGITS]
    final = replace(draft, lr_pixels_sha256=digest)
    encoded = Encoded(data=data, pixels=pixels, draft=draft, candidate=candidate)
    return finish(target, encoded, final)


def _seen_turned(spec: CodecSpec) -> CodecSpec:
    if spec.codec.turned_by_browsers:
        return spec
    if spec.quality is None:
        return CodecSpec("png")
    return CodecSpec("jpeg", max(1, spec.quality), "4:2:0")
