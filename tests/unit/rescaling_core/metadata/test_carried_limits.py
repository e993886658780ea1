"""What an LR file may ask to be carried into a restored file."""

from __future__ import annotations

import base64
import zlib

import pytest

from rescaling_core.errors import MetadataError
from rescaling_core.metadata.carried import MAX_UNPACKED, Carried
from tests.hostile import refused_within_limits


def packed(value: bytes) -> str:
    return base64.b64encode(zlib.compress(value, 9)).decode("ascii")


@pytest.mark.slow
def test_values_that_unpack_without_end_are_refused_in_little_memory() -> None:
    refused = refused_within_limits(
        "Carried.from_json({'icc': bomb, 'exif': bomb, 'xmp': bomb})",
        before="""
        import base64, zlib
        from rescaling_core.metadata.carried import Carried
        packer = zlib.compressobj(9)
        zeros = bytes(2**20)
        stream = b''.join(packer.compress(zeros) for _ in range(256)) + packer.flush()
        bomb = base64.b64encode(stream).decode()
        """,
    )
    assert refused is MetadataError


def test_values_that_only_together_are_too_large_are_refused() -> None:
    third = packed(bytes(MAX_UNPACKED // 3))
    Carried.from_json({"icc": third, "exif": third, "xmp": third})
    with pytest.raises(MetadataError, match=f"more than {MAX_UNPACKED} bytes"):
        Carried.from_json({"icc": third, "exif": third, "xmp": third, "iptc": packed(bytes(4))})


@pytest.mark.parametrize(
    "kind",
    [
        *("IDAT", "IEND", "IHDR", "PLTE", "tRNS", "acTL", "fcTL", "fdAT", "iCCP", "eXIf"),
        *("LYRS", "te\0t", "abc", "abcde", "äbcd", 5, None),
    ],
)
def test_chunks_that_would_change_the_restored_picture_are_refused(kind: object) -> None:
    with pytest.raises(MetadataError, match="would change the restored picture"):
        Carried.from_json({"png_chunks": [[kind, packed(b"x")]]})


def test_more_quantisation_tables_than_a_jpeg_has_are_refused() -> None:
    jpeg = {"quantisation": packed(bytes(5 * 128)), "subsampling": None, "progressive": False}
    with pytest.raises(MetadataError, match="quantisation tables"):
        Carried.from_json({"jpeg": jpeg})


@pytest.mark.parametrize("dpi", [[152_400_000.0, 1.0], [float("nan"), 1], [-1, 72], [0, 0]])
def test_a_density_that_no_png_states_is_left_out(dpi: list[float]) -> None:
    assert Carried.from_json({"dpi": dpi}).dpi is None


@pytest.mark.parametrize("foreign", [[["name", 0]], [5], [["name", "x", packed(b"")]], "text"])
def test_damaged_parts_are_refused(foreign: object) -> None:
    with pytest.raises(MetadataError, match="extras are damaged"):
        Carried.from_json({"foreign": foreign})
