"""Restored files in other formats than PNG: every sample and every byte that was carried."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from rescaling_core.errors import CodecError
from rescaling_core.photo import MOST_CARRIED, Photo, decode_photo, restored_file
from rescaling_core.photo.beside import unzipped
from tests.fault_files import faults
from tests.unit import photo_samples as samples
from tests.unit.photo_cases import READ

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

OWN = {"PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "BMP": ".bmp", "JXL": ".jxl"}


def _check(photo: Photo, format: str, name: str) -> str:
    """Hold a file in a format against the photo; give its extension."""
    file = restored_file(photo, format=format)  # type: ignore[arg-type]
    back = decode_photo(file.data, max_carried=MOST_CARRIED)
    assert back.mode == photo.mode, name
    np.testing.assert_array_equal(back.pixels, photo.pixels)
    if photo.alpha is not None:
        np.testing.assert_array_equal(back.alpha, photo.alpha)
    beside = [part.data for part in unzipped(file.extras)] if file.extras else []
    for field in ("icc", "exif", "xmp"):
        value = getattr(photo, field)
        assert value is None or value == getattr(back, field) or value in beside, (name, field)
    assert back.orientation == photo.orientation, name
    for part in photo.traits.foreign:
        assert part.data in beside or file.extension == ".png", (name, part.name)
    return file.extension


def test_every_photo_comes_back_whole_in_every_format_or_is_refused() -> None:
    refused = set()
    for name, (_, make) in READ.items():
        photo = decode_photo(make())
        for format in ("tiff", "webp", "jxl"):
            try:
                _check(photo, format, name)
            except CodecError as error:
                refused.add((format, photo.mode, str(error)))
        expected = OWN.get(photo.format, ".png")
        found = _check(photo, "source", name)
        assert found in (expected, ".png"), name
        assert found == expected or photo.mode == "RGBA" or photo.orientation != 1, name
    assert {one for one in refused if one[0] == "tiff"} == set()
    assert all("PNG" in why for _, _, why in refused)
    assert {mode for format, mode, _ in refused if format == "webp"} == {"L", "LA"}


def test_what_a_format_has_no_place_for_lies_beside() -> None:
    checked = 0
    for name, fault in faults().items():
        if not fault.back:
            continue
        try:
            photo = decode_photo(fault.data, max_carried=MOST_CARRIED)
        except Exception:  # noqa: BLE001 - what is kept or damaged is for other tests
            continue
        file = restored_file(photo, format="tiff")
        held = file.data + b"".join(part.data for part in unzipped(file.extras or _nothing()))
        for expected in fault.back:
            assert expected in held or expected.hex().encode() in held.replace(b"\n", b""), name
        checked += 1
    assert checked > 40


def test_a_restored_tiff_is_read_alike_by_others() -> None:
    """By tifffile and by libtiff, with the tags that a camera wrote."""
    for mode in ("L", "LA", "RGB", "RGBA"):
        source = samples.written(
            samples.image(mode),
            "PNG",
            exif=samples.exif(),
            icc_profile=samples.SRGB,
            dpi=(300, 300),
        )
        file = restored_file(decode_photo(source), format="tiff").data
        expected = np.asarray(samples.image(mode))
        np.testing.assert_array_equal(tifffile.imread(io.BytesIO(file)), expected)
        with Image.open(io.BytesIO(file)) as opened:
            np.testing.assert_array_equal(np.asarray(opened), expected)
            assert opened.info["icc_profile"] == samples.SRGB
            assert opened.info["dpi"] == pytest.approx((300, 300), abs=0.1)
            assert opened.getexif()[0x010F] == "Acme"
            assert len(opened.getexif().get_ifd(0x8769)[0x927C]) == 266


def _nothing() -> bytes:
    from rescaling_core.photo.beside import zipped

    return zipped((), "PNG")


def test_a_profile_or_a_turn_that_jpeg_xl_cannot_state_is_refused() -> None:
    wide = decode_photo(samples.written(samples.image(), "PNG", icc_profile=samples.WIDE))
    turned = decode_photo(samples.written(samples.image(), "PNG", exif=samples.exif(6)))
    for photo in (wide, turned):
        with pytest.raises(CodecError, match="restore to PNG"):
            restored_file(photo, format="jxl")
