"""The header of a JPEG XL file: what must be known before its decoder is let loose.

Source: ISO/IEC 18181-1:2024, annex D (image header); 18181-2 (container).
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Final

from PIL import ImageCms

from rescaling_core.containers import boxes
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.record import TOO_DEEP

CONTAINER_SIGNATURE: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_SAYS_SRGB: Final = re.compile(r"sRGB|RGB_D65_SRG_..._SRG|Gra_D65_..._SRG")
"""Descriptions that libjxl gives the profiles it makes up."""
_RATIOS: Final = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class JxlHeader:
    """The start of the image header."""

    width: int
    height: int
    orientation: int = 1
    """As EXIF counts; the decoder applies it."""
    bits: int = 8
    """Per sample."""
    is_float: bool = False
    is_animated: bool = False
    has_preview: bool = False
    """If so, the fields above but for the size are not known."""
    extra_channels: int = 0


class _Bits:
    """Reads the codestream's bits, the least significant of a byte first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:64], "little")
        self._left = 8 * min(len(data), 64)

    def u(self, count: int) -> int:
        if count > self._left:
            raise ValueError("JPEG XL: truncated header")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value

    def u32(self, *choices: tuple[int, int]) -> int:
        """One of four (offset, number of bits), chosen by two bits."""
        offset, count = choices[self.u(2)]
        return offset + self.u(count)


def read_header(data: bytes) -> JxlHeader:
    """Read the header of a JPEG XL file.

    Raises:
        ValueError: It is truncated or damaged.
    """
    codestream = _codestream_start(data)
    if codestream[:2] != b"\xff\x0a":
        raise ValueError("JPEG XL: no codestream")
    bits = _Bits(codestream[2:])
    width, height = _size(bits)
    if bits.u(1):  # all_default
        return JxlHeader(width=width, height=height)
    orientation, animated = 1, False
    if bits.u(1):  # extra_fields
        orientation = 1 + bits.u(3)
        if bits.u(1):  # have_intrinsic_size
            _size(bits)
        if bits.u(1):
            return JxlHeader(width=width, height=height, has_preview=True)
        animated = bool(bits.u(1))
    if animated:
        return JxlHeader(width=width, height=height, orientation=orientation, is_animated=True)
    is_float = bool(bits.u(1))
    if is_float:
        depth = bits.u32((32, 0), (16, 0), (24, 0), (1, 6))
        bits.u(4)  # exponent bits
    else:
        depth = bits.u32((8, 0), (10, 0), (12, 0), (1, 6))
    bits.u(1)  # modular_16_bit_buffers
    return JxlHeader(
        width=width,
        height=height,
        orientation=orientation,
        bits=depth,
        is_float=is_float,
        extra_channels=bits.u32((0, 0), (1, 0), (2, 4), (1, 12)),
    )


def _codestream_start(data: bytes) -> bytes:
    if not data.startswith(CONTAINER_SIGNATURE):
        return data[:80]
    parts = b""
    for kind, start, end in boxes.walk(data):
        if kind == b"jxlc":
            return data[start : min(end, start + 80)]
        if kind == b"jxlp":  # four bytes of sequence number come first
            parts += data[start + 4 : min(end, start + 84)]
            if len(parts) >= 80:
                break
    return parts


def _size(bits: _Bits) -> tuple[int, int]:
    small = bool(bits.u(1))
    height = _side(bits, small)
    ratio = bits.u(3)
    if ratio == 0:
        return _side(bits, small), height
    numerator, denominator = _RATIOS[ratio]
    return height * numerator // denominator, height


def _side(bits: _Bits, small: bool) -> int:
    if small:
        return 8 * (1 + bits.u(5))
    return bits.u32((1, 9), (1, 13), (1, 18), (1, 30))


def check(data: bytes) -> None:
    """Refuse what the decoder would cut or drop.

    Raises:
        UnsupportedImageError: It says what.
    """
    header = read_header(data)
    if header.is_animated:
        raise UnsupportedImageError("animated JXL: only one frame would be carried")
    if header.has_preview:
        raise UnsupportedImageError("JXL with a preview image: it would be lost")
    if header.bits > 8 or header.is_float:
        kind = "floating-point" if header.is_float else f"{header.bits}-bit"
        raise UnsupportedImageError(f"{kind} samples: {TOO_DEEP}")
    if header.extra_channels > 1:
        raise UnsupportedImageError("JXL with channels beside colour and alpha: they would be lost")
    if box(data, b"brob") is not None and box(data, b"jbrd") is None:
        raise UnsupportedImageError("JXL with compressed metadata, which cannot be read here")


def box(data: bytes, kind: bytes) -> bytes | None:
    """The content of a container's box; None if it has none, or the file is bare.

    Raises:
        ValueError: The container is damaged.
    """
    return boxes.first(data, kind) if data.startswith(CONTAINER_SIGNATURE) else None


def stated_profile(icc: bytes | None) -> bytes | None:
    """The ICC profile, unless it is one the decoder made up to say sRGB."""
    if not icc or icc[4:8] != b"jxl ":
        return icc or None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = ImageCms.getProfileDescription(profile).strip()
    except (ImageCms.PyCMSError, OSError):
        return icc
    return None if _SAYS_SRGB.fullmatch(name) else icc
