"""Damaged files: whatever the bytes, a photo or one of our errors, soon, in little memory."""

from __future__ import annotations

import hashlib
import os
import resource
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescaling_core import codecs, metadata, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.containers import png
from rescaling_core.convert import Kept, SourceRef, convert
from rescaling_core.errors import PhotoError, RefoldError
from rescaling_core.photo import decode_photo, decode_shown, encode_photo
from rescaling_core.plan import Candidate, Target, TargetPlan
from rescaling_core.restore import restore
from tests.unit.photo_cases import KEPT, READ
from tests.unit.rescaling_core.photo import shown_cases

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

models = lru_cache(zoo.load)

CORPUS = [make() for _, make in (READ | KEPT).values()]
SHOWN = [make() for _, make in KEPT.values()]
SHOWN += [shown_cases.dng(), shown_cases.cr2(), shown_cases.raf(), shown_cases.rw2()]
RENDITIONS = [
    path.read_bytes()
    for path in sorted((Path(__file__).parents[2] / "fixtures" / "metadata_v1").iterdir())
    if path.suffix not in (".py", ".json", ".pyc") and path.is_file()
]
MAX_PIXELS = 1_000_000
MEMORY = 256 * 2**20
"""Bytes that all cases together may add to the process: far more than a sound image needs."""

EDGES = st.sampled_from((0, 1, 0x7F, 0x80, 0xFE, 0xFF))


@st.composite
def damaged(draw: st.DrawFn, files: list[bytes], most: int = 6) -> bytes:
    """A file with at most so many changes, often near its start, where the headers are."""
    data = bytearray(draw(st.sampled_from(files)))
    is_png = data.startswith(png.SIGNATURE)
    for _ in range(draw(st.integers(1, most))):
        if not data:
            break
        reach = min(len(data), draw(st.sampled_from((32, 200, 1000, 10**9))))
        at = draw(st.integers(0, reach - 1))
        match draw(st.sampled_from(("flip", "set", "run", "cut", "drop", "repeat", "graft"))):
            case "flip":
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set":
                data[at] = draw(EDGES | st.integers(0, 255))
            case "run":
                data[at : at + 4] = bytes((draw(EDGES),)) * 4
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + draw(st.integers(1, 40))]
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 60))]
            case "graft":
                other = draw(st.sampled_from(files))
                start = draw(st.integers(0, len(other) - 1))
                data[at:at] = other[start : start + 200]
    if is_png and draw(st.booleans()):
        _mend_check_sums(data)  # else the check sums catch it all, and nothing behind them is tried
    return bytes(data)


def _mend_check_sums(data: bytearray) -> None:
    try:
        chunks = png.walk(bytes(data))
    except ValueError:
        return
    for _, at, _ in chunks:
        png.with_checksum(data, at)


@pytest.fixture
def little_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < MEMORY


FEWER = 1 if os.environ.get("REFOLD_ALL_FAULTS") == "1" else 6
"""The cases are the same each time, so that most of them are for `make faults`."""

FUZZ = {
    "derandomize": True,
    "deadline": timedelta(seconds=20),
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


@settings(max_examples=2500 // FEWER, **FUZZ)
@given(data=damaged(CORPUS))
def test_a_damaged_source_is_a_photo_or_one_of_our_errors(little_memory, data: bytes) -> None:
    try:
        photo = decode_photo(data, max_pixels=MAX_PIXELS)
    except PhotoError:
        return
    assert photo.width * photo.height <= MAX_PIXELS
    again = decode_photo(encode_photo(photo))
    assert (again.pixels == photo.pixels).all()


@settings(max_examples=1500 // FEWER, **FUZZ)
@given(data=damaged(SHOWN))
def test_what_a_preview_shows_of_a_damaged_file_is_a_photo_or_one_of_our_errors(
    little_memory, data: bytes
) -> None:
    with suppress(PhotoError):
        photo = decode_shown(data, max_pixels=MAX_PIXELS)
        assert photo.width * photo.height <= MAX_PIXELS


@settings(max_examples=1200 // FEWER, **FUZZ)
@given(data=damaged(CORPUS, most=1), codec=st.sampled_from(("png", "jpeg", "webp", "avif", "jxl")))
def test_what_survives_its_damage_is_archived_and_restored_or_kept(
    little_memory, data: bytes, codec: str
) -> None:
    """Profiles, tags and trailers that make no sense, through the encoders and back."""
    try:
        photo = decode_photo(data, max_pixels=MAX_PIXELS)
    except PhotoError:
        return
    source = SourceRef(key="k", etag="e", size=10**7, sha256=hashlib.sha256(data).hexdigest())
    plan = TargetPlan(
        target=Target(scale=2), candidates=(Candidate("bicubic", CodecSpec.parse(codec)),)
    )
    outcome = convert(photo, source, plan, models, software="test", data=data)
    if isinstance(outcome, Kept):
        assert "jxl" in outcome.reason
        return
    back = decode_photo(encode_photo(restore(outcome.lr_data, models)))
    for field in ("mode", "icc", "exif", "xmp", "orientation", "width", "height"):
        assert getattr(back, field) == getattr(photo, field), field


@settings(max_examples=500 // FEWER, **FUZZ)
@given(data=damaged(RENDITIONS))
def test_a_damaged_rendition_is_read_or_one_of_our_errors(little_memory, data: bytes) -> None:
    with suppress(RefoldError):
        record = metadata.read_metadata(data)
        lr = codecs.decode(data, channels=record.channels, max_pixels=MAX_PIXELS)
        if (record.width, record.height) == lr.shape[1::-1]:
            metadata.photo_from_restoration(lr, record, data)


@settings(max_examples=300 // FEWER, **FUZZ)
@given(data=st.binary(max_size=200))
def test_noise_is_no_photo(data: bytes) -> None:
    with pytest.raises(PhotoError):
        decode_photo(data)
