"""How many files are made of a photo before one is chosen."""

from __future__ import annotations

import hashlib
import io
from collections import Counter

import numpy as np
import pytest
import skimage.data
from PIL import Image

from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.codecs.traits import NO_EXTRAS, FileExtras
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.photo import decode_photo
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.plan import FULL_SIZE, Candidate, Floor, Target, TargetPlan

pytestmark = pytest.mark.usefixtures("one_thread")

PICTURES = {
    "astronaut": skimage.data.astronaut()[40:240, 120:400],
    "coffee": skimage.data.coffee()[60:260, 100:380],
    "cat": skimage.data.chelsea()[20:220, 60:340],
}


def _encodes(pixels: U8Array, *candidates: Candidate) -> tuple[Rendition, Counter[str]]:
    """What is archived, and how many files of each codec were made at the plan's effort."""
    made: Counter[str] = Counter()

    def encode(pixels: U8Array, spec: CodecSpec, *, extras: FileExtras = NO_EXTRAS) -> bytes:
        quick = spec.codec.quick
        if quick is None or spec.effort != quick.effort:
            made[spec.name] += 1
        return codecs.encode(pixels, spec, extras=extras)

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    data = buffer.getvalue()
    target = TargetPlan(target=Target.parse("x2"), candidates=candidates, floor=Floor(psnr_y=34))
    ref = SourceRef(key="a", etag="1", size=10**6, sha256=hashlib.sha256(data).hexdigest())
    outcome = convert(decode_photo(data), ref, target, zoo.load, software="test", encode=encode)
    assert isinstance(outcome, Rendition), outcome
    return outcome, made


def _full(codec: str) -> Candidate:
    return Candidate(FULL_SIZE, CodecSpec.parse(codec, 50), qualities=(10, 95))


@pytest.mark.parametrize("name", PICTURES)
def test_a_codec_that_cannot_win_is_given_up_after_few_files(name: str) -> None:
    alone, few = _encodes(PICTURES[name], _full("avif-420"))
    both, made = _encodes(PICTURES[name], _full("avif-420"), _full("webp"))
    assert both.metadata.codec == "avif-420"
    assert len(both.lr_data) == len(alone.lr_data)
    assert few["avif"] == made["avif"] <= 5
    assert made["webp"] <= 5


@pytest.mark.parametrize("name", PICTURES)
def test_a_codec_that_wins_is_searched_to_the_end_whichever_comes_first(name: str) -> None:
    alone, _ = _encodes(PICTURES[name], _full("webp"))
    behind, _ = _encodes(PICTURES[name], _full("jpeg-420"), _full("webp"))
    assert behind.metadata.codec == "webp"
    assert behind.metadata.quality == alone.metadata.quality
