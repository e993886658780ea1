"""What a restoration misses lies in the LR file, whatever its container, and comes back."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis.extra.numpy import arrays
from PIL import Image

from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec, FileExtras, attachment
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.convert.again import plan_like
from rescaling_core.errors import CodecError, RestorationMismatchError
from rescaling_core.photo import decode_photo
from rescaling_core.pixels import differences, strips
from rescaling_core.plan import Candidate, Floor, ResidualPlan, Target, TargetPlan
from rescaling_core.quality import metrics
from rescaling_core.quality.pixel_measures import PSNR_Y
from rescaling_core.restore import restore

models = lru_cache(zoo.load)
PIXELS = skimage.data.astronaut()[40:161, 180:331]
CONTAINERS = [
    CodecSpec("png"),
    CodecSpec("jpeg", 60),
    CodecSpec("webp", 50),
    CodecSpec("avif", 40, None, 1),
    CodecSpec("jxl", 60, None, 3),
]
RESIDUAL = ResidualPlan(CodecSpec("avif", 60, None, 1), (5, 100))


def _source(pixels: np.ndarray) -> tuple[bytes, SourceRef]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    data = buffer.getvalue()
    ref = SourceRef(key="k", etag="1", size=10**6, sha256=hashlib.sha256(data).hexdigest())
    return data, ref


def _rendition(pixels: np.ndarray, codec: CodecSpec, psnr_y: float) -> Rendition:
    data, ref = _source(pixels)
    plan = TargetPlan(
        target=Target.parse("x2"),
        candidates=(Candidate("bicubic", codec, residual=RESIDUAL),),
        floor=Floor(psnr_y=psnr_y),
    )
    outcome = convert(decode_photo(data), ref, plan, models, software="test")
    assert isinstance(outcome, Rendition), outcome
    return outcome


@pytest.mark.parametrize("codec", CONTAINERS, ids=str)
def test_a_residual_lifts_any_lr_file_just_above_the_floor(codec: CodecSpec) -> None:
    rendition = _rendition(PIXELS, codec, 38)
    restored = restore(rendition.lr_data, models, recorded=rendition.metadata)
    reached = metrics.psnr_y(restored.pixels, PIXELS)
    assert reached == rendition.metadata.psnr_y
    assert 38.05 <= reached < 39.5
    record = rendition.metadata.residual
    assert record is not None
    assert record.nbytes < len(rendition.lr_data)
    with Image.open(io.BytesIO(rendition.lr_data)) as image:  # a viewer sees the LR image
        image.load()
        assert image.size == (76, 61)


def test_a_grey_photo_has_a_grey_residual() -> None:
    grey = skimage.data.camera()[100:180, 180:281]
    rendition = _rendition(grey, CodecSpec("webp", 50), 36)
    restored = restore(rendition.lr_data, models)
    assert restored.mode == "L"
    assert metrics.psnr_y(restored.pixels, grey[..., None]) == rendition.metadata.psnr_y


def test_a_lost_or_damaged_residual_is_refused() -> None:
    rendition = _rendition(PIXELS, CodecSpec("avif", 40, None, 1), 36)
    coded = attachment.read(rendition.lr_data, "rsdl")
    assert coded is not None
    at = rendition.lr_data.index(coded)
    with pytest.raises(RestorationMismatchError, match="residual is missing"):
        restore(attachment.without(rendition.lr_data, "rsdl"), models)
    damaged = bytearray(rendition.lr_data)
    damaged[at + len(coded) // 2] ^= 1
    with pytest.raises(RestorationMismatchError, match="not the one that was measured"):
        restore(bytes(damaged), models)


@given(arrays(np.uint8, (4, 5, 3)), arrays(np.uint8, (4, 5, 3)))
def test_the_residual_restores_exactly_up_to_its_range(hr: np.ndarray, low: np.ndarray) -> None:
    missing = hr.astype(int) - low
    back = differences.add(low, differences.difference(hr, low)).astype(int)
    within = (missing >= -128) & (missing <= 127)
    assert np.array_equal(back[within], hr[within])
    assert np.all(abs(back - hr) <= np.maximum(0, abs(missing) - 127))


def test_a_large_residual_is_computed_in_strips_and_the_same() -> None:
    low = np.roll(PIXELS, 2, axis=0)
    missing = differences.difference(PIXELS, low)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "STRIP", 1000)
        assert np.array_equal(differences.difference(PIXELS, low), missing)
        back = differences.add(low, missing)
    assert np.array_equal(back, differences.add(low, missing))
    assert (back == PIXELS).mean() > 0.9
    with pytest.raises(ValueError, match="shapes differ"):
        differences.add(low, missing[1:])


@pytest.mark.parametrize("codec", CONTAINERS, ids=str)
@pytest.mark.parametrize("size", [0, 1, 1000, 150_001])
def test_what_is_attached_comes_back_and_leaves_the_picture_alone(
    codec: CodecSpec, size: int
) -> None:
    extras = FileExtras(xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    plain = codecs.encode(PIXELS, codec, extras=extras)
    payload = np.random.default_rng(size).bytes(size)
    data = attachment.attach(attachment.attach(plain, "meta", b"{}"), "rsdl", payload)
    assert attachment.read(plain, "rsdl") is None
    assert attachment.read(data, "rsdl") == payload
    assert attachment.read(data, "meta") == b"{}"
    assert np.array_equal(codecs.decode(data), codecs.decode(plain))
    assert codecs.read_xmp(data) == codecs.read_xmp(plain)


def test_a_format_that_takes_no_attachment_is_refused() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "BMP")
    with pytest.raises(CodecError, match="BMP"):
        attachment.attach(buffer.getvalue(), "rsdl", b"x")


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_without_an_extended_header_is_given_one(lossless: bool) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "WEBP", lossless=lossless)
    bare = buffer.getvalue()
    assert bare[12:15] == b"VP8"
    assert bare[12:16] != b"VP8X"
    data = attachment.attach(bare, "rsdl", b"xyz")
    assert attachment.read(data, "rsdl") == b"xyz"
    assert np.array_equal(codecs.decode(data), codecs.decode(bare))
    again = attachment.without(data, "rsdl")
    assert attachment.read(again, "rsdl") is None
    assert np.array_equal(codecs.decode(again), codecs.decode(bare))


def test_the_record_of_a_residual_reads_back() -> None:
    final = _rendition(PIXELS, CodecSpec("webp", 50), 34).metadata
    assert type(final).from_json(final.to_json()) == final
    assert type(final).from_json(replace(final, residual=None).to_json()).residual is None


def test_a_residual_of_luma_is_one_plane_that_corrects_luma_alone() -> None:
    small = Candidate(
        "lanczos",
        CodecSpec("avif", 20, None, 1),
        residual=ResidualPlan(CodecSpec("avif", 50, "4:2:0", 1), (10, 95), luma=True),
    )
    plan = TargetPlan(target=Target.parse("x2"), candidates=(small,), floor=Floor(psnr_y=34))
    ref = SourceRef(key="a", etag="", size=10**6, sha256="0" * 64)
    photo = decode_photo(_source(PIXELS)[0])
    made = convert(photo, ref, plan, models, software="test")
    assert isinstance(made, Rendition), made
    record = made.metadata.residual
    assert record is not None
    assert record.luma
    coded = attachment.read(made.lr_data, "rsdl")
    assert coded is not None
    assert codecs.decode(coded).shape[2] == 1
    restored = restore(made.lr_data, models, recorded=made.metadata).pixels
    assert metrics.psnr_y(restored, PIXELS) >= 34 + PSNR_Y.margin_at(34)
    again = convert(photo, ref, plan_like(made.metadata), models, software="test")
    assert isinstance(again, Rendition)
    assert again.metadata.residual is not None
    assert again.metadata.residual.luma


def test_the_luma_that_is_missing_comes_back_within_a_level() -> None:
    flat = np.full_like(PIXELS, 128)
    near = (flat.astype(int) + PIXELS % 40 - 20).astype(np.uint8)
    missing = differences.difference(near, flat, luma=True)
    assert missing.shape == (*PIXELS.shape[:2], 1)
    weights = np.array([0.299, 0.587, 0.114])
    gained = differences.add(flat, missing) @ weights
    assert np.abs(gained - near @ weights).max() <= 0.51
