"""Previews from no more pixels than they need."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data as photographs

from rescaling_core.codecs import CodecSpec, FileExtras, encode
from rescaling_core.convert import Kept, Previews, Rendition, SourceRef, convert, least_side
from rescaling_core.errors import PhotoError
from rescaling_core.metadata import pixels_digest, read_metadata
from rescaling_core.photo import Photo, Reduced, decode_photo, decode_reduced
from rescaling_core.pixels.area import upright
from rescaling_core.plan import Candidate, Target, TargetPlan
from tests.unit import photo_samples as samples

SOFTWARE = "refold test"


def photograph(name: str, mode: str = "RGB", size: tuple[int, int] | None = None) -> Image.Image:
    picture = Image.fromarray(getattr(photographs, name)()).convert(mode)
    return picture if size is None else picture.crop((0, 0, *size))


def jpeg(picture: Image.Image, **options: Any) -> bytes:
    return samples.written(picture, "JPEG", **{"quality": 92, **options})


def plan_of(side: int, codec: str = "png") -> TargetPlan:
    return TargetPlan(
        target=Target(long_edge=side), candidates=(Candidate("lanczos", CodecSpec.parse(codec)),)
    )


def source_of(data: bytes) -> SourceRef:
    digest = hashlib.sha256(data).hexdigest()
    return SourceRef(key="photo.jpg", etag="1", size=len(data), sha256=digest)


def previews_of(data: bytes, *sides: int, codec: str = "png", **options: Any) -> list[Rendition]:
    targets = [Target(long_edge=side) for side in sides]
    previews = Previews(decode_reduced(data, least_side(targets)), targets)
    made = []
    for side in sides:
        rendition = previews.make(source_of(data), plan_of(side, codec), SOFTWARE, **options)
        assert isinstance(rendition, Rendition), rendition
        made.append(rendition)
    return made


def seen(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / (((one.astype(float) - other) ** 2).mean() + 1e-9)))


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket", "chelsea"])
@pytest.mark.parametrize("side", [32, 57, 100, 201, 320])
def test_they_look_like_those_from_all_pixels(name: str, side: int) -> None:
    """As near as a filter of the same kind can be told from it: WebP loses far more."""
    data = jpeg(photograph(name))
    picture = Image.fromarray(decode_photo(data).pixels)
    (preview,) = previews_of(data, side)
    size = preview.metadata.lr_width, preview.metadata.lr_height
    exact = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    assert decibels(seen(preview.lr_data), exact) > 37


def test_large_sources_are_decoded_at_a_part_of_their_size() -> None:
    data = jpeg(photograph("astronaut", size=(509, 383)))
    divisors = {side: decode_reduced(data, side).divisor for side in (63, 64, 127, 128, 254, 255)}
    assert divisors == {63: 8, 64: 4, 127: 4, 128: 2, 254: 2, 255: 1}
    for side, divisor in divisors.items():
        reduced = decode_reduced(data, side)
        assert (reduced.width, reduced.height) == (509, 383)
        assert reduced.photo.pixels.shape == (-(-383 // divisor), -(-509 // divisor), 3)


@settings(max_examples=60)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.sampled_from(["RGB", "L"]))
def test_sizes_and_metadata_are_those_of_the_source(
    width: int, height: int, side: int, mode: str
) -> None:
    data = jpeg(photograph("rocket", mode, (width, height)))
    whole = decode_photo(data)
    (preview,) = previews_of(data, side)
    expected = convert(whole, source_of(data), plan_of(side), _no_models, software=SOFTWARE)
    assert isinstance(expected, Rendition)
    same = replace(preview.metadata, lr_pixels_sha256=expected.metadata.lr_pixels_sha256)
    assert same == expected.metadata
    assert read_metadata(preview.lr_data) == preview.metadata
    assert seen(preview.lr_data).shape == seen(expected.lr_data).shape


def test_profile_orientation_and_alpha_are_as_they_were() -> None:
    icc, turned = samples.display_p3(), samples.exif(6)
    data = jpeg(photograph("chelsea"), icc_profile=icc, exif=turned)
    for rendition in previews_of(data, 64, 40, codec="webp"):
        assert rendition.extension == ".jpg", "browsers do not turn WebP files"
        with Image.open(io.BytesIO(rendition.lr_data)) as image:
            assert image.info["icc_profile"] == icc
            assert image.getexif()[0x0112] == 6
    picture = photograph("astronaut", "RGBA")
    picture.putalpha(picture.getchannel("R"))
    data = samples.written(picture, "PNG")
    (preview,) = previews_of(data, 64)
    assert preview.metadata.mode == "RGBA"
    assert seen(preview.lr_data).shape == (64, 64, 3)
    turned_pixels = upright(seen(previews_of(jpeg(photograph("chelsea")), 64)[0].lr_data), 6)
    assert turned_pixels.shape[0] > turned_pixels.shape[1]


def test_they_depend_on_the_plan_alone_and_not_on_the_order() -> None:
    data = jpeg(photograph("coffee"))
    one, other = previews_of(data, 200, 50), previews_of(data, 50, 200)[::-1]
    assert [made.lr_data for made in one] == [made.lr_data for made in other]
    for made in one:
        assert made.metadata.lr_pixels_sha256 == pixels_digest(seen(made.lr_data))[:32]


def test_another_encoder_is_given_the_same_pixels() -> None:
    given_to: list[np.ndarray] = []

    def elsewhere(pixels: np.ndarray, spec: CodecSpec, *, extras: FileExtras) -> bytes:
        given_to.append(pixels)
        return encode(pixels, spec, extras=extras)

    for mode in ("RGB", "L"):
        data = jpeg(photograph("coffee", mode))
        (here,), (there,) = previews_of(data, 90), previews_of(data, 90, encode=elsewhere)
        assert here.lr_data == there.lr_data
    assert [pixels.ndim for pixels in given_to] == [3, 3]


def test_what_a_codec_cannot_hold_is_kept() -> None:
    photo = Photo(pixels=np.zeros((1, 17_000, 3), np.uint8), mode="RGB", format="PNG")
    previews = Previews(Reduced.whole(photo), [Target(long_edge=17_000)])
    kept = previews.make(source_of(b""), plan_of(17_000, "webp"), SOFTWARE)
    assert isinstance(kept, Kept)
    assert "at most 16383" in kept.reason


def test_damage_is_refused_as_where_all_is_decoded() -> None:
    sound = {
        "baseline": jpeg(photograph("coffee", size=(160, 120))),
        "progressive": jpeg(photograph("coffee", size=(160, 120)), progressive=True),
        "grey": jpeg(photograph("coffee", "L", (160, 120)), restart_marker_blocks=3),
        "CMYK": jpeg(photograph("coffee", "CMYK", (160, 120))),
    }
    chance, refused = np.random.default_rng(0), 0
    for name, file in sound.items():
        for _ in range(60):
            damaged = bytearray(file)
            start = int(chance.integers(2, len(file)))
            kind = int(chance.integers(3))
            if kind == 0:
                damaged[start] ^= 1 << int(chance.integers(8))
            elif kind == 1:
                del damaged[start:]
            else:
                damaged[start : start + 80] = bytes(len(damaged[start : start + 80]))
            told = [_error(decode_photo, bytes(damaged)), _error(_eighth, bytes(damaged))]
            assert told[0] == told[1], (name, start, kind)
            refused += told[0] is not None
    assert refused > 100


def _eighth(data: bytes) -> Reduced:
    return decode_reduced(data, 20)


def _error(decode: Any, data: bytes) -> tuple[type, str] | None:
    try:
        decode(data)
    except PhotoError as error:
        return type(error), str(error)
    return None


def _no_models(_name: str, _digest: str | None = None, /) -> Any:
    raise AssertionError("a preview takes no network")
