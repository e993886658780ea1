"""What can be told from the first bytes of a file, before a decoder touches it."""

from __future__ import annotations

import re
from typing import Final

from rescaling_core.containers import jxl, riff

_MAGIC: Final = (
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("GIF", 0, b"GIF87a"),
    ("GIF", 0, b"GIF89a"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("TIFF", 0, b"II+\0"),
    ("TIFF", 0, b"MM\0+"),
    ("WEBP", 8, b"WEBP"),
    ("JXL", 0, b"\xff\x0a"),
    ("JXL", 0, b"\0\0\0\x0cJXL \r\n\x87\n"),
    ("BMP", 0, b"BM"),
    # Sound images of formats that are not archived: they are kept, not quarantined.
    ("JPEG 2000", 0, b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("JPEG 2000", 0, b"\xff\x4f\xff\x51"),
    ("Photoshop", 0, b"8BPS"),
    ("OpenEXR", 0, b"\x76\x2f\x31\x01"),
    ("DDS", 0, b"DDS "),
    ("QOI", 0, b"qoif"),
    ("Icon", 0, b"\0\0\1\0"),
    ("camera raw", 0, b"IIRO"),
    ("camera raw", 0, b"IIRS"),
    ("camera raw", 0, b"IIU\0"),
    ("camera raw", 0, b"FUJIFILMCCD-RAW"),
    ("camera raw", 4, b"ftypcrx "),
    ("Mac icon", 0, b"icns"),
    ("SGI", 0, b"\x01\xda\0\x01"),
    ("SGI", 0, b"\x01\xda\x01\x01"),
    ("Sun raster", 0, b"\x59\xa6\x6a\x95"),
    ("PCX", 0, b"\x0a\x05\x01"),
    ("PCX", 0, b"\x0a\x03\x01"),
    ("PCX", 0, b"\x0a\x02\x01"),
)

_NETPBM: Final = re.compile(rb"P(?:[1-7FfH]|F4)[ \t\r\n\v\f#]")
"""PBM, PGM, PPM, PAM and PFM; a blank or a comment follows."""
_AVIF_BRANDS: Final = (b"avif", b"avis")
_HEIF_BRANDS: Final = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs")


def identify(data: bytes) -> str | None:
    """Name the format of a file by its first bytes; None if they are of no known image."""
    for name, offset, magic in _MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return name
    if _NETPBM.match(data):
        return "Netpbm"
    return _identify_heif(data)


def _identify_heif(data: bytes) -> str | None:
    """AVIF and HEIC share a container; the brands in its first box tell them apart."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end, 4))]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "AVIF"
    if any(brand in _HEIF_BRANDS for brand in brands):
        return "HEIF"
    return None


def peek_size(name: str, data: bytes) -> tuple[int, int] | None:
    """(width, height) of formats whose decoders take memory for the pixels on opening.

    Args:
        name: As `identify` gives it.
        data: The file.

    Returns:
        None for the other formats: their openers read the header only.

    Raises:
        ValueError, struct.error: The header is damaged.
    """
    if name == "WEBP":
        return riff.picture_size(data)
    if name == "JXL":
        header = jxl.read_header(data)
        return header.width, header.height
    return None
