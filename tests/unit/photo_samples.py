"""Real photographs, written in every way that the tests of photos, codecs and metadata need."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

import numpy as np
import tifffile
from PIL import Image, ImageCms
from skimage import data

from rescaling_core.photo.opening import available_formats

available_formats()  # registers the plugins with Pillow

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
WIDE = SRGB.replace(b"rXYZ", b"-XYZ").replace(b"gXYZ", b"rXYZ").replace(b"-XYZ", b"gXYZ")
"""A profile whose red is green: nothing that a viewer may leave out."""
P3_COLOURS = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}
"""Of Display P3, adapted to D50. Source: the ICC's registry of characterisation data."""
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    b"<?xpacket end='w'?>"
)
COMMENT = b"taken from the pier"
IPTC = b"\x1c\x02\x05\x00\x05Title\x1c\x02\x50\x00\x04Anna"
"""Two IPTC-IIM records: object name, by-line."""


def display_p3() -> bytes:
    """A profile of the wide gamut that phones use: sRGB's with Display P3's primaries."""
    profile = bytearray(SRGB)
    for i in range(int.from_bytes(profile[128:132], "big")):
        tag, at, _ = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        if tag in P3_COLOURS:
            fixed = (round(value * 2**16) for value in P3_COLOURS[tag])
            struct.pack_into(">3i", profile, at + 8, *fixed)
    return bytes(profile)


@cache
def rgb(width: int = 61, height: int = 47) -> np.ndarray:
    """A part of a photograph with primes for sides."""
    return np.ascontiguousarray(data.astronaut()[100 : 100 + height, 180 : 180 + width])


def image(mode: str = "RGB", width: int = 61, height: int = 47) -> Image.Image:
    """The photograph in a mode of Pillow."""
    picture = Image.fromarray(rgb(width, height))
    ramp = np.linspace(0, 255, width * height).reshape(height, width).astype(np.uint8)
    alpha = Image.fromarray(ramp)
    if mode in ("LA", "RGBA"):
        picture = picture.convert(mode[:-1])
        picture.putalpha(alpha)
        return picture
    if mode == "PA":
        return picture.convert("P").convert("PA")
    if mode == "LAB":
        transform = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        return ImageCms.applyTransform(picture, transform)
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.float32) / 255)
    return picture.convert(mode)


def exif(orientation: int = 1, *, sizes: bool = True) -> bytes:
    """An EXIF block such as cameras write, with a maker's note whose bytes must not move.

    `sizes` adds the width that phones state; Pillow would believe it when it writes TIFF.
    """
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "Acme"
    if sizes:
        tags[0x0100] = 4000
    tags.get_ifd(0x8769)[0x927C] = b"MakerNote\0" + bytes(range(256))
    return tags.tobytes()


FULL = {"icc_profile": SRGB, "exif": exif(6), "xmp": XMP}
"""All that most formats can carry, as Pillow's options."""


def written(picture: Image.Image, format: str, **options) -> bytes:
    """A file in memory."""
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def sequence(format: str) -> bytes:
    """Three pictures in one file."""
    pictures = [Image.fromarray(np.roll(rgb(), shift, axis=1)) for shift in (0, 7, 19)]
    return written(pictures[0], format, save_all=True, append_images=pictures[1:])


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its check sum."""
    checksum = zlib.crc32(kind + content).to_bytes(4, "big")
    return struct.pack(">I", len(content)) + kind + content + checksum


def png_with(kind: bytes, content: bytes, file: bytes | None = None) -> bytes:
    """A PNG with a further chunk behind its header."""
    file = file if file is not None else written(image(), "PNG")
    return file[:33] + png_chunk(kind, content) + file[33:]


def png16(pixels: np.ndarray | None = None) -> bytes:
    """A PNG of 16 bits per sample, which Pillow reads but does not write."""
    samples = (rgb() if pixels is None else pixels).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    height, width = samples.shape[:2]
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def jpeg_with(marker: int, payload: bytes, file: bytes | None = None) -> bytes:
    """A JPEG with a further segment behind its start."""
    file = file if file is not None else written(image(), "JPEG", quality=92)
    segment = struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
    return file[:2] + segment + file[2:]


def photoshop(resources: bytes = b"") -> bytes:
    """The payload of a JPEG's APP13 segment, with IPTC records."""
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + b"\0" * (len(IPTC) % 2)
    return b"Photoshop 3.0\0" + resource + resources


def avif_of_10_bits() -> bytes:
    """An AVIF whose container says 10 bits in the two places where it says so."""
    file = written(image(), "AVIF").replace(
        b"pixi\0\0\0\0\x03\x08\x08\x08", b"pixi\0\0\0\0\x03\n\n\n"
    )
    at = file.index(b"av1C") + 6
    return file[:at] + bytes((file[at] | 0x40,)) + file[at + 1 :]


def bmp_with_alpha() -> bytes:
    """A BMP with a mask for alpha, which Pillow reads but does not write."""
    picture = image("RGBA")
    pixels = np.asarray(picture)[::-1, :, [2, 1, 0, 3]].tobytes()
    masks = struct.pack("<4L", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack(
        "<LllHHLLllLL", 56, picture.width, picture.height, 1, 32, 3, len(pixels), 2835, 2835, 0, 0
    )
    return struct.pack("<2sLLL", b"BM", 70 + len(pixels), 0, 70) + header + masks + pixels


def tiff_of(samples: np.ndarray, **options) -> bytes:
    """A TIFF that Pillow does not write."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def jxl_of_jpeg(jpeg: bytes) -> bytes:
    """A JPEG packed anew as JPEG XL, which unpacks to the very same bytes."""
    from pillow_jxl import Encoder

    with Image.open(io.BytesIO(jpeg)) as opened:
        width, height = opened.size
    encoder = Encoder(
        mode="RGB",
        lossless=True,
        quality=100,
        decoding_speed=0,
        effort=7,
        use_container=True,
        use_original_profile=True,
        num_threads=0,
    )
    return encoder(jpeg, width, height, jpeg_encode=True)
