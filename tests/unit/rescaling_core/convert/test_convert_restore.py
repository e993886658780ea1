"""A photo becomes a rendition that was restored from its own bytes; the file alone restores."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from functools import lru_cache

import pytest
import skimage.data
from PIL import Image

from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Kept, Rendition, SourceRef, convert
from rescaling_core.errors import MetadataError, RestorationMismatchError
from rescaling_core.metadata import RestorationMetadata, finalise
from rescaling_core.photo import Photo, decode_photo, encode_photo
from rescaling_core.plan import Candidate, Floor, Target, TargetPlan
from rescaling_core.quality import metrics
from rescaling_core.restore import restore
from tests.unit.photo_samples import exif

pytestmark = pytest.mark.usefixtures("one_thread")

models = lru_cache(zoo.load)


def _source() -> bytes:
    """A crop of a real photograph, with odd sides."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()[80:163, 100:221]).save(buffer, "PNG")
    return buffer.getvalue()


DATA = _source()
PHOTO = decode_photo(DATA)
REF = SourceRef(key="a/b c.png", etag="1", size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())


def _convert(
    *candidates: Candidate,
    target: str = "x2",
    floor: Floor | None = None,
    source: SourceRef = REF,
    photo: Photo = PHOTO,
) -> Rendition | Kept:
    plan = TargetPlan(target=Target.parse(target), candidates=candidates, floor=floor or Floor())
    return convert(photo, source, plan, models, software="test")


def _rendition(*args: Candidate, **kwargs: object) -> Rendition:
    outcome = _convert(*args, **kwargs)  # type: ignore[arg-type]
    assert isinstance(outcome, Rendition), outcome
    return outcome


WEBP = Candidate("irn-x2-lite", CodecSpec("webp", 90))
PNG = Candidate("irn-x2-lite", CodecSpec("png"))


@pytest.mark.parametrize(
    "codec",
    [
        CodecSpec("png"),
        CodecSpec("jpeg", 90),
        CodecSpec("webp", 80),
        CodecSpec("webp"),
        CodecSpec("avif", 70),
        CodecSpec("jxl", 90),
        CodecSpec("jxl"),
    ],
    ids=str,
)
def test_the_recorded_quality_is_that_of_the_restored_file(codec: CodecSpec) -> None:
    rendition = _rendition(Candidate("irn-x2-lite", codec))
    photo = restore(rendition.lr_data, models, recorded=rendition.metadata)
    back = decode_photo(encode_photo(photo))
    assert back.pixels.shape == PHOTO.pixels.shape
    assert metrics.psnr_y(back.pixels, PHOTO.pixels) == rendition.metadata.psnr_y
    assert metrics.ssim_y(back.pixels, PHOTO.pixels) == rendition.metadata.ssim_y


def test_the_network_beats_plain_bicubic_by_far() -> None:
    learned = _rendition(PNG).metadata.psnr_y
    plain = _rendition(Candidate("bicubic", CodecSpec("png"))).metadata.psnr_y
    assert learned is not None
    assert plain is not None
    assert learned > plain + 1


def test_the_same_input_gives_the_same_bytes() -> None:
    assert _rendition(WEBP).lr_data == _rendition(WEBP).lr_data


def test_the_smallest_candidate_that_reaches_the_floor_wins() -> None:
    ladder = [Candidate("irn-x2-lite", CodecSpec("webp", q)) for q in (20, 60, 95)]
    single = [_rendition(candidate) for candidate in ladder]
    quality = [rendition.metadata.psnr_y or 0 for rendition in single]
    assert quality == sorted(quality)
    floor = Floor(psnr_y=(quality[0] + quality[1]) / 2)
    assert _untried(_rendition(*ladder, floor=floor)) == _untried(single[1])
    assert _untried(_rendition(*ladder)) == _untried(single[0])


def _untried(rendition: Rendition) -> RestorationMetadata:
    return replace(rendition.metadata, tried=None)


def test_a_source_that_misses_the_floor_is_kept_with_the_best_value() -> None:
    kept = _convert(WEBP, PNG, floor=Floor(psnr_y=90))
    assert isinstance(kept, Kept)
    assert "below the floor of 90 dB" in kept.reason
    assert kept.best is not None
    assert kept.best.psnr_y == _rendition(PNG).metadata.psnr_y


def test_a_rendition_that_is_not_smaller_is_not_archived() -> None:
    kept = _convert(WEBP, source=replace(REF, size=100))
    assert isinstance(kept, Kept)
    assert "not smaller" in kept.reason


def test_a_preview_may_be_larger_than_its_source_and_does_not_restore() -> None:
    preview = _rendition(
        Candidate("lanczos", CodecSpec("webp", 80)),
        target="long-edge=60",
        source=replace(REF, size=100),
    )
    with Image.open(io.BytesIO(preview.lr_data)) as image:
        assert image.size == (60, 41)
    with pytest.raises(RestorationMismatchError, match="preview"):
        restore(preview.lr_data, models)


@pytest.mark.parametrize(
    ("codec", "orientation", "format"),
    [
        (CodecSpec("webp", 80), 1, "WEBP"),
        (CodecSpec("webp", 0), 6, "JPEG"),
        (CodecSpec("webp"), 6, "PNG"),
        (CodecSpec("avif", 60), 6, "AVIF"),
    ],
)
def test_a_preview_of_a_turned_photo_is_of_a_format_that_browsers_turn(
    codec: CodecSpec, orientation: int, format: str
) -> None:
    photo = replace(PHOTO, exif=exif(orientation).removeprefix(b"Exif\0\0"))
    preview = _rendition(Candidate("lanczos", codec), target="long-edge=60", photo=photo)
    with Image.open(io.BytesIO(preview.lr_data)) as image:
        assert image.format == format
        assert preview.extension in (f".{format.lower()}", ".jpg")
        assert image.getexif().get(0x0112, 1) == orientation


def test_other_lr_pixels_are_refused() -> None:
    rendition = _rendition(PNG)
    pixels = codecs.decode(rendition.lr_data).copy()
    pixels[5, 5] ^= 1
    changed = finalise(codecs.encode(pixels, CodecSpec("png")), rendition.metadata)
    with pytest.raises(RestorationMismatchError, match="LR pixels"):
        restore(changed, models)


def test_other_weights_are_refused() -> None:
    rendition = _rendition(PNG)
    with pytest.raises(RestorationMismatchError, match="weights"):
        restore(rendition.lr_data, lambda name, _: replace(models(name), weights_sha256="0" * 64))


def test_a_wrong_restoration_is_refused() -> None:
    rendition = _rendition(PNG)
    broken = zoo.load("irn-x2-lite")
    for parameter in broken.rescaler.parameters():
        parameter.data += 0.05
    with pytest.raises(RestorationMismatchError, match="not the one measured"):
        restore(rendition.lr_data, lambda *_: broken)


def test_a_catalog_that_disagrees_is_refused() -> None:
    rendition = _rendition(PNG)
    with pytest.raises(RestorationMismatchError, match="disagree"):
        restore(rendition.lr_data, models, recorded=replace(rendition.metadata, psnr_y=99.0))


def test_a_file_without_metadata_is_refused() -> None:
    with pytest.raises(MetadataError):
        restore(DATA, models)
