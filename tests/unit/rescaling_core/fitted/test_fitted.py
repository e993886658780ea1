"""Filters fitted to one picture."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.fitted import REACH, FittedFilter, filtered, fit, seen
from rescaling_core.fitted import apply as applying
from rescaling_core.fitted.seen import CLASSES
from rescaling_core.quality import metrics

PIXELS = np.ascontiguousarray(skimage.data.astronaut()[40:260, 100:380])


@st.composite
def filters(draw: st.DrawFn) -> FittedFilter:
    taps = draw(st.sampled_from([6, 12]))
    count = draw(st.integers(1, 15))
    row = st.tuples(*[st.integers(-128, 127)] * taps)
    rows = draw(st.lists(row, min_size=count, max_size=count))
    classes = draw(st.lists(st.integers(0, count), min_size=CLASSES, max_size=CLASSES))
    return FittedFilter(tuple(classes), tuple(rows))


def _random(seed: int, height: int, width: int, channels: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, channels), np.uint8)
    smooth = coarse.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
    return (smooth // 2 + rng.integers(0, 128, smooth.shape)).astype(np.uint8)


@given(filters())
def test_a_filter_is_read_back_as_it_was_written(one: FittedFilter) -> None:
    assert FittedFilter.from_bytes(one.to_bytes()) == one
    assert len(one.to_bytes()) == one.nbytes
    assert FittedFilter.from_json(one.to_json()) == one


@settings(max_examples=40, deadline=None)
@given(
    one=filters(),
    seed=st.integers(0, 99),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([1, 3]),
    data=st.data(),
)
def test_a_part_with_its_surroundings_gives_the_same_levels(
    one: FittedFilter, seed: int, size: tuple[int, int], channels: int, data: st.DataObject
) -> None:
    pixels = _random(seed, *size, channels)
    whole = filtered(pixels, one)
    top, left = (data.draw(st.integers(0, side - 1)) for side in size)
    starts = zip((top, left), size, strict=True)
    bottom, right = (data.draw(st.integers(at + 1, side)) for at, side in starts)
    y, x = max(0, top - REACH), max(0, left - REACH)
    part = filtered(pixels[y : bottom + REACH, x : right + REACH], one)
    found = part[top - y : bottom - y, left - x : right - x]
    assert np.array_equal(found, whole[top:bottom, left:right])


@pytest.mark.parametrize("channels", [1, 3])
def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    spec = CodecSpec("jpeg", 40, "4:2:0") if channels == 3 else CodecSpec("jpeg", 40)
    source = PIXELS[..., :channels]
    decoded = codecs.decode(codecs.encode(source, spec), channels=channels)
    whole = fit(decoded, source, 20_000)
    assert whole is not None
    expected = filtered(decoded, whole)
    monkeypatch.setattr(seen, "_STRIP", 1000)
    assert fit(decoded, source, 20_000) == whole
    assert np.array_equal(filtered(decoded, whole), expected)


def test_it_is_computed_as_docs_say_in_plain_integers() -> None:
    pixels = _random(5, 9, 8, 3)
    one = FittedFilter(
        tuple(1 + at % 2 for at in range(CLASSES)), ((9, -7, 30) * 4, (-5, 2, 1) * 4)
    )
    y = [
        [(19595 * r + 38470 * g + 7471 * b + 2048) >> 12 for r, g, b in row]
        for row in pixels.tolist()
    ]
    height, width = 9, 8

    def at(row: int, column: int) -> int:
        return y[min(max(row, 0), height - 1)][min(max(column, 0), width - 1)]

    def bends(row: int, column: int, dy: int, dx: int) -> int:
        return sum(
            abs(2 * (at(r, c) >> 2) - (at(r + dy, c + dx) >> 2) - (at(r - dy, c - dx) >> 2))
            for r in range(row - 2, row + 3)
            for c in range(column - 2, column + 3)
        )

    result = filtered(pixels, one)
    for row in range(height):
        for column in range(width):
            across, down, falling, rising = (
                bends(row, column, *d) for d in ((0, 1), (1, 0), (1, 1), (1, -1))
            )
            level = sum(across + down >= bound for bound in (100, 200, 400, 800, 1600))
            most, least = max(across, down), min(across, down)
            high, low = max(falling, rising), min(falling, rising)
            if high * (least + 1) > most * (low + 1):
                which = (3 if falling > rising else 4) * (2 * high > 3 * (low + 1))
            else:
                which = (1 if across > down else 2) * (2 * most > 3 * (least + 1))
            row_of = one.filters[one.classes[5 * level + which] - 1]
            change = sum(
                factor
                * (at(row + dy, column + dx) + at(row - dy, column - dx) - 2 * at(row, column))
                for factor, (dy, dx) in zip(row_of, seen.PAIRS, strict=True)
            )
            wanted = [
                min(max(int(value) + ((change + 1024) >> 11), 0), 255)
                for value in pixels[row, column]
            ]
            assert result[row, column].tolist() == wanted
    assert applying.LEVEL == 2048


@pytest.mark.parametrize(("codec", "quality"), [("jpeg", 40), ("webp", 50)])
def test_it_brings_a_decoded_picture_nearer_to_its_source(codec: str, quality: int) -> None:
    spec = CodecSpec(codec, quality, "4:2:0" if codec == "jpeg" else None)
    data = codecs.encode(PIXELS, spec)
    decoded = codecs.decode(data)
    found = fit(decoded, PIXELS, len(data))
    assert found is not None
    better = filtered(decoded, found)
    assert metrics.psnr_y(better, PIXELS) > metrics.psnr_y(decoded, PIXELS) + 0.1


def test_nothing_is_fitted_where_nothing_is_missing_or_it_would_not_pay() -> None:
    assert fit(PIXELS, PIXELS, 100_000) is None
    decoded = codecs.decode(codecs.encode(PIXELS, CodecSpec("jpeg", 40, "4:2:0")))
    assert fit(decoded, PIXELS, 50) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_small_pictures(size: tuple[int, int]) -> None:
    source, pixels = _random(1, *size, 3), _random(2, *size, 3)
    found = fit(pixels, source, 10**6)
    if found is not None:
        assert filtered(pixels, found).shape == pixels.shape


def _checked(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


@given(st.data())
def test_no_flipped_bit_of_one_goes_unnoticed(data: st.DataObject) -> None:
    written = bytearray(FittedFilter((1, 2) * 15, (tuple(range(12)), (-3,) * 12)).to_bytes())
    bit = data.draw(st.integers(0, 8 * len(written) - 1))
    written[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="fitted filter"):
        FittedFilter.from_bytes(bytes(written))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "kind none"),
        (b"\x09\x01", "kind 9: a newer release"),
        (b"\x01\x00", "0 filters"),
        (b"\x01\x10" + bytes(200), "16 filters"),
        (b"\x01\x01" + bytes(4 + 5), "in 11 bytes"),
        (_checked(b"\x01\x02" + b"\xff" * 8 + bytes(12)), "a filter that is not there"),
    ],
)
def test_impossible_ones_are_refused(data: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        FittedFilter.from_bytes(data)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"classes": [0] * CLASSES},
        {"classes": [0] * CLASSES, "filters": []},
        {"classes": [0] * CLASSES, "filters": [[1] * 5]},
        {"classes": [0] * CLASSES, "filters": [[128] * 6]},
        {"classes": [0] * CLASSES, "filters": [[True] * 6]},
        {"classes": [2] * CLASSES, "filters": [[1] * 6]},
        {"classes": [1] * 3, "filters": [[1] * 6]},
        {"classes": 3, "filters": [[1] * 6]},
    ],
)
def test_damaged_documents_are_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"filter|class|coefficients"):
        FittedFilter.from_json(document)
