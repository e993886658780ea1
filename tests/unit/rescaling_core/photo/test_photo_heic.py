"""HEIC, which needs an optional plugin."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from rescaling_core.errors import ImageTooLargeError, UnreadableImageError, UnsupportedImageError
from rescaling_core.photo import decode_photo, encode_photo
from tests.unit import photo_samples as samples

pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC: pip install 'refold[heic]'")


def _heic(orientation: int = 1, mode: str = "RGB", **options) -> bytes:
    return samples.written(
        samples.image(mode, 128, 96), "HEIF", quality=90, exif=samples.exif(orientation), **options
    )


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_heic_is_read_and_comes_back(mode: str) -> None:
    photo = decode_photo(_heic(mode=mode, icc_profile=samples.SRGB, xmp=samples.XMP))
    assert (photo.format, photo.mode, photo.icc, photo.xmp) == (
        "HEIF",
        mode,
        samples.SRGB,
        samples.XMP,
    )
    again = decode_photo(encode_photo(photo))
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    assert again.exif == photo.exif
    assert photo.exif is not None
    assert b"MakerNote" in photo.exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_heic_is_seen_alike(orientation: int) -> None:
    file = _heic(orientation)
    restored = encode_photo(decode_photo(file))
    with Image.open(io.BytesIO(file)) as a, Image.open(io.BytesIO(restored)) as b:
        np.testing.assert_array_equal(
            np.asarray(ImageOps.exif_transpose(a)), np.asarray(ImageOps.exif_transpose(b))
        )


def test_a_deep_heic_is_kept() -> None:
    deep = pillow_heif.from_bytes(
        mode="RGB;16",
        size=(128, 96),
        data=(samples.rgb(128, 96).astype(np.uint16) * 257).tobytes(),
    )
    buffer = io.BytesIO()
    deep.save(buffer, quality=90)
    with pytest.raises(UnsupportedImageError, match=r"1[02]-bit samples"):
        decode_photo(buffer.getvalue())


def test_a_heic_of_several_pictures_is_kept() -> None:
    with pytest.raises(UnsupportedImageError, match="multi-page HEIF"):
        decode_photo(samples.sequence("HEIF"))


def test_a_damaged_or_large_heic_is_refused() -> None:
    file = _heic()
    with pytest.raises(UnreadableImageError, match="HEIF: damaged or truncated"):
        decode_photo(file[: len(file) // 2])
    with pytest.raises(ImageTooLargeError, match="128 x 96"):
        decode_photo(file, max_pixels=128 * 96 - 1)
