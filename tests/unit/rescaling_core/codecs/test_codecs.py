"""LR pixels through real encoders and back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from rescaling_core import codecs
from rescaling_core.codecs import CODECS, CodecSpec, FileExtras, files
from rescaling_core.containers import exif as exif_block
from rescaling_core.containers.icc import means_srgb
from rescaling_core.errors import CodecError, CodecUnavailableError, UsageError
from tests.unit import photo_samples as samples

EVERY = ("png", "jpeg", "jpeg-420", "webp", "webp-lossless", "avif", "avif-420", "jxl")
LOSSLESS = ("png", "webp-lossless", "jxl-lossless")
GREY = np.ascontiguousarray(np.asarray(samples.image("L"))[..., None])
EXIF = exif_block.without_prefix(samples.exif(6))


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.parametrize("text", [*EVERY, "jxl-lossless"])
def test_a_codecs_text_reads_back(text: str) -> None:
    spec = CodecSpec.parse(text)
    assert str(spec) == text
    assert CodecSpec.parse(str(spec), spec.quality) == spec


@pytest.mark.parametrize(
    ("text", "quality", "reason"),
    [
        ("gif", None, "one of png, jpeg, webp, avif, jxl"),
        ("png", 90, "lossless"),
        ("jpeg", 0, "1 to 100"),
        ("jpeg", 101, "1 to 100"),
        ("jpeg-lossless", None, "no lossless mode"),
        ("jpeg-422", None, "jpeg-444, jpeg-420"),
        ("webp-444", None, "webp-420, webp-lossless"),
        ("png-420", None, "png comes as"),
        ("jxl", 100, "1 to 99"),
    ],
)
def test_a_setting_that_a_codec_lacks_is_refused(text, quality, reason) -> None:
    with pytest.raises(UsageError, match=reason):
        CodecSpec.parse(text, quality)


def test_an_effort_outside_the_codecs_scale_is_refused() -> None:
    with pytest.raises(UsageError, match="effort 12: 1 to 9"):
        CodecSpec("png", effort=12)
    with pytest.raises(UsageError, match="no such setting"):
        CodecSpec("jpeg", 90, effort=1)


@pytest.mark.parametrize("text", LOSSLESS)
@pytest.mark.parametrize("pixels", [GREY, samples.rgb()], ids=["grey", "rgb"])
def test_lossless_codecs_lose_nothing(text: str, pixels: np.ndarray) -> None:
    data = codecs.encode(pixels, CodecSpec.parse(text))
    np.testing.assert_array_equal(codecs.decode(data, channels=pixels.shape[2]), pixels)


@pytest.mark.parametrize("text", ["jpeg", "webp", "avif", "jxl"])
@pytest.mark.parametrize("pixels", [GREY, samples.rgb()], ids=["grey", "rgb"])
def test_more_quality_costs_more_bytes_and_gives_better_pixels(text, pixels) -> None:
    low, high = (codecs.encode(pixels, CodecSpec.parse(text, quality)) for quality in (30, 95))
    assert len(low) < len(high)
    decoded = (
        codecs.decode(low, channels=pixels.shape[2]),
        codecs.decode(high, channels=pixels.shape[2]),
    )
    assert decoded[0].shape == pixels.shape
    assert 22 < _psnr(decoded[0], pixels) < _psnr(decoded[1], pixels)


@pytest.mark.parametrize("name", ["jpeg", "avif"])
def test_halved_chroma_costs_fewer_bytes(name: str) -> None:
    full, halved = (
        codecs.encode(samples.rgb(), CodecSpec.parse(text)) for text in (name, f"{name}-420")
    )
    assert len(halved) < len(full)


@pytest.mark.parametrize("text", EVERY)
def test_the_same_pixels_give_the_same_bytes(text: str) -> None:
    spec = CodecSpec.parse(text)
    assert codecs.encode(samples.rgb(), spec) == codecs.encode(samples.rgb(), spec)


@pytest.mark.parametrize("size", [(1, 1), (1, 97), (97, 1), (3, 2)])
@pytest.mark.parametrize("text", EVERY)
def test_the_smallest_images_are_encoded(text: str, size: tuple[int, int]) -> None:
    pixels = samples.rgb(*size)
    assert codecs.decode(codecs.encode(pixels, CodecSpec.parse(text))).shape == pixels.shape


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_what_a_codec_states_about_itself_is_true(codec: codecs.Codec) -> None:
    data = codecs.encode(samples.rgb(), CodecSpec.parse(codec.name))
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == codec.pillow_format
        assert Image.MIME[codec.pillow_format] == codec.media_type
        assert Image.registered_extensions()[codec.extension] == codec.pillow_format


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "avif"])
def test_a_viewer_finds_profile_and_orientation(name: str) -> None:
    extras = FileExtras(icc=samples.SRGB, exif=EXIF, xmp=samples.XMP)
    spec = CodecSpec.parse(name)
    data = codecs.encode(samples.rgb(), spec, extras=extras)
    np.testing.assert_array_equal(
        codecs.decode(data), codecs.decode(codecs.encode(samples.rgb(), spec))
    )
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (61, 47)
        assert image.info["icc_profile"] == samples.SRGB
        assert image.info["xmp"] == samples.XMP
        assert ImageOps.exif_transpose(image).size == (47, 61)


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "jxl"])
def test_exif_is_held_byte_for_byte_where_the_codec_says_so(name: str) -> None:
    spec = CodecSpec.parse(name)
    assert EXIF is not None
    block = exif_block.with_orientation(EXIF, 1)
    data = codecs.encode(samples.rgb(), spec, extras=FileExtras(exif=block, xmp=samples.XMP))
    assert spec.codec.max_exif
    assert codecs.read_extras(data) == FileExtras(exif=block, xmp=samples.XMP)
    assert codecs.read_xmp(data) == samples.XMP


@pytest.mark.parametrize(
    ("name", "extras", "reason"),
    [
        ("jpeg", FileExtras(xmp=b" " * 65_505), "65505 bytes of metadata: at most 65504"),
        ("jpeg", FileExtras(exif=b" " * 65_528), "65528 bytes of EXIF: at most 65527"),
        ("jxl", FileExtras(icc=samples.WIDE), "cannot embed a colour profile"),
        ("jxl", FileExtras(exif=EXIF), "cannot embed an orientation"),
    ],
)
def test_what_a_codec_cannot_hold_is_an_error_that_says_so(name, extras, reason) -> None:
    with pytest.raises(CodecError, match=reason):
        codecs.encode(samples.rgb(), CodecSpec.parse(name), extras=extras)


def test_a_profile_that_says_srgb_need_not_be_embedded() -> None:
    spec = CodecSpec.parse("jxl")
    plain = codecs.encode(samples.rgb(), spec)
    assert codecs.encode(samples.rgb(), spec, extras=FileExtras(icc=samples.SRGB)) == plain


def test_a_profile_says_srgb_only_if_colours_stay_as_they_are() -> None:
    grey = Image.open(io.BytesIO(samples.written(samples.image("L"), "JXL"))).info["icc_profile"]
    assert means_srgb(samples.SRGB)
    assert means_srgb(grey)
    assert not means_srgb(samples.WIDE)
    assert not means_srgb(samples.LAB)
    assert not means_srgb(b"junk")


def test_the_largest_metadata_a_jpeg_can_hold_are_held() -> None:
    xmp = b" " * 65_504
    data = codecs.encode(samples.rgb(), CodecSpec("jpeg", 90), extras=FileExtras(xmp=xmp))
    assert codecs.read_xmp(data) == xmp


def test_a_side_that_a_codec_cannot_hold_is_an_error() -> None:
    pixels = np.zeros((1, 16_384, 3), np.uint8)
    with pytest.raises(CodecError, match="at most 16383 a side"):
        codecs.encode(pixels, CodecSpec("webp", 90))
    with pytest.raises(CodecError, match="at most 65500 a side"):
        codecs.encode(np.zeros((65_501, 1, 1), np.uint8), CodecSpec("jpeg", 90))


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 2), (4, 4, 4)])
def test_only_grey_and_rgb_are_encoded(shape: tuple[int, ...]) -> None:
    with pytest.raises(CodecError, match="cannot encode an array"):
        codecs.encode(np.zeros(shape, np.uint8), CodecSpec("png"))


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "1"])
def test_a_file_that_is_no_lr_image_is_not_decoded(mode: str) -> None:
    format = "JPEG" if mode == "CMYK" else "PNG"
    with pytest.raises(CodecError, match=f"^LR file: mode {mode}: expected L or RGB"):
        codecs.decode(samples.written(samples.image(mode), format))


@pytest.mark.parametrize("text", EVERY)
def test_a_truncated_file_is_not_decoded(text: str) -> None:
    data = codecs.encode(samples.rgb(), CodecSpec.parse(text))
    with pytest.raises(CodecError, match="LR file"):
        codecs.decode(data[: len(data) // 2])


def test_a_file_larger_than_allowed_is_not_decoded() -> None:
    data = codecs.encode(samples.rgb(), CodecSpec("png"))
    with pytest.raises(CodecError, match="at most 100 are allowed"):
        codecs.decode(data, max_pixels=100)


def test_all_codecs_are_available_here() -> None:
    assert {codec.name for codec in codecs.available()} == set(CODECS)


def test_a_missing_library_is_named_with_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(files, "pillow_formats", lambda: frozenset({"PNG", "JPEG"}))
    assert [codec.name for codec in codecs.available()] == ["png", "jpeg"]
    with pytest.raises(CodecUnavailableError, match=r"jxl is not installed: pip install 'refold"):
        codecs.encode(samples.rgb(), CodecSpec.parse("jxl"))
    with pytest.raises(CodecUnavailableError, match="full build of Pillow"):
        codecs.check_available(CodecSpec.parse("avif"))


def test_every_way_to_write_a_codec_has_a_number_of_its_own() -> None:
    numbers = [number for codec in CODECS.values() for number in codec.numbers.values()]
    assert len(numbers) == len(set(numbers))
    for text in (*EVERY, *LOSSLESS):
        assert text in CodecSpec.parse(text).codec.numbers


@pytest.mark.parametrize("text", EVERY)
def test_a_file_is_known_by_its_first_bytes_to_be_of_its_codec_and_of_no_other(text: str) -> None:
    spec = CodecSpec.parse(text)
    data = codecs.encode(samples.rgb(), spec)
    assert [codec for codec in CODECS.values() if codec.is_file(data)] == [spec.codec]


@pytest.mark.parametrize("quality", [None, 1, 80, 100])
@pytest.mark.parametrize("size", [(1, 1), (31, 50), (256, 301)])
def test_webp_past_pillow_has_the_pixels_that_pillow_sees(
    quality: int | None, size: tuple[int, int]
) -> None:
    """By imagecodecs, which is not everywhere: a digest must hold whoever decodes."""
    pytest.importorskip("imagecodecs")
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    data = codecs.encode(pixels, CodecSpec("webp", quality))
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image)
    fast = CODECS["webp"].pixels
    assert fast is not None
    found = fast(data)
    assert found is not None
    assert np.array_equal(found, expected)
    assert np.array_equal(codecs.decode(data), expected)


def test_webp_is_decoded_by_pillow_where_there_is_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = codecs.encode(np.full((8, 9, 3), 77, np.uint8), CodecSpec("webp", None))
    monkeypatch.setattr("rescaling_core.codecs.webp._library", lambda: None)
    assert np.array_equal(codecs.decode(data), np.full((8, 9, 3), 77))


def test_webp_is_decoded_by_pillow_where_the_library_was_built_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class WithoutWebP:
        def webp_decode(self, data: bytes, *, hasalpha: bool) -> None:
            raise ImportError("could not import name 'webp_decode' from 'imagecodecs'")

    data = codecs.encode(np.full((8, 9, 3), 77, np.uint8), CodecSpec("webp", None))
    monkeypatch.setattr("rescaling_core.codecs.webp._library", WithoutWebP)
    assert np.array_equal(codecs.decode(data), np.full((8, 9, 3), 77))


def test_a_damaged_webp_is_refused_in_the_same_words_with_and_without_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    data = bytearray(codecs.encode(pixels, CodecSpec("webp", 80)))
    data[27] ^= 0xFF  # of the frame: where its parts lie
    with pytest.raises(CodecError) as with_it:
        codecs.decode(bytes(data))
    monkeypatch.setattr("rescaling_core.codecs.webp._library", lambda: None)
    with pytest.raises(CodecError) as without:
        codecs.decode(bytes(data))
    assert str(with_it.value) == str(without.value)


def test_an_animated_webp_is_left_to_pillow() -> None:
    """The first frame may be a part of the canvas, which a decoder of pictures does not know."""
    frames = [Image.new("RGB", (9, 8), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(codecs.decode(buffer.getvalue()), np.asarray(frames[0]))


@pytest.mark.parametrize("cut", [40, 200, -1])
def test_a_webp_cut_short_is_refused(cut: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    data = codecs.encode(pixels, CodecSpec("webp", 80))
    with pytest.raises(CodecError):
        codecs.decode(data[:cut])
