"""Photographs of every mode and format: read with all they carry, or kept for a stated reason."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from rescaling_core.containers import exif as exif_block
from rescaling_core.errors import (
    CodecError,
    ImageTooLargeError,
    UnreadableImageError,
    UnsupportedImageError,
)
from rescaling_core.photo import Photo, decode_photo, encode_photo, opening, stated_pixels
from tests.unit import photo_samples as samples
from tests.unit.photo_cases import KEPT, READ, bombs, tiff_with_damaged_tag

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize("name", READ)
def test_every_mode_and_format_is_read_and_comes_back(name: str) -> None:
    mode, make = READ[name]
    file = make()
    photo = decode_photo(file)
    assert photo.mode == mode
    assert photo.pixels.flags.c_contiguous
    assert stated_pixels(file) == photo.width * photo.height
    again = decode_photo(encode_photo(photo))
    _assert_same(again, photo)
    _assert_seen_alike(file, encode_photo(photo))


@pytest.mark.parametrize("name", KEPT)
def test_what_would_be_lost_is_kept_and_the_reason_says_what(name: str) -> None:
    reason, make = KEPT[name]
    with pytest.raises(UnsupportedImageError, match=reason):
        decode_photo(make())


def _assert_same(found: Photo, expected: Photo) -> None:
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert found.mode == expected.mode
    assert (found.alpha is None) == (expected.alpha is None)
    if expected.alpha is not None:
        np.testing.assert_array_equal(found.alpha, expected.alpha)
    assert found.icc == expected.icc
    assert found.exif == expected.exif
    assert found.xmp == expected.xmp
    assert found.orientation == expected.orientation
    if expected.dpi is not None:
        assert found.dpi == pytest.approx(expected.dpi, abs=0.02)
    else:
        assert found.dpi is None


def _assert_seen_alike(source: bytes, restored: bytes) -> None:
    """As Pillow's users see both: turned as their tags say."""
    with Image.open(io.BytesIO(source)) as a, Image.open(io.BytesIO(restored)) as b:
        np.testing.assert_array_equal(
            np.asarray(ImageOps.exif_transpose(a)), np.asarray(ImageOps.exif_transpose(b))
        )


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_as_stored_and_the_orientation_is_in_the_tag(format, orientation) -> None:
    file = samples.written(
        samples.image(), format, exif=samples.exif(orientation, sizes=format != "TIFF")
    )
    photo = decode_photo(file)
    assert (photo.width, photo.height) == (61, 47)
    assert photo.orientation == orientation
    _assert_seen_alike(file, encode_photo(photo))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_comes_through_byte_for_byte(format: str) -> None:
    file = samples.written(samples.image(), format, exif=samples.exif(6))
    block = exif_block.without_prefix(samples.exif(6))
    assert decode_photo(file).exif == block
    assert decode_photo(encode_photo(decode_photo(file))).exif == block


def test_a_profile_made_up_by_the_jxl_decoder_is_not_taken_for_the_sources() -> None:
    for mode in ("L", "RGB"):
        assert decode_photo(samples.written(samples.image(mode), "JXL")).icc is None


def test_tags_of_a_tiff_become_exif() -> None:
    file = samples.written(samples.image(), "TIFF", exif=samples.exif(3), software="Scanner 1")
    with Image.open(io.BytesIO(encode_photo(decode_photo(file)))) as restored:
        tags = restored.getexif()
        assert tags[0x0131] == "Scanner 1"
        assert tags[0x010F] == "Acme"
        assert tags.get_ifd(0x8769)[0x927C].startswith(b"MakerNote\0")
        assert 273 not in tags  # where strips lie is nothing to carry


def test_text_and_other_chunks_of_a_png_come_back() -> None:
    file = samples.png_with(b"tEXt", b"Title\0Pier", samples.png_with(b"sRGB", b"\1"))
    restored = encode_photo(decode_photo(file))
    with Image.open(io.BytesIO(restored)) as image:
        assert image.info["Title"] == "Pier"
        assert image.info["srgb"] == 1


def test_iptc_and_comments_of_a_jpeg_reach_the_restored_png() -> None:
    file = samples.jpeg_with(0xED, samples.photoshop(), samples.jpeg_with(0xFE, samples.COMMENT))
    with Image.open(io.BytesIO(encode_photo(decode_photo(file)))) as image:
        assert image.info["Comment"].encode() == samples.COMMENT
        lines = image.info["Raw profile type 8bim"].split()
        assert lines[0] == "8bim"
        assert samples.IPTC in bytes.fromhex("".join(lines[2:]))


def test_a_jpeg_restored_as_jpeg_has_its_tables_segments_and_trailer_again() -> None:
    source = samples.written(
        samples.image(), "JPEG", quality=83, subsampling="4:2:0", progressive=True, **samples.FULL
    )
    source = samples.jpeg_with(0xEB, b"JP claim", source) + b"trailer"
    photo = decode_photo(source)
    restored = decode_photo(encode_photo(photo, format="JPEG"))
    assert restored.traits.jpeg == photo.traits.jpeg
    assert [part.data for part in restored.traits.foreign] == [b"trailer"]
    assert restored.traits.jpeg is not None
    assert restored.traits.jpeg.progressive
    assert restored.traits.jpeg.subsampling == "4:2:0"
    assert b"JP claim" in restored.traits.jpeg.segments
    assert (restored.exif, restored.xmp, restored.icc) == (photo.exif, photo.xmp, photo.icc)


def test_jpeg_refuses_alpha() -> None:
    photo = decode_photo(samples.written(samples.image("RGBA"), "PNG"))
    with pytest.raises(CodecError, match="no alpha"):
        encode_photo(photo, format="JPEG")


@pytest.mark.parametrize("size", [(1, 1), (1, 97), (97, 1), (2, 3)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "JXL"])
def test_the_smallest_images_are_read(format: str, size: tuple[int, int]) -> None:
    photo = decode_photo(samples.written(samples.image("RGB", *size), format))
    assert (photo.width, photo.height) == size
    _assert_same(decode_photo(encode_photo(photo)), photo)


# What is wrong with a source


@pytest.mark.parametrize(
    "junk",
    [b"", b"\0", b"hello, I am no image", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"],
)
def test_what_is_no_image_is_unreadable(junk: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        decode_photo(junk)
    assert stated_pixels(junk) is None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "JXL"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_unreadable(format: str, part: float) -> None:
    file = samples.written(samples.image(), format)
    with pytest.raises(UnreadableImageError, match=r"(?i)truncated|damaged"):
        decode_photo(file[: int(len(file) * part)])


def test_a_progressive_jpeg_cut_between_scans_is_unreadable() -> None:
    file = samples.written(samples.image(), "JPEG", progressive=True)
    cut = file.rindex(b"\xff\xda")
    with pytest.raises(UnreadableImageError, match="truncated"):
        decode_photo(file[:cut])


def test_a_flipped_bit_in_a_png_is_noticed() -> None:
    file = bytearray(samples.written(samples.image(), "PNG"))
    file[len(file) // 2] ^= 1
    with pytest.raises(UnreadableImageError, match="check sum"):
        decode_photo(bytes(file))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "JXL"])
def test_the_limit_on_pixels_is_the_plans(format: str) -> None:
    file = samples.written(samples.image(), format)
    decode_photo(file, max_pixels=61 * 47)
    with pytest.raises(ImageTooLargeError, match="61 x 47 is 2867 pixels; at most 2866"):
        decode_photo(file, max_pixels=61 * 47 - 1)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_bomb_is_refused_by_its_header(format: str) -> None:
    with pytest.raises(ImageTooLargeError):
        decode_photo(bombs()[format])


def test_a_format_without_its_plugin_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(opening, "available_formats", lambda: frozenset({"JPEG", "PNG"}))
    with pytest.raises(UnsupportedImageError, match=r"pip install 'refold\[jxl\]'"):
        decode_photo(samples.written(samples.image(), "JXL"))
    with pytest.raises(UnsupportedImageError, match=r"pip install 'refold\[heic\]'"):
        decode_photo(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(64))


# Many at once, and quietly


def test_threads_do_not_disturb_one_another() -> None:
    made = [make() for _, make in READ.values()]
    expected = [decode_photo(file) for file in made]
    with ThreadPoolExecutor(8) as pool:
        for photo, found in zip(expected * 3, pool.map(decode_photo, made * 3), strict=True):
            _assert_same(found, photo)


def test_pillows_limit_and_settings_stay_as_they_were() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    decode_photo(READ["png"][1](), max_pixels=10**12)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_damaged_tags_are_no_noise_on_standard_error(tmp_path) -> None:
    file = tmp_path / "damaged.tif"
    file.write_bytes(tiff_with_damaged_tag())
    script = (
        "import sys, pathlib, rescaling_core.photo as p\n"
        "try: p.decode_photo(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "except ValueError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, file], capture_output=True, text=True, check=True
    )
    assert "do not lie in the file" in run.stdout
    assert run.stderr == ""


def _oddly_sampled_jpeg() -> bytes:
    """A grey picture in three channels, of which one has half as many samples as the others."""
    grey = Image.merge("RGB", [Image.new("L", (64, 48), 90)] * 3)
    data = bytearray(samples.written(grey, "JPEG", subsampling="4:4:4"))
    at = data.index(b"\xff\xc0") + 10
    assert data[at : at + 9 : 3] == b"\x01\x02\x03"
    for channel, factors in enumerate((0x22, 0x21, 0x12)):
        data[at + 3 * channel + 1] = factors
    return bytes(data)


def test_a_jpeg_of_odd_sampling_is_not_called_damaged() -> None:
    with pytest.raises(UnsupportedImageError, match="sampled in a way"):
        decode_photo(_oddly_sampled_jpeg())
