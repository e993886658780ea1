"""Files that hold more than a picture, or less: each kind of thing that an archive could lose.

`faults()` says of each what it is, the states that are right for it, and the bytes that must come
back from it if it is archived. A test converts and restores them all; a further example is a line.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from rescaling_core.photo.opening import available_formats
from tests.unit import photo_samples as samples

KEPT = ("kept",)
KEPT_OR_BACK = ("kept", "archived")
DAMAGED = ("kept", "quarantined")

SECRET = b"negative lies in box 12, folder 7"
"""What must come back wherever it was put."""
NOISE = np.random.default_rng(7).bytes(3000)


@dataclass(frozen=True)
class Fault:
    """A file, and what is right for it."""

    data: bytes
    right: tuple[str, ...]
    """States in the catalog that are right."""
    back: tuple[bytes, ...] = ()
    """Bytes that must come back if it is archived."""


# ------------------------------------------------------------------------------- building blocks


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def into_jpeg(file: bytes, *segments: bytes) -> bytes:
    return file[:2] + b"".join(segments) + file[2:]


def into_png(file: bytes, *chunks: bytes) -> bytes:
    return file[:33] + b"".join(chunks) + file[33:]


def into_webp(file: bytes, *chunks: bytes) -> bytes:
    grown = file + b"".join(chunks)
    return grown[:4] + struct.pack("<I", len(grown) - 8) + grown[8:]


def xmp(text: str = "", attributes: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" {attributes}><dc:title>{text}</dc:title>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def app1_xmp(packet: bytes) -> bytes:
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def icc_segments(profile: bytes, *, count: int = 1, number: int = 1) -> bytes:
    return segment(0xE2, b"ICC_PROFILE\0" + bytes((number, count)) + profile)


def directory(entries: list[tuple[int, int, int, bytes]], at: int, order: str = "<") -> bytes:
    """A TIFF directory of (tag, type, count, bytes) to lie at an offset, its values behind it."""
    rows, values = b"", b""
    start = at + 2 + 12 * len(entries) + 4
    for tag, kind, count, raw in sorted(entries):
        held = raw.ljust(4, b"\0")
        if len(raw) > 4:
            held = struct.pack(order + "L", start + len(values))
            values += raw + b"\0" * (len(raw) % 2)
        rows += struct.pack(order + "HHL", tag, kind, count) + held
    return struct.pack(order + "H", len(entries)) + rows + bytes(4) + values


def tiff(*tags: tuple[int, int, int, bytes], before: bytes = b"", between: bytes = b"") -> bytes:
    """An uncompressed RGB TIFF of one strip, with further tags.

    `before` lies between the header and the directory, `between` before the strip.
    """
    first = 8 + len(before)
    pixels = samples.rgb()
    height, width = pixels.shape[:2]

    def written(strip: int) -> bytes:
        return directory(
            [
                (256, 3, 1, struct.pack("<H", width)),
                (257, 3, 1, struct.pack("<H", height)),
                (258, 3, 3, struct.pack("<3H", 8, 8, 8)),
                (259, 3, 1, struct.pack("<H", 1)),
                (262, 3, 1, struct.pack("<H", 2)),
                (273, 4, 1, struct.pack("<L", strip)),
                (277, 3, 1, struct.pack("<H", 3)),
                (278, 3, 1, struct.pack("<H", height)),
                (279, 4, 1, struct.pack("<L", pixels.nbytes)),
                *tags,
            ],
            first,
        )

    start = first + len(written(0)) + len(between)
    header = struct.pack("<2sHL", b"II", 42, first) + before
    return header + written(start) + between + pixels.tobytes()


def text(tag: int, value: bytes) -> tuple[int, int, int, bytes]:
    return tag, 2, len(value) + 1, value + b"\0"


def rational(tag: int, *values: int) -> tuple[int, int, int, bytes]:
    return tag, 5, len(values) // 2, struct.pack(f"<{len(values)}L", *values)


def long_of(tag: int, value: int) -> bytes:
    """An entry of one number."""
    return struct.pack("<HHLL", tag, 4, 1, value)


def short(tag: int, value: int) -> tuple[int, int, int, bytes]:
    return tag, 3, 1, struct.pack("<H", value)


def exif(*tags: tuple[int, int, int, bytes]) -> bytes:
    return struct.pack("<2sHL", b"II", 42, 8) + directory(list(tags), 8)


def bmp(
    *,
    header: int = 124,
    space: bytes = b"BGRs",
    endpoints: bytes = bytes(48),
    profile: bytes = b"",
    gap: bytes = b"",
    padding: int = 0,
) -> bytes:
    """An RGB BMP with every field of its header."""
    pixels = samples.rgb()
    height, width = pixels.shape[:2]
    fill = bytes((padding,)) * (-3 * width % 4)
    rows = b"".join(row.tobytes() + fill for row in pixels[::-1, :, ::-1])
    info = struct.pack("<LllHHLLllLL", header, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    info += bytes(16) + space + endpoints
    if header == 124:
        place = header + len(gap) + len(rows) if profile else 0
        info += struct.pack("<4L", 4, place, len(profile), 0)
    start = 14 + header + len(gap)
    size = start + len(rows) + len(profile)
    return struct.pack("<2sLLL", b"BM", size, 0, start) + info + gap + rows + profile


@cache
def wide_profile() -> bytes:
    return samples.display_p3()


@cache
def jpeg(**options: object) -> bytes:
    return samples.written(samples.image(), "JPEG", quality=92, **options)


@cache
def png() -> bytes:
    return samples.written(samples.image(), "PNG")


@cache
def webp() -> bytes:
    return samples.written(samples.image(), "WEBP", lossless=True, xmp=samples.XMP)


@cache
def avif(**options: object) -> bytes:
    return samples.written(samples.image(), "AVIF", **options)


def films() -> dict[str, bytes]:
    """The starts of films in the containers that cameras and editors write."""
    mp4 = box(b"ftyp", b"mp42\0\0\0\0mp42isom") + box(b"mdat", NOISE)
    return {
        "mp4": mp4,
        "quicktime": box(b"ftyp", b"qt  \0\0\2\0qt  ") + box(b"mdat", NOISE),
        "3gp": box(b"ftyp", b"3gp5\0\0\0\0") + box(b"mdat", NOISE),
        "old quicktime": box(b"moov", box(b"mvhd", bytes(100))) + box(b"mdat", NOISE),
        "avi": b"RIFF" + struct.pack("<I", len(NOISE)) + b"AVI LIST" + NOISE,
        "matroska": b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1" + NOISE,
        "flash": b"FLV\1\5\0\0\0\x09" + NOISE,
        "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + NOISE,
        "ogg": b"OggS\0\2" + NOISE,
        "mpeg": b"\0\0\1\xba\x44\0\4\0\4\1" + NOISE,
        "transport stream": b"".join(b"\x47" + NOISE[:187] for _ in range(8)),
        "behind a note": b"MotionPhoto_Data" + mp4,
    }


def samsung_trailer() -> bytes:
    block = struct.pack("<HHI", 0, 0x0A01, 14) + b"Image_UTC_Data" + SECRET
    listed = b"SEFH" + struct.pack("<II", 106, 1)
    listed += struct.pack("<HHII", 0, 0x0A01, len(block), len(block))
    return block + listed + struct.pack("<I", len(listed)) + b"SEFT"


def c2pa() -> bytes:
    """A manifest store with a thumbnail in it, as all of them have."""
    described = box(b"jumd", b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3c2pa\0")
    return box(b"jumb", described + box(b"bidb", small_jpeg()) + box(b"json", SECRET))


@cache
def small_jpeg() -> bytes:
    return samples.written(Image.fromarray(samples.rgb()[:24, :32]), "JPEG", quality=60)


# ----------------------------------------------------------------------------------------- kinds


def _jpegs() -> dict[str, Fault]:
    j = jpeg()
    scan = j.index(b"\xff\xda") + 200
    restarts = jpeg(restart_marker_rows=1, subsampling="4:4:4")
    at = restarts.index(b"\xff\xd1")
    following = restarts.index(b"\xff\xd2")
    note = b"Gr\xf6\xdfe"
    thumbnail = samples.rgb()[:9, :12].tobytes()
    bare = j[:2] + j[20:]  # without its JFIF header
    jfif = b"JFIF\0\1\1\0\0\1\0\1"
    extended = segment(
        0xE1,
        b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 99, 0) + SECRET,
    )
    gain = b"urn:iso:std:iso:ts:21496:-1\0"
    hdrgm = 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
    apple = 'xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/"'
    google = 'Item:Semantic="GainMap"'
    wide = wide_profile()
    return {
        "jpeg with a maker's trailer": Fault(j + samsung_trailer(), KEPT_OR_BACK, (SECRET,)),
        "jpeg with a note behind": Fault(j + SECRET, KEPT_OR_BACK, (SECRET,)),
        "jpeg with infrared data": Fault(
            into_jpeg(j, segment(0xE1, b"FLIR\0\1\0\0" + NOISE)), KEPT_OR_BACK, (NOISE,)
        ),
        "jpeg with infrared data in parts": Fault(
            into_jpeg(
                j,
                segment(0xE1, b"FLIR\0\1\0\1" + NOISE),
                segment(0xE1, b"FLIR\0\1\1\1" + SECRET),
            ),
            KEPT_OR_BACK,
            (NOISE, SECRET),
        ),
        "jpeg with extended xmp": Fault(
            into_jpeg(j, app1_xmp(xmp("short")), extended), KEPT_OR_BACK, (SECRET,)
        ),
        "jpeg with two xmp packets": Fault(
            into_jpeg(j, app1_xmp(xmp("FIRST")), app1_xmp(xmp("SECOND"))),
            KEPT_OR_BACK,
            (b"FIRST", b"SECOND"),
        ),
        "jpeg with two exif blocks": Fault(
            into_jpeg(
                j,
                segment(0xE1, b"Exif\0\0" + exif(text(0x13B, b"First"))),
                segment(0xE1, b"Exif\0\0" + exif(text(0x13B, b"Second"))),
            ),
            KEPT_OR_BACK,
            (b"First", b"Second"),
        ),
        "jpeg with c2pa": Fault(
            into_jpeg(j, segment(0xEB, b"JP\0\1\0\0\0\1" + c2pa())), KEPT_OR_BACK, (SECRET,)
        ),
        "jpeg with a thumbnail in jfxx": Fault(
            j[:20] + segment(0xE0, b"JFXX\0\x10" + small_jpeg()) + j[20:],
            KEPT_OR_BACK,
            (small_jpeg(),),
        ),
        "jpeg with a thumbnail in jfif": Fault(
            bare[:2] + segment(0xE0, jfif + bytes((12, 9)) + thumbnail) + bare[2:],
            KEPT_OR_BACK,
            (thumbnail,),
        ),
        "jpeg of oblong pixels": Fault(
            bare[:2] + segment(0xE0, b"JFIF\0\1\1\0\0\2\0\1\0\0") + bare[2:], KEPT_OR_BACK
        ),
        "jpeg with an index of pictures but one": Fault(
            into_jpeg(j, segment(0xE2, b"MPF\0II*\0\x08\0\0\0" + SECRET)), KEPT_OR_BACK, (SECRET,)
        ),
        "jpeg with a second picture, no index": Fault(j + small_jpeg(), KEPT),
        "jpeg with a second picture behind a note": Fault(j + SECRET + small_jpeg(), KEPT),
        "jpeg with a png behind": Fault(j + png(), KEPT),
        "jpeg with iso's gain map": Fault(into_jpeg(j, segment(0xE2, gain)) + small_jpeg(), KEPT),
        "jpeg with adobe's gain map": Fault(
            into_jpeg(j, app1_xmp(xmp(attributes=hdrgm))) + small_jpeg(), KEPT
        ),
        "jpeg with apple's gain map": Fault(
            into_jpeg(j, app1_xmp(xmp(attributes=apple))) + small_jpeg(), KEPT
        ),
        "jpeg with google's gain map": Fault(
            into_jpeg(j, app1_xmp(xmp(attributes=google))) + small_jpeg(), KEPT
        ),
        "jpeg with half a profile": Fault(
            into_jpeg(j, icc_segments(wide, count=2)), KEPT_OR_BACK, (wide,)
        ),
        "jpeg with a profile of no parts": Fault(
            into_jpeg(j, icc_segments(wide, count=0)), KEPT_OR_BACK, (wide,)
        ),
        "jpeg with a profile twice": Fault(
            into_jpeg(j, icc_segments(wide), icc_segments(wide)), KEPT_OR_BACK, (wide,)
        ),
        "jpeg with two profiles": Fault(
            into_jpeg(j, icc_segments(wide), icc_segments(samples.SRGB)), KEPT
        ),
        "jpeg with a latin-1 comment": Fault(
            into_jpeg(j, segment(0xFE, note)), KEPT_OR_BACK, (note,)
        ),
        "jpeg with a comment of bytes": Fault(
            into_jpeg(j, segment(0xFE, SECRET + b"\0\1\2")), KEPT_OR_BACK, (SECRET + b"\0\1\2",)
        ),
        "jpeg with a quantisation table that nothing uses": Fault(
            into_jpeg(j, segment(0xDB, b"\x03" + SECRET.ljust(64, b"."))), KEPT_OR_BACK, (SECRET,)
        ),
        "jpeg with a quantisation table that is defined again": Fault(
            into_jpeg(j, segment(0xDB, b"\x00" + SECRET.ljust(64, b"."))), KEPT_OR_BACK, (SECRET,)
        ),
        "jpeg with a code table that nothing uses": Fault(
            into_jpeg(
                j, segment(0xC4, b"\x03" + bytes(7) + bytes([len(SECRET)]) + bytes(8) + SECRET)
            ),
            KEPT_OR_BACK,
            (SECRET,),
        ),
        "jpeg of 4,294,967,295 dpi": Fault(
            into_jpeg(
                bare,
                segment(
                    0xE1,
                    b"Exif\0\0"
                    + exif(rational(282, 2**32 - 1, 1), rational(283, 2**32 - 1, 1), short(296, 2)),
                ),
            ),
            KEPT_OR_BACK,
        ),
        "jpeg with bytes between its segments": Fault(
            j[:20] + SECRET + j[20:], (*KEPT_OR_BACK, "quarantined"), (SECRET,)
        ),
        "jpeg with an application's segment": Fault(
            into_jpeg(j, segment(0xEF, b"Own\0" + SECRET)), KEPT_OR_BACK, (SECRET,)
        ),
        "jpeg cut in its scan, the end put behind": Fault(
            j[: len(j) * 2 // 3] + b"\xff\xd9", DAMAGED
        ),
        "jpeg with a bad sector": Fault(j[:scan] + bytes(400) + j[scan + 400 :], DAMAGED),
        "jpeg that lost a restart interval": Fault(restarts[:at] + restarts[following:], DAMAGED),
        **{
            f"jpeg with a film: {name}": Fault(into_jpeg(j) + film, KEPT)
            for name, film in films().items()
        },
    }


def _pngs() -> dict[str, Fault]:
    p = png()
    chunk = samples.png_chunk
    height, width = samples.rgb().shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in samples.rgb())
    head = p[:33]
    end = chunk(b"IEND", b"")
    control = chunk(b"acTL", struct.pack(">II", 1, 0))
    frame = chunk(b"fcTL", struct.pack(">5IHHBB", 0, width, height, 0, 0, 1, 10, 0, 0))
    frame += chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress(rows))
    packet = b"XML:com.adobe.xmp\0\0\0\0\0"
    return {
        "png with a zip behind": Fault(p + b"PK\3\4" + SECRET, KEPT_OR_BACK, (SECRET,)),
        "png of half the rows": Fault(
            head + chunk(b"IDAT", zlib.compress(rows[: len(rows) // 2])) + end, DAMAGED
        ),
        "png of no rows": Fault(head + chunk(b"IDAT", zlib.compress(b"")) + end, DAMAGED),
        "png with bytes behind its rows": Fault(
            head + chunk(b"IDAT", zlib.compress(rows + SECRET)) + end, DAMAGED
        ),
        "png with bytes behind its stream": Fault(
            head + chunk(b"IDAT", zlib.compress(rows) + SECRET) + end, DAMAGED
        ),
        "png with a second idat behind its stream": Fault(
            head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IDAT", SECRET) + end, DAMAGED
        ),
        "png with bytes in its end chunk": Fault(p[:-12] + chunk(b"IEND", SECRET), DAMAGED),
        "png with apple's pointers and more": Fault(
            into_png(p, chunk(b"iDOT", bytes(28) + SECRET)), KEPT_OR_BACK, (SECRET,)
        ),
        "png with a critical chunk": Fault(into_png(p, chunk(b"LYRS", SECRET)), DAMAGED),
        "png with a chunk that is not safe to copy": Fault(
            into_png(p, chunk(b"lyRS", SECRET)), KEPT_OR_BACK, (SECRET,)
        ),
        "png with a chunk that is safe to copy": Fault(
            into_png(p, chunk(b"lyRs", SECRET)), KEPT_OR_BACK, (SECRET,)
        ),
        "png with c2pa": Fault(into_png(p, chunk(b"caBX", c2pa())), KEPT_OR_BACK, (SECRET,)),
        "png with apple's pointers": Fault(
            into_png(p, chunk(b"iDOT", struct.pack(">7I", 2, 0, 20, 40, 20, 27, 900))),
            KEPT_OR_BACK,
        ),
        "png with a palette it does not need": Fault(
            into_png(p, chunk(b"PLTE", NOISE[:768])), KEPT_OR_BACK, (NOISE[:768],)
        ),
        "png animated, of no frames": Fault(
            into_png(p, chunk(b"acTL", bytes(8)))[:-12] + frame + end, KEPT
        ),
        "png animated, told late": Fault(p[:-12] + control + frame + end, KEPT),
        "png with a frame and no control": Fault(p[:-12] + frame + end, KEPT),
        "png with two xmp chunks": Fault(
            into_png(
                p, chunk(b"iTXt", packet + xmp("FIRST")), chunk(b"iTXt", packet + xmp("SECOND"))
            ),
            KEPT_OR_BACK,
            (b"FIRST", b"SECOND"),
        ),
        "png with two profiles": Fault(
            into_png(
                p,
                chunk(b"iCCP", b"a\0\0" + zlib.compress(wide_profile())),
                chunk(b"iCCP", b"b\0\0" + zlib.compress(samples.SRGB)),
            ),
            KEPT,
        ),
        "png with two exif chunks": Fault(
            into_png(
                p,
                chunk(b"eXIf", exif(text(0x13B, b"First"))),
                chunk(b"eXIf", exif(text(0x13B, b"Second"))),
            ),
            KEPT_OR_BACK,
            (b"First", b"Second"),
        ),
        "png of primaries that only it states": Fault(
            into_png(p, chunk(b"cHRM", struct.pack(">8I", *range(10_000, 90_000, 10_000)))), KEPT
        ),
        "png of a linear gamma": Fault(
            into_png(p, chunk(b"gAMA", struct.pack(">I", 100_000))), KEPT
        ),
        "png in hybrid log-gamma": Fault(into_png(p, chunk(b"cICP", bytes((9, 18, 0, 1)))), KEPT),
        "png with a gain map": Fault(into_png(p, chunk(b"gMAP", SECRET)), DAMAGED),
        "png with a profile of 1.2 MB": Fault(
            into_png(p, chunk(b"iCCP", b"lut\0\0" + zlib.compress(large_profile()))), KEPT_OR_BACK
        ),
        "png with a text of 1.6 MB": Fault(
            into_png(
                p, chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b'{"node":1,"x":2}' * 10**5))
            ),
            KEPT_OR_BACK,
        ),
        "png with packed xmp of 1.6 MB": Fault(
            into_png(
                p,
                chunk(
                    b"iTXt",
                    b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp("history " * 200_000)),
                ),
            ),
            KEPT_OR_BACK,
        ),
        "png with a damaged profile": Fault(
            into_png(p, chunk(b"iCCP", b"lut\0\0" + SECRET)), DAMAGED
        ),
        "png with a text that unpacks without end": Fault(
            into_png(
                p, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2**27), 9))
            ),
            DAMAGED,
        ),
        "png with a chunk of 5 MB": Fault(
            into_png(p, chunk(b"lyRs", SECRET + bytes(5 * 2**20))), KEPT_OR_BACK, (SECRET,)
        ),
        **{f"png with a film: {name}": Fault(p + film, KEPT) for name, film in films().items()},
    }


@cache
def large_profile() -> bytes:
    """A profile with a private tag of 1.2 MB."""
    profile = wide_profile()
    (count,) = struct.unpack_from(">I", profile, 128)
    table = b""
    for i in range(count):
        name, at, length = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        table += struct.pack(">4sII", name, at + 12, length)
    body = profile[132 + 12 * count :]
    own = b"data\0\0\0\0" + NOISE * 400
    table += struct.pack(">4sII", b"priv", 132 + 12 * (count + 1) + len(body), len(own))
    grown = profile[:128] + struct.pack(">I", count + 1) + table + body + own
    grown += b"\0" * (-len(grown) % 4)
    return struct.pack(">I", len(grown)) + grown[4:]


def _webps() -> dict[str, Fault]:
    w = webp()
    bare = samples.written(samples.image(), "WEBP", lossless=True)
    named = samples.written(samples.image(), "WEBP", lossless=True, xmp=xmp("OLD NAME"))
    return {
        "webp with an unknown chunk": Fault(
            into_webp(w, riff_chunk(b"OWN ", SECRET)), KEPT_OR_BACK, (SECRET,)
        ),
        "webp with alpha that nobody reads": Fault(
            into_webp(bare, riff_chunk(b"ALPH", SECRET)), (*KEPT_OR_BACK, "quarantined"), (SECRET,)
        ),
        "webp with a frame that nobody shows": Fault(
            into_webp(bare, riff_chunk(b"ANMF", SECRET)), (*KEPT_OR_BACK, "quarantined"), (SECRET,)
        ),
        "webp with a second picture that nobody shows": Fault(
            into_webp(bare, riff_chunk(b"VP8 ", SECRET)), (*KEPT_OR_BACK, "quarantined"), (SECRET,)
        ),
        "webp with c2pa": Fault(into_webp(w, riff_chunk(b"C2PA", c2pa())), KEPT_OR_BACK, (SECRET,)),
        "webp with two xmp chunks": Fault(
            into_webp(w, riff_chunk(b"XMP ", xmp("SECOND"))), KEPT_OR_BACK, (b"SECOND", samples.XMP)
        ),
        "webp with xmp of another name": Fault(
            named.replace(b"XMP ", b"XMP\0"), KEPT_OR_BACK, (b"OLD NAME",)
        ),
        "webp with a note behind": Fault(w + SECRET, KEPT_OR_BACK, (SECRET,)),
        "webp of the plain kind with a note behind": Fault(bare + SECRET, KEPT_OR_BACK, (SECRET,)),
        "webp with a picture behind": Fault(w + small_jpeg(), KEPT),
        "webp with adobe's gain map": Fault(
            into_webp(bare, riff_chunk(b"XMP ", xmp(attributes='hdrgm:Version="1.0"'))), KEPT
        ),
        **{f"webp with a film: {name}": Fault(w + film, KEPT) for name, film in films().items()},
        "webp with a film in a chunk": Fault(
            into_webp(w, riff_chunk(b"MOVI", films()["mp4"])), KEPT
        ),
    }


def _heifs() -> dict[str, Fault]:
    made = {"avif": avif(xmp=samples.XMP)}
    if "HEIF" in available_formats():
        made["heic"] = samples.written(samples.image(), "HEIF", xmp=samples.XMP)
    found = {}
    for name, file in made.items():
        found |= {
            f"{name} with a film: {film}": Fault(file + content, KEPT)
            for film, content in films().items()
            if film != "behind a note"
        }
        found |= {
            f"{name} with a film in mpvd": Fault(file + box(b"mpvd", films()["mp4"]), KEPT),
            f"{name} with noise in mpvd": Fault(file + box(b"mpvd", NOISE), KEPT),
            f"{name} with a film in a box of its own": Fault(
                file + box(b"uuid", NOISE[:16] + films()["matroska"]), KEPT
            ),
            f"{name} with a maker's box": Fault(
                file + box(b"sefd", samsung_trailer()), KEPT_OR_BACK, (SECRET,)
            ),
            f"{name} with a box of its own": Fault(
                file + box(b"uuid", NOISE[:16] + SECRET), KEPT_OR_BACK, (SECRET,)
            ),
            f"{name} with c2pa": Fault(
                file + box(b"uuid", NOISE[:16] + c2pa()), KEPT_OR_BACK, (SECRET,)
            ),
            f"{name} with a note in free space": Fault(
                file + box(b"free", SECRET), KEPT_OR_BACK, (SECRET,)
            ),
            f"{name} with a note behind": Fault(file + SECRET, KEPT_OR_BACK, (SECRET,)),
            f"{name} with a note in more media data": Fault(
                file + box(b"mdat", SECRET), KEPT_OR_BACK, (SECRET,)
            ),
            f"{name} with a picture behind": Fault(file + small_jpeg(), KEPT),
        }
    turned = avif(exif=samples.exif(6, sizes=False))
    found["avif whose exif and container disagree"] = Fault(
        turned.replace(b"irot\3", b"irot\0"), KEPT_OR_BACK, (b"MakerNote\0" + bytes(range(256)),)
    )
    return found


def _jxls() -> dict[str, Fault]:
    if "JXL" not in available_formats():
        return {}
    block = exif(text(0x13B, SECRET))
    file = samples.written(samples.image(), "JXL", lossless=True, exif=b"Exif\0\0" + block)
    plain = samples.written(samples.image(), "JXL", lossless=True)
    packed = samples.jxl_of_jpeg(jpeg())
    return {
        "jxl with exif as the plugin writes it": Fault(file, KEPT_OR_BACK, (SECRET,)),
        "jxl with two xml boxes": Fault(
            file + box(b"xml ", xmp("FIRST")) + box(b"xml ", xmp("SECOND")),
            KEPT_OR_BACK,
            (b"FIRST", b"SECOND"),
        ),
        "jxl with c2pa": Fault(file + c2pa(), KEPT_OR_BACK, (SECRET,)),
        "jxl with a gain map": Fault(file + box(b"jhgm", NOISE), KEPT),
        "jxl with a box of its own": Fault(
            file + box(b"uuid", NOISE[:16] + NOISE), KEPT_OR_BACK, (NOISE,)
        ),
        "jxl with a note behind": Fault(file + b"\0\0\0\2" + NOISE, KEPT_OR_BACK, (NOISE,)),
        "jxl, bare, with a note behind": Fault(plain + SECRET, KEPT_OR_BACK, (SECRET,)),
        "jxl of a jpeg with a box of its own": Fault(
            packed + box(b"uuid", NOISE[:16] + SECRET), KEPT_OR_BACK, (SECRET,)
        ),
        "jxl with a film": Fault(file + films()["mp4"], KEPT),
    }


def _tiffs() -> dict[str, Fault]:
    names = "Jörg Müller, Łódź"
    iptc = b"\x1c\x02\x05\0\x06Stra\xc3\x9f" + b"\x1c\x02\x50\0\x04Anna"
    iptc += b"\0" * (-len(iptc) % 4)
    dense = (rational(282, 60_000_000, 1), rational(283, 60_000_000, 1), short(296, 3))
    return {
        "tiff in utf-8": Fault(
            tiff(text(0x10E, names.encode()), text(0x13B, b"\xc2\xb5m")),
            KEPT_OR_BACK,
            (names.encode(), b"\xc2\xb5m"),
        ),
        "tiff in latin-1": Fault(
            tiff(text(0x13B, names[:11].encode("latin-1"))),
            KEPT_OR_BACK,
            (names[:11].encode("latin-1"),),
        ),
        "tiff with iptc as numbers": Fault(
            tiff((33723, 4, len(iptc) // 4, iptc)), KEPT_OR_BACK, (iptc,)
        ),
        "tiff with a tag of its own": Fault(
            tiff((50_000, 7, len(SECRET), SECRET)), KEPT_OR_BACK, (SECRET,)
        ),
        "tiff with floats in a tag of its own": Fault(
            tiff((50_001, 12, 2, struct.pack("<2d", 1.25, -7.5))),
            KEPT_OR_BACK,
            (struct.pack("<2d", 1.25, -7.5),),
        ),
        "tiff with a tag that points at bytes": Fault(
            tiff((50_002, 4, 1, struct.pack("<L", 9_000))) + SECRET, KEPT_OR_BACK, (SECRET,)
        ),
        "tiff with a tag of an unknown type": Fault(tiff((50_003, 99, 1, b"abcd")), DAMAGED),
        "tiff with a note behind": Fault(tiff() + SECRET, KEPT_OR_BACK, (SECRET,)),
        "tiff with a film behind": Fault(tiff() + films()["mp4"], KEPT),
        "tiff of 60,000,000 pixels a centimetre": Fault(tiff(*dense), KEPT_OR_BACK),
        "tiff of no density": Fault(
            tiff(rational(282, 0, 0), rational(283, 1, 0), short(296, 2)), KEPT_OR_BACK
        ),
        "tiff of half a strip": Fault(tiff(short(278, 20)), DAMAGED),
        "tiff of a strip that is nowhere": Fault(
            tiff().replace(long_of(279, samples.rgb().nbytes), long_of(279, 0)), DAMAGED
        ),
        "tiff with c2pa": Fault(tiff((52545, 7, len(c2pa()), c2pa())), KEPT_OR_BACK, (SECRET,)),
        "tiff with an empty tag": Fault(tiff((50_004, 2, 0, b"")), KEPT_OR_BACK),
        "tiff of primaries that only it states": Fault(
            tiff(rational(319, *(1, 2) * 6), rational(318, 1, 3, 1, 3)), KEPT
        ),
        "tiff, big, of big-endian order": Fault(
            samples.tiff_of(samples.rgb(), photometric="rgb", bigtiff=True, byteorder=">"),
            KEPT_OR_BACK,
        ),
    }


def _bmps() -> dict[str, Fault]:
    wide = struct.pack("<9l", *(round(2**30 * part) for part in (0.7, 0.3, 0.0) * 3))
    return {
        "bmp with a profile": Fault(
            bmp(space=b"DEBM", profile=wide_profile()), KEPT_OR_BACK, (wide_profile(),)
        ),
        "bmp of calibrated colours": Fault(
            bmp(header=108, space=bytes(4), endpoints=wide + struct.pack("<3L", *(65536,) * 3)),
            KEPT,
        ),
        "bmp with a linked profile": Fault(
            bmp(space=b"KNIL", profile=b"C:\\p.icc\0"), KEPT_OR_BACK
        ),
        "bmp with a note behind": Fault(bmp() + SECRET, KEPT_OR_BACK, (SECRET,)),
        "bmp with a note before its pixels": Fault(bmp(gap=SECRET), KEPT_OR_BACK, (SECRET,)),
        "bmp with bytes between its rows": Fault(bmp(padding=7), KEPT_OR_BACK),
        "bmp with a note in its reserved bytes": Fault(
            bmp()[:6] + b"NOTE" + bmp()[10:], KEPT_OR_BACK, (b"NOTE",)
        ),
        "bmp with a film behind": Fault(bmp() + films()["mp4"], KEPT),
    }


def _netpbms() -> dict[str, Fault]:
    grey = np.asarray(samples.image("L")).tobytes()
    return {
        "pgm with blanks": Fault(b"P5 61 47 255 " + grey, KEPT),
        "ppm with cr and lf": Fault(b"P6\r\n61 47\r\n255\n" + samples.rgb().tobytes(), KEPT),
        "pbm": Fault(b"P4\n8 1\n\xaa", KEPT),
        "pgm in ascii": Fault(b"P2\n2 1\n255\n1 2\n", KEPT),
        "ppm with a comment": Fault(b"P3# a comment\n1 1\n255\n1 2 3\n", KEPT),
        "pam": Fault(b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\n\1", KEPT),
        "pfm": Fault(b"Pf\n1 1\n-1.0\n\0\0\x80\x3f", KEPT),
    }


@cache
def faults() -> dict[str, Fault]:
    """All of them, by what they are called."""
    return _jpegs() | _pngs() | _webps() | _heifs() | _jxls() | _tiffs() | _bmps() | _netpbms()


def unpacked(png_file: bytes) -> bytes:
    """A PNG's bytes, and behind them what its compressed chunks hold."""
    found = [png_file]
    at = 8
    while at + 12 <= len(png_file):
        length = int.from_bytes(png_file[at : at + 4], "big")
        kind, content = png_file[at + 4 : at + 8], png_file[at + 8 : at + 8 + length]
        at += 12 + length
        if kind in (b"zTXt", b"iCCP"):
            text_of = zlib.decompress(content[content.index(b"\0") + 2 :])
            found.append(text_of)
            if content.startswith(b"Raw profile type"):
                found.append(bytes.fromhex(b"".join(text_of.split(b"\n")[3:]).decode()))
    return b"\0\0".join(found)
