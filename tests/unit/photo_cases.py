"""What the world holds: sources that are archived, kept and quarantined, each with how and why."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.unit import photo_samples as samples


def _short_os2() -> bytes:
    """A BMP whose second header ends behind the bits of a pixel, which OS/2 allows."""
    plain = samples.written(samples.image(), "BMP")
    return (
        plain[:10]
        + (30).to_bytes(4, "little")
        + (16).to_bytes(4, "little")
        + plain[18:30]
        + (plain[54:])
    )


def _unusual_dds() -> bytes:
    """A DDS whose pixels are told by flags that are none of the usual ones."""
    plain = bytearray(samples.written(samples.image(), "DDS"))
    plain[80:84] = (8).to_bytes(4, "little")
    return bytes(plain)


READ = {
    "jpeg grey": ("L", lambda: samples.written(samples.image("L"), "JPEG", quality=92)),
    "jpeg": ("RGB", lambda: samples.written(samples.image(), "JPEG", quality=92, dpi=(300, 300))),
    "jpeg with all": ("RGB", lambda: samples.written(samples.image(), "JPEG", **samples.FULL)),
    "jpeg of a wide gamut": (
        "RGB",
        lambda: samples.written(samples.image(), "JPEG", icc_profile=samples.display_p3()),
    ),
    "jpeg progressive 4:2:0": (
        "RGB",
        lambda: samples.written(samples.image(), "JPEG", progressive=True, subsampling="4:2:0"),
    ),
    "jpeg with comment and iptc": (
        "RGB",
        lambda: samples.jpeg_with(0xED, samples.photoshop(), samples.jpeg_with(0xFE, b"hello")),
    ),
    "jpeg with a small trailer": (
        "RGB",
        lambda: samples.written(samples.image(), "JPEG") + b"SEFH maker's data",
    ),
    "png grey": ("L", lambda: samples.written(samples.image("L"), "PNG", dpi=(96, 96))),
    "png 4-bit grey": (
        "L",
        lambda: samples.written(samples.image("L").point(lambda level: level >> 4), "PNG", bits=4),
    ),
    "png grey with alpha": ("LA", lambda: samples.written(samples.image("LA"), "PNG")),
    "png": ("RGB", lambda: samples.written(samples.image(), "PNG")),
    "png with alpha": ("RGBA", lambda: samples.written(samples.image("RGBA"), "PNG")),
    "png with text": ("RGB", lambda: samples.png_with(b"tEXt", b"Title\0Pier")),
    "png with srgb": ("RGB", lambda: samples.png_with(b"sRGB", b"\0")),
    "png with aspect": ("RGB", lambda: samples.png_with(b"pHYs", b"\0\0\0\1\0\0\0\2\0")),
    "png with profile": (
        "RGB",
        lambda: samples.written(samples.image(), "PNG", icc_profile=samples.SRGB),
    ),
    "png with exif": (
        "RGBA",
        lambda: samples.written(samples.image("RGBA"), "PNG", exif=samples.exif(8)),
    ),
    "webp": ("RGB", lambda: samples.written(samples.image(), "WEBP", **samples.FULL)),
    "webp lossless": ("RGB", lambda: samples.written(samples.image(), "WEBP", lossless=True)),
    "webp with alpha": (
        "RGBA",
        lambda: samples.written(samples.image("RGBA"), "WEBP", **samples.FULL),
    ),
    "avif": ("RGB", lambda: samples.written(samples.image(), "AVIF", **samples.FULL)),
    "avif grey": ("L", lambda: samples.written(samples.image("L"), "AVIF")),
    "avif with alpha": ("RGBA", lambda: samples.written(samples.image("RGBA"), "AVIF")),
    "tiff grey": ("L", lambda: samples.written(samples.image("L"), "TIFF")),
    "tiff grey with alpha": ("LA", lambda: samples.written(samples.image("LA"), "TIFF")),
    "tiff": ("RGB", lambda: samples.written(samples.image(), "TIFF", dpi=(600, 600))),
    "tiff with all": (
        "RGB",
        lambda: samples.written(
            samples.image(),
            "TIFF",
            tiffinfo={700: samples.XMP, 33723: samples.IPTC},
            **samples.FULL,
        ),
    ),
    "tiff with alpha": ("RGBA", lambda: samples.written(samples.image("RGBA"), "TIFF")),
    "tiff lzw": ("RGB", lambda: samples.written(samples.image(), "TIFF", compression="tiff_lzw")),
    "tiff jpeg": ("RGB", lambda: samples.written(samples.image(), "TIFF", compression="jpeg")),
    "tiff big, tiled, planar": (
        "RGB",
        lambda: samples.tiff_of(
            samples.rgb().transpose(2, 0, 1),
            photometric="rgb",
            planarconfig="separate",
            bigtiff=True,
            metadata=None,
        ),
    ),
    "bmp grey": ("L", lambda: samples.written(samples.image("L"), "BMP")),
    "bmp": ("RGB", lambda: samples.written(samples.image(), "BMP", dpi=(72, 72))),
    "bmp with alpha": ("RGBA", samples.bmp_with_alpha),
    "jxl grey": ("L", lambda: samples.written(samples.image("L"), "JXL")),
    "jxl grey with alpha": ("LA", lambda: samples.written(samples.image("LA"), "JXL")),
    "jxl": ("RGB", lambda: samples.written(samples.image(), "JXL", quality=90)),
    "jxl lossless": (
        "RGB",
        lambda: samples.written(
            samples.image(), "JXL", lossless=True, exif=samples.exif(), xmp=samples.XMP
        ),
    ),
    "jxl with alpha": ("RGBA", lambda: samples.written(samples.image("RGBA"), "JXL")),
    "jxl of a jpeg": (
        "RGB",
        lambda: samples.jxl_of_jpeg(
            samples.written(samples.image(), "JPEG", exif=samples.exif(6), xmp=samples.XMP)
        ),
    ),
}

KEPT = {
    "jpeg cmyk": ("CMYK", lambda: samples.written(samples.image("CMYK"), "JPEG")),
    "jpeg 12-bit": (
        "12-bit",
        lambda: samples.written(samples.image(), "JPEG").replace(
            b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"
        ),
    ),
    "jpeg lossless": (
        "lossless or hierarchical",
        lambda: samples.written(samples.image(), "JPEG").replace(b"\xff\xc0\0", b"\xff\xc3\0"),
    ),
    "jpeg of several pictures": ("several pictures", lambda: samples.sequence("MPO")),
    "jpeg with a film": (
        "a film in the file",
        lambda: samples.written(samples.image(), "JPEG") + b"\0\0\0\x18ftypmp42" + bytes(9) * 9999,
    ),
    "jpeg with gain map": (
        "gain map",
        lambda: samples.jpeg_with(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version="1.0"/>'),
    ),
    "png bilevel": ("bilevel", lambda: samples.written(samples.image("1"), "PNG")),
    "png palette": ("palette", lambda: samples.written(samples.image("P"), "PNG")),
    "png 16-bit grey": ("16-bit", lambda: samples.written(samples.image("I;16"), "PNG")),
    "png 16-bit": ("16-bit", samples.png16),
    "png animated": ("animated", lambda: samples.sequence("PNG")),
    "png colour key": (
        "transparent colour key",
        lambda: samples.written(samples.image(), "PNG", transparency=(1, 2, 3)),
    ),
    "png gamma": ("gamma", lambda: samples.png_with(b"gAMA", (100_000).to_bytes(4, "big"))),
    "png cicp": ("code points", lambda: samples.png_with(b"cICP", bytes((9, 16, 0, 1)))),
    "webp animated": ("animated", lambda: samples.sequence("WEBP")),
    "avif animated": ("animated", lambda: samples.sequence("AVIF")),
    "avif 10-bit": ("10- or 12-bit", samples.avif_of_10_bits),
    "tiff bilevel": ("bilevel", lambda: samples.written(samples.image("1"), "TIFF")),
    "tiff palette": ("palette", lambda: samples.written(samples.image("P"), "TIFF")),
    "tiff cmyk": ("CMYK", lambda: samples.written(samples.image("CMYK"), "TIFF")),
    "tiff lab": ("Lab", lambda: samples.written(samples.image("LAB"), "TIFF")),
    "tiff 16-bit grey": ("16-bit", lambda: samples.written(samples.image("I;16"), "TIFF")),
    "tiff 16-bit": (
        "16-bit",
        lambda: samples.tiff_of(samples.rgb().astype(np.uint16) * 257, photometric="rgb"),
    ),
    "tiff float": ("32-bit", lambda: samples.written(samples.image("F"), "TIFF")),
    "tiff with a damaged tag": ("do not lie in the file", lambda: tiff_with_damaged_tag()),
    "tiff of pages": ("multi-page", lambda: samples.sequence("TIFF")),
    "tiff with further images": (
        "further images",
        lambda: samples.written(samples.image(), "TIFF", tiffinfo={330: 8}),
    ),
    "tiff with four planes": (
        "samples per pixel",
        lambda: samples.tiff_of(
            np.dstack((samples.rgb(), samples.rgb()[..., :1])),
            photometric="rgb",
            extrasamples=["unspecified"],
            metadata=None,
        ),
    ),
    "tiff of a layout that Pillow does not know": (
        "layout that cannot be read",
        lambda: samples.written(samples.image(), "TIFF").replace(b"\x08\0" * 3, b"\x05\0" * 3),
    ),
    **{
        f"tiff compressed as {name}": (
            "layout that cannot be read",
            lambda name=name: samples.tiff_of(
                samples.rgb(), photometric="rgb", compression=name, metadata=None
            ),
        )
        for name in ("webp", "lerc", "jpegxl", "jpeg2000", "jpegxr", "png")
    },
    "dds of unusual flags": ("not one that is archived", _unusual_dds),
    "bmp with a short header of OS/2": ("layout that cannot be read", _short_os2),
    "bmp bilevel": ("bilevel", lambda: samples.written(samples.image("1"), "BMP")),
    "bmp palette": ("palette", lambda: samples.written(samples.image("P"), "BMP")),
    "bmp with a fourth channel": (
        "may be alpha",
        lambda: samples.written(samples.image("RGBA"), "BMP"),
    ),
    "gif": ("palette", lambda: samples.written(samples.image("P"), "GIF")),
    "gif animated": ("palette", lambda: samples.sequence("GIF")),
    "jxl 16-bit grey": ("16-bit", lambda: samples.written(samples.image("I;16"), "JXL")),
    "jxl float": ("floating-point", lambda: samples.written(samples.image("F"), "JXL")),
    "jxl with compressed metadata": (
        "compressed metadata",
        lambda: samples.written(samples.image(), "JXL", xmp=samples.XMP, compress_metadata=True),
    ),
    "jpeg 2000": ("JPEG 2000", lambda: samples.written(samples.image(), "JPEG2000")),
    "netpbm": ("Netpbm", lambda: samples.written(samples.image(), "PPM")),
    "icon": ("Icon", lambda: samples.written(samples.image(), "ICO")),
}

QUARANTINED = {
    "empty": ("empty", lambda: b""),
    "text": ("not an image", lambda: b"hello, I am no image"),
    "pdf": ("not an image", lambda: b"%PDF-1.7\n"),
    "png of a signature": ("truncated", lambda: b"\x89PNG\r\n\x1a\n"),
    "half a jpeg": ("truncated", lambda: _half("JPEG")),
    "half a png": ("truncated", lambda: _half("PNG")),
    "half a webp": ("truncated", lambda: _half("WEBP")),
    "half an avif": ("truncated", lambda: _half("AVIF")),
    "half a tiff": ("parts of its picture are missing", lambda: _half("TIFF")),
    "half a bmp": ("truncated", lambda: _half("BMP")),
    "half a jxl": ("truncated", lambda: _half("JXL")),
    "png with a flipped bit": ("check sum", lambda: _flipped(samples.image(), "PNG")),
    "bomb of a png": ("are allowed", lambda: bombs()["PNG"]),
    "bomb of a jpeg": ("are allowed", lambda: bombs()["JPEG"]),
    "bomb of a webp": ("are allowed", lambda: bombs()["WEBP"]),
    "bomb of a bmp": ("are allowed", lambda: bombs()["BMP"]),
    "bomb of a tiff": ("are allowed", lambda: bombs()["TIFF"]),
}


def _half(format: str) -> bytes:
    file = samples.written(samples.image(), format)
    return file[: len(file) // 2]


def _flipped(picture: Image.Image, format: str) -> bytes:
    file = bytearray(samples.written(picture, format))
    file[len(file) // 2] ^= 1
    return bytes(file)


def tiff_with_damaged_tag() -> bytes:
    tiff = bytearray(samples.written(samples.image(), "TIFF", software="x" * 40))
    at = tiff.index(b"\x31\x01\x02\x00")  # the tag and its type; the count follows
    tiff[at + 4 : at + 8] = b"\xff\xff\xff\x7f"
    return bytes(tiff)


def bombs() -> dict[str, bytes]:
    """Small files whose headers claim 60,000 × 60,000 pixels (WebP: 16,383 × 16,383)."""
    side = 60_000
    png = samples.written(samples.image(), "PNG")
    jpeg = bytearray(samples.written(samples.image(), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = side.to_bytes(2, "big") * 2
    webp = bytearray(samples.written(samples.image("RGBA"), "WEBP"))
    webp[24:30] = (16_382).to_bytes(3, "little") * 2
    bmp = bytearray(samples.written(samples.image(), "BMP"))
    bmp[18:26] = side.to_bytes(4, "little") * 2
    header = samples.png_chunk(b"IHDR", side.to_bytes(4, "big") * 2 + png[24:29])
    tiff = samples.written(samples.image(), "TIFF", tiffinfo={})
    for tag in (256, 257):
        at = tiff.index(tag.to_bytes(2, "little") + b"\x04\0\x01\0\0\0", 8) + 8
        tiff = tiff[:at] + side.to_bytes(4, "little") + tiff[at + 4 :]
    return {
        "PNG": png[:8] + header + png[33:],
        "JPEG": bytes(jpeg),
        "WEBP": bytes(webp),
        "BMP": bytes(bmp),
        "TIFF": tiff,
    }
