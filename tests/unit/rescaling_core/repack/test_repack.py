"""Packed files come back whole, and damaged packs are refused."""

from __future__ import annotations

import lzma
import struct
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.containers import png
from rescaling_core.repack import pack, same_file, unpack
from tests.format_cells import cells
from tests.unit import photo_samples as samples
from tests.unit.photo_cases import KEPT

pytestmark = pytest.mark.filterwarnings("ignore")

MOST = 2**22
SLOW = {"derandomize": True, "deadline": timedelta(seconds=20)}
HEADS = [b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"P5 4 4 255 "]
FILES = [make() for _, make in KEPT.values()]
SMALL = [pack(data) for data in FILES if len(data) < 6000]


@settings(max_examples=60, **SLOW)
@given(head=st.sampled_from(HEADS), data=st.binary())
def test_any_bytes_come_back(head: bytes, data: bytes) -> None:
    assert unpack(pack(head + data), most=MOST) == head + data


def test_files_of_every_kind_come_back() -> None:
    for data in FILES:
        back = unpack(pack(data), most=MOST)
        assert same_file(back, data)
        assert back == data or data.startswith(png.SIGNATURE)


@settings(max_examples=300, **SLOW)
@given(
    packed=st.sampled_from(SMALL),
    at=st.integers(0, 10**6),
    value=st.integers(0, 255),
    cut=st.booleans(),
)
def test_a_damaged_pack_is_refused_or_gives_the_very_file(
    packed: bytes, at: int, value: int, cut: bool
) -> None:
    at %= len(packed)
    damaged = packed[:at] if cut else packed[:at] + bytes((value,)) + packed[at + 1 :]
    try:
        found = unpack(damaged, most=MOST)
    except ValueError:
        return
    assert same_file(found, unpack(packed, most=MOST))


def test_no_pack_unpacks_to_more_than_is_allowed() -> None:
    packed = pack(bytes(10**6))
    assert len(packed) < 1000
    with pytest.raises(ValueError, match="at most 999999"):
        unpack(packed, most=999_999)
    lying = packed.replace(b'"size":1000000', b'"size":10     ')
    with pytest.raises(ValueError, match=r"damaged pack|unpack to"):
        unpack(lying, most=MOST)


def test_a_pack_of_a_later_version_says_so() -> None:
    with pytest.raises(ValueError, match="newer release"):
        unpack(b"\x02" + pack(b"x")[1:], most=10)


def test_a_png_keeps_every_chunk_and_every_row() -> None:
    """Chunks that nothing understands, colour keys, order, and how many its rows are cut into."""
    data = samples.png_with(b"prIv", b"secret", samples.png16())
    at = data.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", data, at)
    rows = data[at + 8 : at + 8 + length]
    cut = [rows[:10], rows[10:900], rows[900:]]
    data = data[:at] + b"".join(png.chunk(b"IDAT", one) for one in cut) + data[at + 12 + length :]
    back = unpack(pack(data + b"behind the end"), most=MOST)
    assert back.endswith(b"behind the end")
    kinds = [kind for kind, _, _ in png.walk(back)]
    assert kinds == [kind for kind, _, _ in png.walk(data)]
    assert not same_file(back.replace(b"secret", b"SECRET"), data + b"behind the end")
    assert not same_file(back, data)


def test_a_png_that_says_where_its_rows_may_be_cut_is_not_packed() -> None:
    with pytest.raises(ValueError, match="a reader may start"):
        pack(samples.png_with(b"iDOT", bytes(28), samples.png16()))


def test_strips_that_overlap_or_lie_nowhere_come_back() -> None:
    data = samples.tiff_of(np.zeros((40, 40), np.uint16) + 7, photometric="minisblack")
    at = data.index(struct.pack("<HHL", 273, 4, 1)) + 8 if b"\x11\x01\x04\0" in data else None
    places = range(0, len(data) - 1, 7) if at is None else (at, at + 1, at + 2, at + 3)
    for place in places:
        for value in (0, 1, 255):
            damaged = data[:place] + bytes((value,)) + data[place + 1 :]
            assert unpack(pack(damaged), most=MOST) == damaged


def test_pictures_take_fewer_bytes_than_a_general_compressor_makes_of_them() -> None:
    picture = samples.rgb(200, 200)
    noise = np.random.default_rng(5).integers(0, 400, picture.shape)
    deep = np.clip(picture.astype(int) * 257 + noise, 0, 65535).astype(np.uint16)
    for data in (samples.tiff_of(deep, photometric="rgb"), cells()["TIFF", "CMYK", 1]):
        assert len(pack(data)) < 0.96 * len(lzma.compress(data))
