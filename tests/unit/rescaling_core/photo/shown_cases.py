"""Files of which only a picture can be shown, written as cameras and print shops write them."""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
from PIL import Image

from tests.unit import photo_samples as samples


def upright() -> np.ndarray:
    return samples.rgb()


def directory(
    at: int, entries: list[tuple[int, int, tuple[int, ...]]], following: int = 0
) -> bytes:
    """A TIFF directory of (tag, type, numbers), its values behind it."""
    rows, values = b"", b""
    start = at + 2 + 12 * len(entries) + 4
    for tag, kind, numbers in sorted(entries):
        raw = struct.pack(f"<{len(numbers)}{'H' if kind == 3 else 'L'}", *numbers)
        held = raw.ljust(4, b"\0")
        if len(raw) > 4:
            held = struct.pack("<L", start + len(values))
            values += raw
        rows += struct.pack("<HHL", tag, kind, len(numbers)) + held
    return struct.pack("<H", len(entries)) + rows + struct.pack("<L", following) + values


@cache
def jpegs() -> tuple[bytes, bytes]:
    """A thumbnail and the picture, as a camera puts both into its raw files."""
    small = Image.fromarray(np.full((12, 16, 3), 40, np.uint8))
    return samples.written(small, "JPEG"), samples.written(samples.image(), "JPEG", quality=95)


def dng(turn: int = 1, picture: bytes | None = None) -> bytes:
    """A thumbnail first, and below it the sensor's samples and a larger JPEG; so is NEF's."""
    small, large = jpegs()
    large = picture or large
    first, sensor, preview, place = 8, 600, 900, 1200
    head = [
        (254, 4, (1,)),
        (256, 4, (16,)),
        (257, 4, (12,)),
        (259, 3, (7,)),
        (262, 3, (6,)),
        (273, 4, (place,)),
        (274, 3, (turn,)),
        (279, 4, (len(small),)),
        (330, 4, (sensor, preview)),
        (50706, 1 + 3, (1,)),
    ]
    raw = [(254, 4, (0,)), (262, 3, (32803,)), (273, 4, (place,)), (279, 4, (40,))]
    seen = [(254, 4, (1,)), (513, 4, (place + len(small),)), (514, 4, (len(large),))]
    file = bytearray(struct.pack("<2sHL", b"II", 42, first).ljust(place, b"\0")) + small + large
    for at, entries in ((first, head), (sensor, raw), (preview, seen)):
        held = directory(at, entries)
        file[at : at + len(held)] = held
    return bytes(file)


def cr2() -> bytes:
    """The picture in strips of the first directory, and a mark behind the header."""
    _, large = jpegs()
    held = directory(
        16, [(259, 3, (6,)), (273, 4, (400,)), (274, 3, (1,)), (279, 4, (len(large),))]
    )
    return (struct.pack("<2sHL", b"II", 42, 16) + b"CR\2\0\0\0\0\0" + held).ljust(
        400, b"\0"
    ) + large


def raf() -> bytes:
    _, large = jpegs()
    head = b"FUJIFILMCCD-RAW 0201FF383501X-T1".ljust(84, b"\0")
    return (head + struct.pack(">II", 160, len(large))).ljust(160, b"\0") + large


def rw2() -> bytes:
    _, large = jpegs()
    held = struct.pack("<HHHLLL", 1, 46, 7, len(large), 64, 0)
    return (b"IIU\0" + struct.pack("<L", 8) + held).ljust(64, b"\0") + large


def raw_without_a_picture() -> bytes:
    held = directory(8, [(262, 3, (32803,)), (273, 4, (200,)), (279, 4, (40,))])
    return (struct.pack("<2sHL", b"II", 42, 8) + held).ljust(300, b"\0")


@cache
def cmyk_profile() -> bytes:
    """A print profile that turns all of CMYK into blues: nobody would guess it.

    An `mft1` table of 2 points an ink: L falls with ink, a is 0, b is -60.
    """
    grid = np.empty((2, 2, 2, 2, 3), np.uint8)
    for ink in np.ndindex(2, 2, 2, 2):
        grid[ink] = round(255 * (1 - sum(ink) / 4)), 128, 128 - 60
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0))
    table += struct.pack(">9l", *(65536 * one for one in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table += ramp * 4 + grid.tobytes() + ramp * 3
    text = b"desc\0\0\0\0" + struct.pack(">L", 5) + b"blue\0" + bytes(79)
    white = b"XYZ \0\0\0\0" + struct.pack(">3l", 63190, 65536, 54061)
    tags, body, at = b"", b"", 132 + 12 * 3
    for name, content in ((b"A2B0", table), (b"desc", text), (b"wtpt", white)):
        content += b"\0" * (-len(content) % 4)
        tags += struct.pack(">4sLL", name, at + len(body), len(content))
        body += content
    head = struct.pack(
        ">L4sL4s4s4s", at + len(body), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3l", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">L", 3) + tags + body
