"""Photographs of every mode and format through the whole of it: file → LR file → restored file."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache

import numpy as np
import pytest
from PIL import Image, ImageOps

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.containers import exif as exif_block
from rescaling_core.containers.icc import means_srgb
from rescaling_core.convert import Kept, Rendition, SourceRef, convert
from rescaling_core.photo import Photo, decode_photo, encode_photo
from rescaling_core.photo.opening import available_formats
from rescaling_core.plan import Candidate, Target, TargetPlan
from rescaling_core.quality import metrics
from rescaling_core.restore import restore
from tests.unit import photo_samples as samples
from tests.unit.photo_cases import READ

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.usefixtures("one_thread"),
]

OTHER_CODECS = ("jpeg", "webp", "avif", "jxl")
RICH = (
    "jpeg with all",
    "jpeg of a wide gamut",
    "png with alpha",
    "png grey with alpha",
    "tiff with all",
    "avif grey",
)
"""Cases that are tried with the other codecs too; what metadata do in them, test_metadata says."""
SAYS_IT_ITSELF = ("JPEG", "PNG", "WEBP")
"""Formats of which Pillow gives profile, EXIF and density as they lie in the file."""
CASES = READ | (
    {
        "heic": ("RGB", lambda: samples.written(samples.image(), "HEIF", **samples.FULL)),
        "heic with alpha": ("RGBA", lambda: samples.written(samples.image("RGBA"), "HEIF")),
    }
    if "HEIF" in available_formats()
    else {}
)

models = lru_cache(zoo.load)


def _converted(file: bytes, codec: str) -> Rendition | Kept:
    """By a network that is bundled; the source counts as large, so that size decides nothing."""
    digest = hashlib.sha256(file).hexdigest()
    source = SourceRef(key="photo", etag="1", size=10**7, sha256=digest)
    plan = TargetPlan(
        target=Target.parse("x2"),
        candidates=(Candidate("irn-x2-lite", CodecSpec.parse(codec)),),
    )
    return convert(decode_photo(file), source, plan, models, software="test")


@pytest.mark.parametrize(
    ("name", "codec"),
    [(name, "png") for name in CASES] + [(name, codec) for name in RICH for codec in OTHER_CODECS],
)
def test_every_mode_and_format_is_archived_and_restored(name: str, codec: str) -> None:
    mode, make = CASES[name]
    file = make()
    source = decode_photo(file)
    outcome = _converted(file, codec)
    if codec == "jxl" and (reason := _what_jxl_cannot_say(source)):
        assert isinstance(outcome, Kept)
        assert reason in outcome.reason
        return
    assert isinstance(outcome, Rendition), outcome
    output = encode_photo(restore(outcome.lr_data, models, recorded=outcome.metadata))

    back = decode_photo(output)
    assert back.mode == source.mode == mode
    assert (back.width, back.height) == (source.width, source.height)
    assert metrics.psnr_y(back.pixels, source.pixels) == outcome.metadata.psnr_y
    assert metrics.ssim_y(back.pixels, source.pixels) == outcome.metadata.ssim_y
    assert metrics.max_abs_error(back.pixels, source.pixels) == outcome.metadata.max_abs_error
    assert outcome.metadata.psnr_y > 22
    assert (back.icc, back.exif, back.xmp) == (source.icc, source.exif, source.xmp)
    assert back.orientation == source.orientation
    assert back.dpi == (source.dpi and pytest.approx(source.dpi, abs=0.02))
    if source.alpha is not None:
        np.testing.assert_array_equal(back.alpha, source.alpha)
    _assert_pillow_agrees(file, output)


def _what_jxl_cannot_say(photo: Photo) -> str | None:
    if photo.icc is not None and not means_srgb(photo.icc):
        return "colour profile"
    return "orientation" if photo.orientation != 1 else None


def _assert_pillow_agrees(file: bytes, output: bytes) -> None:
    """What Pillow reads of source and output without our help, as what we miss on both sides is."""
    with Image.open(io.BytesIO(file)) as a, Image.open(io.BytesIO(output)) as b:
        assert b.format == "PNG"
        assert b.mode == a.mode
        assert ImageOps.exif_transpose(b).size == ImageOps.exif_transpose(a).size
        if a.format in SAYS_IT_ITSELF:
            assert b.info.get("icc_profile") == a.info.get("icc_profile")
            was, found = (exif_block.without_prefix(i.info.get("exif")) for i in (a, b))
            assert found == was
            assert b.getexif().get(0x0112) == a.getexif().get(0x0112)
        if a.format in SAYS_IT_ITSELF and a.info.get("jfif_unit", 1) and "dpi" in a.info:
            assert b.info["dpi"] == pytest.approx(a.info["dpi"], abs=0.02)
        if a.mode.endswith("A"):
            assert b.getchannel("A").tobytes() == a.getchannel("A").tobytes()
