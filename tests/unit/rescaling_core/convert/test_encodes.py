"""How many files are made of a photo before one is chosen."""

from __future__ import annotations

from collections import Counter

import pytest

from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Rendition
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.plan import FULL_SIZE, Candidate, Floor, Target, TargetPlan
from tests.unit.encodes import PICTURES, counted

pytestmark = pytest.mark.usefixtures("one_thread")


def _encodes(pixels: U8Array, *candidates: Candidate) -> tuple[Rendition, Counter[str]]:
    """What is archived, and how many files of each codec were made at the plan's effort."""
    target = TargetPlan(target=Target.parse("x2"), candidates=candidates, floor=Floor(psnr_y=34))
    made, encodes = counted(pixels, target)
    return made, encodes.whole + encodes.smaller


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
