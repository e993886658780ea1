"""Full-size files with a filter fitted to their picture, from the plan to what is restored."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.convert.again import plan_like
from rescaling_core.errors import CodecError, MetadataError, UsageError
from rescaling_core.metadata import RestorationMetadata, finalise, read_metadata
from rescaling_core.photo import decode_photo
from rescaling_core.pixels.area import Area
from rescaling_core.plan import Candidate, Floor, Target, TargetPlan
from rescaling_core.quality import metrics
from rescaling_core.restore import restore
from tasks.models import without_refold
from tasks.plans.toml import read_plan

PIXELS = np.ascontiguousarray(skimage.data.astronaut()[40:260, 100:380])
JPEG = CodecSpec("jpeg", 50, "4:2:0")


def _converted(mode: str = "RGB", psnr_y: float = 34.0, filter: str = "fitted") -> Rendition:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, "PNG")
    data = buffer.getvalue()
    codec = JPEG if mode == "RGB" else CodecSpec("jpeg", 50)
    candidate = Candidate("none", codec, qualities=(10, 95), filter=filter)  # type: ignore[arg-type]
    plan = TargetPlan(
        target=Target.parse("x2"), candidates=(candidate,), floor=Floor(psnr_y=psnr_y)
    )
    ref = SourceRef(key="a.png", etag="1", size=10**6, sha256=hashlib.sha256(data).hexdigest())
    outcome = convert(decode_photo(data), ref, plan, zoo.load, software="test")
    assert isinstance(outcome, Rendition), outcome
    return outcome


@pytest.fixture(scope="module")
def made() -> Rendition:
    return _converted()


def test_it_saves_bytes_and_the_floor_is_held(made: Rendition) -> None:
    plain = _converted(filter="none")
    assert made.metadata.fitted is not None
    assert len(made.lr_data) < 0.97 * len(plain.lr_data)
    restored = restore(made.lr_data, zoo.load).pixels
    assert metrics.psnr_y(restored, PIXELS) == pytest.approx(made.metadata.psnr_y)
    assert metrics.psnr_y(restored, PIXELS) >= 34


@pytest.mark.parametrize("psnr_y", [33, 34, 35])
def test_what_lies_between_two_steps_of_avif_is_tried_without_a_filter_too(psnr_y: float) -> None:
    pixels = np.ascontiguousarray(skimage.data.astronaut()[40:200, 100:260])
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("L").save(buffer, "PNG")
    photo = decode_photo(buffer.getvalue())
    ref = SourceRef(key="a.png", etag="1", size=10**6, sha256="0" * 64)
    sizes: list[int] = []
    for filter in ("fitted", "none"):
        candidate = Candidate("none", CodecSpec("avif", 50), qualities=(10, 95), filter=filter)  # type: ignore[arg-type]
        plan = TargetPlan(
            target=Target.parse("x2"), candidates=(candidate,), floor=Floor(psnr_y=psnr_y)
        )
        outcome = convert(photo, ref, plan, zoo.load, software="test")
        assert isinstance(outcome, Rendition)
        sizes.append(len(outcome.lr_data))
    with_filter, without = sizes
    assert with_filter <= without


def test_it_is_named_and_so_is_what_the_codec_alone_would_store(made: Rendition) -> None:
    assert made.metadata.strategy == "jpeg-420 + fitted filter at full size"
    alone = {one.strategy: one for one in made.rivals}
    assert list(alone) == [made.metadata.strategy, "jpeg-420 at full size"]
    assert alone["jpeg-420 at full size"].at_least


def test_its_record_is_of_version_3_and_small(made: Rendition) -> None:
    record = made.metadata
    assert record.schema_version == 3
    assert record.fingerprint is None
    packed = record.to_bytes()
    assert packed[0] == 3
    assert record.fitted is not None
    assert len(packed) < 200 + record.fitted.nbytes - 22
    assert RestorationMetadata.from_bytes(packed) == record
    assert RestorationMetadata.from_json(record.to_json()) == record


def test_others_are_of_version_2_as_before() -> None:
    assert _converted(filter="none").metadata.to_bytes()[0] == 2


def test_a_picture_that_reaches_the_floor_without_it_has_none() -> None:
    made = _converted(psnr_y=20)
    assert made.metadata.fitted is None
    assert made.metadata.strategy == "jpeg-420 at full size"


@pytest.mark.parametrize(
    "box", [(0, 0, 280, 220), (0, 0, 5, 7), (101, 60, 64, 31), (270, 210, 10, 10)]
)
def test_a_region_has_the_levels_of_the_whole(made: Rendition, box: tuple[int, ...]) -> None:
    whole = restore(made.lr_data, zoo.load).pixels
    area = Area(*box)
    part = restore(made.lr_data, zoo.load, region=area).pixels
    assert np.array_equal(part, whole[area.rows, area.columns])


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_archives_own_program_restores_the_same_levels(mode: str) -> None:
    made = _converted(mode)
    assert made.metadata.fitted is not None
    program = _program()
    record = program.read_record(made.lr_data)
    pixels, _ = program.restored(record, made.lr_data, Path("nowhere"))
    assert np.array_equal(pixels, restore(made.lr_data, zoo.load).pixels)


def test_the_archives_own_program_refuses_a_later_kind() -> None:
    program = _program()
    with pytest.raises(program.CannotRestoreError, match="later kind"):
        program.fitted(PIXELS, b"\x09\x01")


def _program() -> Any:
    path = Path(without_refold.__path__[0]) / "restore.py"
    spec = importlib.util.spec_from_file_location("restore_alone", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_repair_asks_for_one_again(made: Rendition) -> None:
    assert plan_like(made.metadata).candidates[0].filter == "fitted"


@pytest.mark.parametrize(
    "change", [{"rescaler": "lanczos"}, {"schema_version": 2}], ids=["rescaled", "older"]
)
def test_records_that_cannot_have_one_are_refused(made: Rendition, change: dict[str, Any]) -> None:
    wrong = replace(made.metadata, **change)
    with pytest.raises(MetadataError, match="fitted filter behind"):
        read_metadata(finalise(made.lr_data, wrong))


def test_a_filter_of_a_later_kind_is_refused_by_name(made: Rendition) -> None:
    assert made.metadata.fitted is not None
    own = made.metadata.fitted.to_bytes()
    data = made.lr_data.replace(own, b"\x09" + own[1:])
    with pytest.raises(MetadataError, match="fitted filter of kind 9: a newer release"):
        read_metadata(data)


def test_a_damaged_filter_is_found_from_the_file_alone(made: Rendition) -> None:
    assert made.metadata.fitted is not None
    own = made.metadata.fitted.to_bytes()
    last = bytes([own[-5] ^ 16])  # of a coefficient; the checksum follows
    data = made.lr_data.replace(own, own[:-5] + last + own[-4:])
    assert data != made.lr_data
    with pytest.raises(MetadataError, match="fitted filter: its checksum is another"):
        restore(data, zoo.load)
    program = _program()
    with pytest.raises(program.CannotRestoreError, match="its filter is damaged"):
        program.restored(program.read_record(data), data, Path("nowhere"))


def test_no_damaged_byte_of_the_record_makes_the_filter_vanish(made: Rendition) -> None:
    program = _program()
    own = made.metadata.to_bytes()
    start = made.lr_data.index(own)
    for at in range(start, start + len(own)):
        for change in (1, 128, 255):
            data = bytearray(made.lr_data)
            data[at] ^= change
            with contextlib.suppress(MetadataError, CodecError):
                assert read_metadata(bytes(data)).fitted == made.metadata.fitted
            try:
                record = program.read_record(bytes(data))
            except Exception:  # noqa: BLE001 - as its `main` does: it is said, and that is enough
                continue
            assert "fitted" in record


def test_plans_name_it_and_refuse_it_where_there_is_none() -> None:
    text = """
[[targets]]
target = "x2"
floor = { psnr_y = 34 }
candidates = [{ rescaler = "RESCALER", codec = "CODEC", quality = QUALITY, filter = "FILTER" }]
"""

    def plan(rescaler: str, codec: str, quality: str, filter: str) -> Candidate:
        given = text.replace("RESCALER", rescaler).replace("CODEC", codec)
        given = given.replace("QUALITY", quality).replace("FILTER", filter)
        return read_plan(given, name="plan").targets[0].candidates[0]

    span = "{ min = 10, max = 90 }"
    assert plan("none", "webp", span, "fitted").strategy == "webp + fitted filter at full size"
    with pytest.raises(UsageError, match="fitted to lossy files at full size"):
        plan("lanczos", "webp", span, "fitted")
    with pytest.raises(UsageError, match="one of none, fitted"):
        plan("none", "webp", span, "best")


def test_the_simpler_forms_of_a_candidate() -> None:
    both = Candidate("none", JPEG, qualities=(1, 9), restorer="mine", filter="fitted")
    assert both.strategy == "jpeg-420 + mine + fitted filter at full size"
    names = [one.strategy for one in both.simpler]
    assert names == ["jpeg-420 + mine at full size", "jpeg-420 at full size"]
    assert replace(both, restorer=None, filter="none").simpler == ()
