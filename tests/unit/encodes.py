"""Converting small photographs with the encoders counted."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import skimage.data
from PIL import Image

from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.codecs.traits import NO_EXTRAS, FileExtras
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.photo import decode_photo
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.plan import TargetPlan

PICTURES = {
    "astronaut": skimage.data.astronaut()[40:240, 120:400],
    "coffee": skimage.data.coffee()[60:260, 100:380],
    "cat": skimage.data.chelsea()[20:220, 60:340],
}


@dataclass
class Encodes:
    """How many files were made of a photograph, by codec."""

    whole: Counter[str] = field(default_factory=Counter)
    """Of full size, at the plan's effort."""
    smaller: Counter[str] = field(default_factory=Counter)
    """Of smaller images, at the plan's effort."""
    hasty: Counter[str] = field(default_factory=Counter)
    """At the effort of a forecast, which takes about a tenth of the time."""


def counted(pixels: U8Array, target: TargetPlan) -> tuple[Rendition, Encodes]:
    """What is archived of a photograph, and what was encoded for it."""
    made = Encodes()

    def encode(given: U8Array, spec: CodecSpec, *, extras: FileExtras = NO_EXTRAS) -> bytes:
        quick = spec.codec.quick
        if quick is not None and spec.effort == quick.effort:
            made.hasty[spec.name] += 1
        elif given.shape[:2] == pixels.shape[:2]:
            made.whole[spec.name] += 1
        else:
            made.smaller[spec.name] += 1
        return codecs.encode(given, spec, extras=extras)

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    data = buffer.getvalue()
    ref = SourceRef(key="a", etag="1", size=10**6, sha256=hashlib.sha256(data).hexdigest())
    outcome = convert(
        decode_photo(data), ref, target, zoo.load, software="test", data=data, encode=encode
    )
    assert isinstance(outcome, Rendition), outcome
    return outcome, made
