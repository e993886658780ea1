"""A chunk, box or segment without content says that it is there: it is carried, not dropped."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from rescaling_core.photo import decode_photo
from tests.fault_files import box, riff_chunk, segment

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8))


def _file(kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    PICTURE.save(data, kind, **options)
    return data.getvalue()


def _in_png(data: bytes) -> tuple[bytes, bytes]:
    at = data.index(b"IEND") - 4
    empty = bytes.fromhex("00000000 61624364 7806e9b3")  # abCd
    return data[:at] + empty + data[at:], empty


def _in_jpeg(data: bytes) -> tuple[bytes, bytes]:
    empty = segment(0xE9, b"")
    return data[:2] + empty + data[2:], empty


def _in_comment(data: bytes) -> tuple[bytes, bytes]:
    empty = segment(0xFE, b"")
    return data[:2] + empty + data[2:], empty


def _in_exif(data: bytes) -> tuple[bytes, bytes]:
    empty = segment(0xE1, b"Exif\0\0")
    return data[:2] + empty + data[2:], empty


def _in_webp(data: bytes) -> tuple[bytes, bytes]:
    empty = riff_chunk(b"abCd", b"")
    longer = data + empty
    return longer[:4] + struct.pack("<I", len(longer) - 8) + longer[8:], empty


def _behind(data: bytes) -> tuple[bytes, bytes]:
    empty = box(b"abCd", b"")
    return data + empty, empty


@pytest.mark.parametrize(
    ("data", "put"),
    [
        pytest.param(_file("PNG"), _in_png, id="PNG chunk"),
        pytest.param(_file("JPEG"), _in_jpeg, id="JPEG segment"),
        pytest.param(_file("JPEG"), _in_comment, id="JPEG comment"),
        pytest.param(_file("JPEG"), _in_exif, id="JPEG EXIF"),
        pytest.param(
            _file("WEBP", lossless=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
            _in_webp,
            id="WebP chunk",
        ),
        pytest.param(_file("AVIF"), _behind, id="AVIF box"),
        pytest.param(_file("JXL", lossless=True, use_container=True), _behind, id="JPEG XL box"),
    ],
)
def test_a_piece_without_content_is_carried(
    data: bytes, put: Callable[[bytes], tuple[bytes, bytes]]
) -> None:
    plain = decode_photo(data, max_pixels=10**6, max_carried=10**6)
    changed, empty = put(data)
    photo = decode_photo(changed, max_pixels=10**6, max_carried=10**6)
    assert np.array_equal(photo.pixels, plain.pixels)
    assert plain.traits.foreign == ()
    assert [one.data for one in photo.traits.foreign] == [empty]
