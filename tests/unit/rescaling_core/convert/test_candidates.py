"""What a candidate may ask for beside a codec, and what each strategy would have cost."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageCms

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Kept, Rendition, SourceRef, convert
from rescaling_core.convert.again import floor_like, plan_like
from rescaling_core.convert.workbench import Workbench
from rescaling_core.photo import decode_photo
from rescaling_core.plan import FULL_SIZE, TRANSCODE, Candidate, Floor, Target, TargetPlan
from rescaling_core.quality import metrics, perceptual
from rescaling_core.restore import restore
from tests.unit.rescaling_core.networks.examples import example

pytestmark = pytest.mark.usefixtures("one_thread")

models = lru_cache(zoo.load)

PNG = Candidate("irn-x2-lite", CodecSpec("png"))
WEBP = Candidate(FULL_SIZE, CodecSpec("webp", 60, None, 2), qualities=(5, 98))
AVIF = Candidate(FULL_SIZE, CodecSpec("avif", 60, "4:2:0", 2), qualities=(10, 95))
JPEG = Candidate(FULL_SIZE, CodecSpec("jpeg", 75, "4:2:0"), qualities=(5, 98))
SMALL = Candidate("irn-x2-lite", CodecSpec("avif", 60, None, 2), qualities=(10, 98))
SINGLE = (JPEG, WEBP, AVIF)
SPREAD = 3
"""Digits that the number of tries may take in the metadata, and so in the file."""


def _file(pixels: np.ndarray, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


PHOTO = skimage.data.astronaut()[40:137, 180:291]
GREY = skimage.data.camera()[80:190, 180:290]


def _convert(data: bytes, *candidates: Candidate, floor: Floor | None = None) -> Rendition | Kept:
    plan = TargetPlan(target=Target.parse("x2"), candidates=candidates, floor=floor or Floor())
    size = len(data) + 100_000  # none of these small files is to be kept for the metadata's size
    ref = SourceRef(key="a.x", etag="1", size=size, sha256=hashlib.sha256(data).hexdigest())
    return convert(decode_photo(data), ref, plan, models, software="test", data=data)


def _rendition(data: bytes, *candidates: Candidate, floor: Floor | None = None) -> Rendition:
    outcome = _convert(data, *candidates, floor=floor)
    assert isinstance(outcome, Rendition), outcome
    return outcome


def test_a_refined_candidate_restores_better_says_so_and_is_the_same_twice() -> None:
    data = _file(PHOTO)
    plain, *refined = (_rendition(data, replace(PNG, refinement=n)) for n in (0, 4, 4))
    assert refined[0].lr_data == refined[1].lr_data
    found = refined[0].metadata
    assert (plain.metadata.refinement, found.refinement) == (None, 4)
    assert found.strategy == "irn-x2-lite, png refined"
    assert plain.metadata.psnr_y is not None
    assert found.psnr_y is not None
    assert found.psnr_y > plain.metadata.psnr_y + 0.5
    restored = restore(refined[0].lr_data, models, recorded=found)
    assert metrics.psnr_y(restored.pixels, PHOTO) == found.psnr_y


def test_an_lr_image_is_refined_once_for_all_qualities(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    refine_pixels = Workbench.encode.__globals__["refine_pixels"]
    monkeypatch.setitem(
        Workbench.encode.__globals__,
        "refine_pixels",
        lambda *args, **kwargs: (calls.append(1), refine_pixels(*args, **kwargs))[1],
    )
    chosen = _rendition(_file(PHOTO), replace(SMALL, refinement=2), floor=Floor(psnr_y=31))
    assert len(calls) == 1
    assert chosen.metadata.tried is not None
    assert chosen.metadata.tried > 1


def test_a_grey_source_may_have_a_colour_lr_image_and_comes_back_grey() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    data = _file(GREY, icc_profile=profile)
    colour = replace(PNG, lr_mode="colour")
    made = _rendition(data, colour)
    assert (made.metadata.mode, made.metadata.lr_channels) == ("L", 3)
    with Image.open(io.BytesIO(made.lr_data)) as image:
        assert image.mode == "RGB"
        assert "icc_profile" not in image.info  # one of grey would be wrong there
    restored = restore(made.lr_data, models, recorded=made.metadata)
    assert (restored.mode, restored.pixels.shape) == ("L", (*GREY.shape, 1))
    assert restored.icc == profile
    assert metrics.psnr_y(restored.pixels, GREY[..., None]) == made.metadata.psnr_y
    plain = _rendition(data, PNG)
    assert made.metadata.psnr_y > plain.metadata.psnr_y + 2  # type: ignore[operator]


@pytest.mark.parametrize("pixels", [PHOTO, GREY], ids=["colour", "grey"])
def test_a_network_that_hides_colours_leaves_a_grey_lr_image(pixels: np.ndarray) -> None:
    loaded = replace(models("bicubic"), id="hides", rescaler=example("irn-color"))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = _file(pixels, **({"icc_profile": profile} if pixels.ndim == 3 else {}))
    ref = SourceRef(key="a.png", etag="1", size=10**6, sha256="0" * 64)
    candidate = Candidate("hides", CodecSpec("png"))
    plan = TargetPlan(target=Target.parse("x1"), candidates=(candidate,))
    made = convert(decode_photo(data), ref, plan, lambda *_: loaded, software="test", data=data)
    assert isinstance(made, Rendition)
    with Image.open(io.BytesIO(made.lr_data)) as image:
        assert (image.mode, "icc_profile" in image.info) == ("L", False)
    restored = restore(made.lr_data, lambda *_: loaded, recorded=made.metadata)
    assert restored.pixels.shape == np.atleast_3d(pixels).shape
    assert restored.icc == (profile if pixels.ndim == 3 else None)
    assert made.metadata.strategy == "hides, png"


def test_of_a_grey_and_a_colour_lr_image_the_cheaper_that_holds_is_kept() -> None:
    data = _file(GREY)
    grey, colour = SMALL, replace(SMALL, lr_mode="colour")
    for psnr_y in (27.0, 33.0):
        floor = Floor(psnr_y=psnr_y)
        alone = [_convert(data, one, floor=floor) for one in (grey, colour)]
        sizes = [len(one.lr_data) for one in alone if isinstance(one, Rendition)]
        both = _rendition(data, grey, colour, floor=floor)
        assert abs(len(both.lr_data) - min(sizes)) <= SPREAD
    assert both.metadata.lr_channels == 3  # so much is in reach of the colour one only


@pytest.mark.parametrize("wanted", [{"refinement": 3}, {"lr_mode": "colour"}])
def test_what_was_refined_or_coloured_is_repaired_alike(wanted: dict[str, object]) -> None:
    data = _file(GREY)
    floor = Floor(psnr_y=25, ssimulacra2=20)
    codec = CodecSpec("avif", 80)
    made = _rendition(data, Candidate("irn-x2-lite", codec, **wanted), floor=floor)  # type: ignore[arg-type]
    (again,) = plan_like(made.metadata).candidates
    assert _rendition(data, again, floor=floor_like(made.metadata)).lr_data == made.lr_data


def test_a_colour_lr_image_is_not_tried_for_colour_sources() -> None:
    kept = _convert(_file(PHOTO), replace(PNG, lr_mode="colour"))
    assert isinstance(kept, Kept)
    assert kept.tried == 0


@pytest.mark.parametrize("candidate", [WEBP, AVIF, replace(SMALL, qualities=(60, 98))])
def test_a_perceptual_floor_is_reached_and_recorded(candidate: Candidate) -> None:
    chosen = _rendition(_file(PHOTO), candidate, floor=Floor(ssimulacra2=60))
    restored = restore(chosen.lr_data, models, recorded=chosen.metadata).pixels
    assert chosen.metadata.ssimulacra2 == perceptual.ssimulacra2(restored, PHOTO)
    assert 60.1 <= chosen.metadata.ssimulacra2 < 80
    low = replace(candidate.codec, quality=(chosen.metadata.quality or 0) - 1)
    below = _convert(
        _file(PHOTO), replace(candidate, codec=low, qualities=None), floor=Floor(ssimulacra2=60)
    )
    if isinstance(below, Kept):
        assert "SSIMULACRA 2" in below.reason
    else:  # AVIF writes the same file at some neighbouring qualities
        assert len(below.lr_data) >= len(chosen.lr_data)


def test_only_what_gives_back_every_sample_reaches_an_error_of_zero() -> None:
    jpeg, floor = _file(PHOTO, "JPEG", quality=90), Floor(max_abs_error=0, ssimulacra2=99)
    for data, candidate in (
        (_file(PHOTO), Candidate(FULL_SIZE, CodecSpec("webp"))),
        (jpeg, Candidate(TRANSCODE, CodecSpec("jxl"))),
    ):
        exact = _rendition(data, candidate, floor=floor).metadata
        assert (exact.max_abs_error, exact.ssimulacra2) == (0, 100)
    flat = _file(np.full((40, 40, 3), 128, np.uint8))  # which any codec gives back exactly
    kept = _convert(flat, Candidate(FULL_SIZE, CodecSpec("webp", 90)), floor=Floor(max_abs_error=0))
    assert isinstance(kept, Kept)
    assert "its margin of 1" in kept.reason


def _small_set() -> dict[str, bytes]:
    """Four pictures that codecs rank differently: faces, fur, a cup, a page of text."""
    crops = {
        "astronaut": skimage.data.astronaut()[30:158, 160:320],
        "chelsea": skimage.data.chelsea()[60:188, 100:260],
        "coffee": skimage.data.coffee()[150:278, 200:360],
        "page": skimage.data.page()[20:148, 40:200],
    }
    return {name: _file(pixels) for name, pixels in crops.items()}


def test_on_a_set_the_planner_takes_no_more_than_any_strategy_and_reports_what_each_would() -> None:
    floor = Floor(psnr_y=33)
    totals = dict.fromkeys([*(one.strategy for one in SINGLE), SMALL.strategy], 0)
    planned = restricted = 0
    for name, data in _small_set().items():
        size = len(data) + 100_000
        chosen = _rendition(data, AVIF, SMALL, WEBP, JPEG, floor=floor)
        planned += len(chosen.lr_data)
        assert {rival.strategy for rival in chosen.rivals} == set(totals)
        for candidate in (*SINGLE, SMALL):
            alone = _convert(data, candidate, floor=floor)
            cost = len(alone.lr_data) if isinstance(alone, Rendition) else size
            totals[candidate.strategy] += cost
            (rival,) = (one for one in chosen.rivals if one.strategy == candidate.strategy)
            assert len(chosen.lr_data) <= cost + SPREAD, name
            if rival.at_least:
                assert len(chosen.lr_data) <= rival.nbytes <= cost + SPREAD, name
            else:
                assert abs(rival.nbytes - cost) <= SPREAD, name
            if candidate is SMALL:
                restricted += cost
    assert planned <= min(totals.values()) + 4 * SPREAD
    # A planner that may not use full-size files stores more, and the difference is in its report.
    assert restricted > planned
    assert totals[SMALL.strategy] == restricted


def test_a_candidate_that_cannot_win_any_more_is_restored_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    restored: list[str] = []
    restore_one = Workbench.restore

    def spy(self: Workbench, encoded: object) -> np.ndarray:
        restored.append(encoded.candidate.rescaler)  # type: ignore[attr-defined]
        return restore_one(self, encoded)  # type: ignore[arg-type]

    monkeypatch.setattr(Workbench, "restore", spy)
    chosen = _rendition(_file(PHOTO), AVIF, SMALL, floor=Floor(psnr_y=36))
    assert chosen.metadata.strategy == AVIF.strategy
    assert restored.count(SMALL.rescaler) == 1
    (rival,) = (one for one in chosen.rivals if one.strategy == SMALL.strategy)
    assert rival.at_least
    assert rival.nbytes >= len(chosen.lr_data)
