"""What previews show of files that are not archived."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from rescaling_core.errors import ImageTooLargeError, PhotoError, UnsupportedImageError
from rescaling_core.photo import decode_shown, shown_pixels
from tests.unit import photo_samples as samples
from tests.unit.photo_cases import KEPT, QUARANTINED
from tests.unit.rescaling_core.photo import shown_cases as cases

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

NOT_SHOWN = {
    "jpeg 12-bit": "12 bits",
    "jpeg lossless": "lossless or hierarchical",
    "tiff of a layout that Pillow does not know": "layout that cannot be read",
    **{name: "layout that cannot be read" for name in KEPT if "compressed as" in name},
    "bmp with a short header of OS/2": "layout that cannot be read",
    "dds of unusual flags": "layout that cannot be read",
}
OTHERWISE = {"png gamma", "png cicp", "png colour key", "icon", "jxl 16-bit grey", "jxl float"}
"""Of colours that are not the photograph's own, or of another size."""


def shown(data: bytes):
    return decode_shown(data, max_pixels=10**6, reason="why it is kept: in full")


def off(found: np.ndarray, expected: np.ndarray) -> float:
    """Mean difference in levels."""
    return float(np.abs(found.astype(int) - expected.astype(int)).mean())


def test_what_is_kept_is_shown_as_the_photograph_that_it_is() -> None:
    for name, (_, make) in KEPT.items():
        data = make()
        if name in NOT_SHOWN:
            with pytest.raises(UnsupportedImageError, match=NOT_SHOWN[name]):
                shown(data)
            continue
        photo = shown(data)
        assert photo.made_from, name
        assert (photo.alpha, photo.icc, photo.exif) == (None, None, None)
        assert shown_pixels(data) == photo.width * photo.height, name
        if name not in OTHERWISE:
            mode = "L" if photo.mode == "L" else "RGB"
            expected = np.asarray(samples.image().convert(mode)).reshape(47, 61, -1)
            bound = 100 if "bilevel" in name else 20 if "palette" in name or "gif" in name else 6
            assert off(photo.pixels, expected) < bound, name


def test_it_says_what_of_the_file_it_is() -> None:
    said = {
        "gif animated": "the first of 3 frames; palette",
        "tiff of pages": "the first of 3 pages",
        "png 16-bit": "the upper 8 of 16 bits",
        "tiff cmyk": "CMYK without a profile",
        "tiff lab": "Lab converted to sRGB",
        "png cicp": "a high dynamic range (PQ, 1000 nits) as a usual screen shows it",
        "tiff float": "floating-point samples, 0 to 1 as 0 to 255",
        "netpbm": "the picture alone: why it is kept",
    }
    assert {name: shown(KEPT[name][1]()).made_from for name in said} == said


def test_what_is_damaged_or_too_large_is_not_shown() -> None:
    for name, (_, make) in QUARANTINED.items():
        with pytest.raises(PhotoError):
            shown(make())
        if name.startswith("bomb"):
            with pytest.raises(ImageTooLargeError):
                shown(make())


@pytest.mark.parametrize("make", [cases.dng, cases.cr2, cases.raf, cases.rw2])
def test_a_raw_file_is_shown_by_the_largest_jpeg_in_it(make) -> None:
    photo = shown(make())
    assert off(photo.pixels, cases.upright()) < 4
    assert photo.made_from == "the JPEG picture in a camera's raw file"
    assert shown_pixels(make()) == 61 * 47


def test_a_raw_file_turns_the_jpeg_in_it_unless_that_says_so_itself() -> None:
    plain = shown(cases.dng(turn=6))
    assert off(plain.pixels, np.rot90(cases.upright(), -1)) < 4
    own = samples.written(samples.image(), "JPEG", quality=95, exif=samples.exif(8))
    assert off(shown(cases.dng(turn=6, picture=own)).pixels, np.rot90(cases.upright())) < 4


def test_planes_of_16_bits_are_not_mixed_up() -> None:
    deep = cases.upright().transpose(2, 0, 1).astype(np.uint16) * 257
    shape = {"photometric": "rgb", "planarconfig": "separate"}
    for turn, turned in ((1, cases.upright()), (6, np.rot90(cases.upright(), -1))):
        for order in ("<", ">"):
            tags = [(274, 3, 1, turn, True)]
            tiff = samples.tiff_of(deep, byteorder=order, extratags=tags, **shape)
            np.testing.assert_array_equal(shown(tiff).pixels, turned)


def test_a_raw_file_without_a_jpeg_or_with_a_bomb_is_not_shown() -> None:
    with pytest.raises(UnsupportedImageError, match="without a JPEG"):
        shown(cases.raw_without_a_picture())
    bomb = cases.jpegs()[1]
    at = bomb.index(b"\xff\xc0") + 5
    bomb = bomb[:at] + b"\xea\x60\xea\x60" + bomb[at + 4 :]
    with pytest.raises(ImageTooLargeError):
        shown(cases.dng(picture=bomb))


def test_a_tiff_with_smaller_pictures_below_is_no_raw_file() -> None:
    """Editors put reduced copies into a TIFF: its own picture is shown, not theirs."""
    photo = shown(samples.written(samples.image("CMYK"), "TIFF", tiffinfo={330: 8}))
    assert off(photo.pixels, cases.upright()) < 4


def test_cmyk_is_seen_through_its_profile() -> None:
    for format in ("TIFF", "JPEG"):
        data = samples.written(samples.image("CMYK"), format, icc_profile=cases.cmyk_profile())
        photo = shown(data)
        assert photo.made_from == "CMYK through its profile to sRGB"
        red, _, blue = photo.pixels.reshape(-1, 3).mean(0)
        assert blue > red + 40  # without the profile red is 58 above blue
        with Image.open(io.BytesIO(data)) as image:
            expected = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(cases.cmyk_profile())),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        assert off(photo.pixels, np.asarray(expected)) < 1


def test_a_profile_that_does_not_fit_is_left_aside_and_named() -> None:
    data = samples.written(samples.image("CMYK"), "TIFF", icc_profile=samples.SRGB)
    photo = shown(data)
    assert re.search("does not fit", str(photo.made_from))
    assert off(photo.pixels, cases.upright()) < 4


def test_colours_stated_by_numbers_are_seen_as_a_profile_would_show_them() -> None:
    """Display P3 by `cHRM` and by `cICP` against the profile of the same primaries."""
    through = ImageCms.profileToProfile(
        samples.image(),
        ImageCms.ImageCmsProfile(io.BytesIO(samples.display_p3())),
        ImageCms.createProfile("sRGB"),
    )
    places = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    chrm = samples.png_with(b"cHRM", b"".join(one.to_bytes(4, "big") for one in places))
    cicp = samples.png_with(b"cICP", bytes((12, 13, 0, 1)))
    for data in (chrm, cicp):
        assert np.abs(shown(data).pixels.astype(int) - np.asarray(through)).max() <= 3


def test_pictures_are_shown_upright() -> None:
    for turn, turned in ((3, np.rot90(cases.upright(), 2)), (6, np.rot90(cases.upright(), -1))):
        deep = cases.upright().astype(np.uint16) * 257
        tiff = samples.tiff_of(deep, photometric="rgb", extratags=[(274, 3, 1, turn, True)])
        jpeg = samples.written(
            samples.image("CMYK"), "JPEG", quality=95, exif=samples.exif(turn, sizes=False)
        )
        png = samples.png_with(b"eXIf", samples.exif(turn)[6:], samples.png16())
        for data in (tiff, jpeg, png):
            assert off(shown(data).pixels, turned) < 4


def test_what_is_transparent_lies_on_white() -> None:
    samples16 = np.zeros((4, 4, 4), np.uint16)
    samples16[..., 3] = 65535 // 2
    tiff = samples.tiff_of(samples16, photometric="rgb", extrasamples=["unassalpha"])
    assert set(shown(tiff).pixels.ravel()) == {128}
    gif = samples.written(samples.image("RGBA"), "GIF")
    assert tuple(shown(gif).pixels[0, 0]) == (255, 255, 255)


def test_white_may_be_zero_and_samples_signed_or_beyond_any_range() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    white = shown(samples.tiff_of(ramp, photometric="miniswhite"))
    assert (white.pixels[0, 0, 0], white.pixels[-1, -1, 0]) == (255, 0)
    signed = shown(samples.tiff_of(ramp.astype(np.int32) - 30000, photometric="minisblack"))
    assert (signed.pixels[0, 0, 0], signed.pixels[-1, -1, 0]) == (0, 255)
    heights = ramp.astype(np.float32) / 50 - 100
    heights[3, 3] = np.nan
    found = shown(samples.tiff_of(heights, photometric="minisblack"))
    assert (found.pixels[0, 0, 0], found.pixels[-1, -1, 0]) == (0, 255)
    flat = shown(samples.tiff_of(np.full((9, 9), np.inf, np.float32), photometric="minisblack"))
    assert set(flat.pixels.ravel()) == {255}


def test_the_composite_of_a_photoshop_file_is_shown() -> None:
    pixels = cases.upright()
    head = struct.pack(">4sH6sHLLHH", b"8BPS", 1, bytes(6), 3, 47, 61, 8, 3)
    planes = b"".join(pixels[..., band].tobytes() for band in range(3))
    photo = shown(head + bytes(12) + bytes(2) + planes)
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert photo.format == "PSD"
    with pytest.raises(PhotoError):
        shown(head + bytes(12) + bytes(2) + planes[:-100])
