"""The header of a JPEG XL file, and all its parts.

The header says what must be known before a decoder is let loose. Source: ISO/IEC 18181-1:2024,
annex D (image header); 18181-2 (container).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rescaling_core.containers.boxes import walk
from rescaling_core.containers.parts import (
    METADATA,
    PIXELS,
    STRUCTURE,
    UNKNOWN,
    Kind,
    Part,
    framed,
    tiled,
)

CONTAINER_SIGNATURE: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS: Final = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_FILE_TYPE: Final = b"jxl \0\0\0\0jxl "
_ROLES: Final[dict[bytes, tuple[Kind, str]]] = {
    b"jxll": (STRUCTURE, "jxll"),
    b"jxli": (STRUCTURE, "jxli"),
    b"jxlc": (PIXELS, "jxlc"),
    b"jxlp": (PIXELS, "jxlp"),
    b"jbrd": (PIXELS, "jbrd"),
    b"Exif": (METADATA, "exif"),
    b"xml ": (METADATA, "xmp"),
}


def parts(data: bytes) -> list[Part]:
    """Every byte of a JPEG XL file.

    Of a bare codestream all bytes count as pixels: only a decoder knows where it ends.
    """
    if not data.startswith(CONTAINER_SIGNATURE):
        return [Part(PIXELS, "codestream", 0, len(data))] if data else []
    found = []
    seen: set[str] = set()
    for box in walk(data):
        name = f"box {box.kind.decode('latin-1')}"
        kind, known = _ROLES.get(box.kind, (UNKNOWN, name))
        if box.kind == b"ftyp" and data[box.start : box.end] == _FILE_TYPE:
            kind, known = STRUCTURE, "ftyp"
        elif box.header == 0:
            kind, known = STRUCTURE, "signature"
        if known in seen and kind != PIXELS:
            kind, known = UNKNOWN, name
        seen.add(known)
        part = Part(kind, known, box.start, box.end - box.start)
        found += framed(part, box.start - box.header, called="box header")
    return tiled(found, data)


def box(data: bytes, kind: bytes) -> bytes | None:
    """The content of the first of a container's boxes of a type.

    None if it has none, or the file is bare.
    """
    if not data.startswith(CONTAINER_SIGNATURE):
        return None
    return next((data[one.start : one.end] for one in walk(data) if one.kind == kind), None)


def codestream(data: bytes) -> bytes:
    """The codestream alone, out of its container."""
    if not data.startswith(CONTAINER_SIGNATURE):
        return data
    found = []
    for one in walk(data):
        if one.kind == b"jxlc":
            found.append(data[one.start : one.end])
        elif one.kind == b"jxlp":  # four bytes of sequence number come first
            found.append(data[one.start + 4 : one.end])
    return b"".join(found)


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
    for one in walk(data):
        if one.kind == b"jxlc":
            return data[one.start : min(one.end, one.start + 80)]
        if one.kind == b"jxlp":  # four bytes of sequence number come first
            parts += data[one.start + 4 : min(one.end, one.start + 84)]
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
