"""Every byte of a source is accounted for: parts cover a file, and what is in it comes back."""

from __future__ import annotations

import hashlib
import struct
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.containers import bmp, headers, heif, isobmff, jpeg, jxl, png, riff, tiff
from rescaling_core.convert import Kept, SourceRef, convert
from rescaling_core.errors import PhotoError, UnsupportedImageError
from rescaling_core.photo import decode_photo, restored_file
from rescaling_core.photo.beside import unzipped
from rescaling_core.plan import Candidate, Target, TargetPlan
from rescaling_core.restore import restore
from tests import fault_files
from tests.fault_files import SECRET, Fault, faults
from tests.unit import photo_samples as samples
from tests.unit.photo_cases import KEPT, READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.containers.parts import Part

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.usefixtures("one_thread"),
]

WALKERS: dict[str, Callable[[bytes], list[Part]]] = {
    "JPEG": jpeg.parts,
    "PNG": png.parts,
    "WEBP": riff.parts,
    "AVIF": heif.parts,
    "HEIF": heif.parts,
    "JXL": jxl.parts,
    "TIFF": tiff.parts,
    "BMP": bmp.parts,
}
PLAN = TargetPlan(
    target=Target(scale=2), candidates=(Candidate("bicubic", CodecSpec.parse("png")),)
)
models = lru_cache(zoo.load)


def outcome_of(data: bytes) -> tuple[str, str, bytes]:
    """(state, reason, all that comes back) of a file that is archived, if it can be."""
    try:
        photo = decode_photo(data, max_pixels=10**6)
    except UnsupportedImageError as error:
        return "kept", str(error), b""
    except PhotoError as error:
        return "quarantined", str(error), b""
    source = SourceRef(key="k", etag="e", size=10**8, sha256=hashlib.sha256(data).hexdigest())
    outcome = convert(photo, source, PLAN, models, software="test")
    if isinstance(outcome, Kept):
        return "kept", outcome.reason, b""
    file = restored_file(restore(outcome.lr_data, models, recorded=outcome.metadata))
    parts = () if file.extras is None else unzipped(file.extras)
    joined = b"".join(part.data for part in parts)  # something added may have been cut in two
    return "archived", "", fault_files.unpacked(file.data) + joined


@pytest.mark.parametrize("name", faults())
def test_each_fault_ends_in_a_state_that_is_right_and_loses_nothing(name: str) -> None:
    fault: Fault = faults()[name]
    state, reason, back = outcome_of(fault.data)
    assert state in fault.right, (state, reason)
    assert state == "archived" or reason
    if state == "archived":
        for expected in fault.back:
            assert expected in back


@pytest.mark.parametrize("name", [*READ, *KEPT, *faults()])
def test_parts_cover_a_file_from_its_first_byte_to_its_last(name: str) -> None:
    data = faults()[name].data if name in faults() else (READ | KEPT)[name][1]()
    kind = headers.identify(data)
    if kind not in WALKERS:
        return
    try:
        parts = WALKERS[kind](data)
    except ValueError:  # a tag that does not lie in the file: it is kept
        assert kind == "TIFF"
        return
    assert parts[0].offset == 0
    assert parts[-1].end == len(data)
    assert all(a.end == b.offset for a, b in pairwise(parts))
    assert all(part.length for part in parts)


@cache
def carriers() -> dict[str, tuple[bytes, tuple[int, ...]]]:
    """A small file of each format, and the offsets between its parts."""
    files = {
        "JPEG": samples.written(samples.image(), "JPEG", **samples.FULL),
        "PNG": samples.written(samples.image(), "PNG", icc_profile=samples.SRGB, dpi=(72, 72)),
        "WEBP": samples.written(samples.image(), "WEBP", **samples.FULL),
        "AVIF": samples.written(samples.image(), "AVIF", **samples.FULL),
        "JXL": samples.written(samples.image(), "JXL", lossless=True, use_container=True),
    }
    return {
        kind: (data, tuple(sorted({part.offset for part in WALKERS[kind](data)} | {len(data)})))
        for kind, data in files.items()
    }


@settings(
    derandomize=True, deadline=None, max_examples=250, suppress_health_check=list(HealthCheck)
)
@given(choice=st.data())
def test_what_is_unknown_is_given_back_or_makes_the_source_kept(choice: st.DataObject) -> None:
    """An unknown chunk, box, segment or trailer at every boundary, or bytes of no form at all."""
    kind = choice.draw(st.sampled_from(sorted(carriers())))
    data, boundaries = carriers()[kind]
    at = choice.draw(st.sampled_from(boundaries))
    wrapped = {
        "JPEG": fault_files.segment(0xE5, SECRET),
        "PNG": samples.png_chunk(b"owNc", SECRET),
        "WEBP": fault_files.riff_chunk(b"OWN ", SECRET),
        "AVIF": fault_files.box(b"ownb", SECRET),
        "JXL": fault_files.box(b"ownb", SECRET),
    }
    added = choice.draw(st.sampled_from([SECRET, wrapped.get(kind, SECRET)]))
    changed = data[:at] + added + data[at:]
    if kind == "WEBP" and choice.draw(st.booleans()):
        changed = changed[:4] + struct.pack("<I", len(changed) - 8) + changed[8:]
    state, _, back = outcome_of(changed)
    assert state != "archived" or SECRET in back


@pytest.mark.parametrize(
    "data",
    [
        fault_files.tiff(before=SECRET),
        fault_files.tiff(between=SECRET),
        fault_files.tiff() + SECRET,
        fault_files.bmp(gap=SECRET),
        fault_files.bmp() + SECRET,
    ],
    ids=["behind the header", "before the strip", "behind a tiff", "before the rows", "behind"],
)
def test_bytes_that_nothing_points_at_are_given_back(data: bytes) -> None:
    """TIFF and BMP say where things lie, so that bytes between them are not just put in."""
    state, _, back = outcome_of(data)
    assert state == "archived"
    assert SECRET in back


@settings(
    derandomize=True, deadline=None, max_examples=120, suppress_health_check=list(HealthCheck)
)
@given(
    tag=st.integers(1, 65_535),
    kind=st.integers(0, 20),
    value=st.binary(min_size=1, max_size=40),
)
def test_any_tag_of_a_tiff_is_given_back_or_makes_it_kept(
    tag: int, kind: int, value: bytes
) -> None:
    size = tiff.SIZES.get(kind, 1)
    whole = value.ljust(-(-len(value) // size) * size, b"\0")
    if tag in tiff.STRUCTURAL:
        return  # it says how the pixels are written: it may say that they are others
    state, _, back = outcome_of(fault_files.tiff((tag, kind, len(whole) // size, whole)))
    assert state != "archived" or whole in back


def test_what_png_has_no_place_for_comes_back_in_a_zip_that_says_where_it_was() -> None:
    source = fault_files.into_jpeg(
        samples.written(samples.image(), "JPEG"), fault_files.segment(0xEB, SECRET)
    )
    source += b"note behind"
    file = restored_file(decode_photo(source))
    assert file.extras is not None
    found = unzipped(file.extras)
    assert [(part.name, part.data) for part in found] == [
        ("APP11", SECRET),
        ("trailer", b"note behind"),
    ]
    assert found[1].offset == len(source) - len(b"note behind")
    assert restored_file(decode_photo(source)).extras == file.extras


def test_a_restored_picture_without_its_zip_can_be_archived_and_loses_nothing() -> None:
    source = samples.written(samples.image(), "JPEG") + SECRET
    restored = restored_file(decode_photo(source)).data
    state, _, back = outcome_of(restored)
    assert state == "archived"
    assert SECRET in back


def test_a_plan_says_how_much_may_be_carried() -> None:
    data = samples.written(samples.image(), "JPEG") + bytes(range(1, 200)) * 10
    decode_photo(data, max_carried=4000)
    with pytest.raises(UnsupportedImageError, match="at most 1000 are carried"):
        decode_photo(data, max_carried=1000)


def test_a_photo_of_more_pieces_than_a_record_may_hold_is_kept() -> None:
    """It was archived, and then its record was refused by what reads the catalog."""
    chunk = samples.png_chunk(b"tEXt", b"k\0v")
    state, reason, _ = outcome_of(fault_files.into_png(fault_files.png(), chunk * 30_000))
    assert (state, "30000 pieces" in reason) == ("kept", True)


def test_an_orientation_is_added_to_exif_without_moving_a_byte() -> None:
    from rescaling_core.containers import exif

    block = fault_files.exif(fault_files.text(0x13B, SECRET))
    turned = exif.with_stated_orientation(block, 6)
    assert exif.orientation(turned) == 6
    assert turned[8 : len(block)] == block[8:]


@pytest.mark.parametrize("angle", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_turns_of_a_container_are_read_as_pillow_reads_them(angle: int, mirror: int | None) -> None:
    meta = isobmff.Meta(items={1: isobmff.Item()}, primary=1)
    if angle:
        meta.items[1].properties.append((b"irot", bytes((angle,))))
    if mirror is not None:
        meta.items[1].properties.append((b"imir", bytes((mirror,))))
    # As Pillow's _avif.c has it.
    expected = {
        (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
        (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
        (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
    }  # fmt: skip
    assert meta.turn == expected[angle, mirror]
