"""A file of every mode, depth, format and number of pages that can be written, and how it ends.

    python -m tests.format_cells

writes the table into docs/formats.md. A test holds the table against what it finds.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Kept, SourceRef, convert
from rescaling_core.errors import PhotoError, UnsupportedImageError
from rescaling_core.metadata import bytes_digest
from rescaling_core.photo import Photo, decode_photo, decode_shown, prove_given_back
from rescaling_core.plan import DEEP, FULL_SIZE, REPACK, Candidate, Floor, Target, TargetPlan
from rescaling_core.quality import metrics
from rescaling_core.repack import pack, same_file
from rescaling_core.restore import restore, restore_source_file
from tests.unit import photo_samples as samples

DOCUMENT = Path(__file__).parents[1] / "docs" / "formats.md"
BEGIN, END = "<!-- cells: begin -->\n", "<!-- cells: end -->\n"
SIDE = 80
DEEP_FLOOR = 40
"""dB, of `deep` cells."""
LARGE = 10**9
"""Bytes that each source is said to have: what is asked is whether it comes back."""
PILLOW = ("1", "P", "L", "LA", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F")
OTHER_SAMPLES = {
    "RGB 16": ("rgb", 3, np.uint16),
    "RGBA 16": ("rgb", 4, np.uint16),
    "CMYK 16": ("separated", 4, np.uint16),
    "RGB float": ("rgb", 3, np.float32),
    "grey signed": ("minisblack", 1, np.int16),
}
NAMES = {"1": "bilevel", "P": "palette", "L": "grey", "LA": "grey, alpha", "RGBA": "RGB, alpha"}
NAMES |= {"LAB": "Lab", "I;16": "grey 16", "I": "grey 32", "F": "grey float"}
LAYOUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "PNG": ("PNG", {}),
    "TIFF": ("TIFF", {}),
    "TIFF, LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "TIFF, deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "BMP": ("BMP", {}),
    "GIF": ("GIF", {}),
    "WebP, lossless": ("WEBP", {"lossless": True}),
    "AVIF": ("AVIF", {"speed": 10}),
    "JPEG": ("JPEG", {"quality": 90}),
    "JPEG XL": ("JXL", {"lossless": True, "effort": 1}),
    "JPEG 2000": ("JPEG2000", {}),
    "Netpbm": ("PPM", {}),
    "QOI": ("QOI", {}),
    "DDS": ("DDS", {}),
    "SGI": ("SGI", {}),
    "PCX": ("PCX", {}),
    "icon": ("ICO", {"sizes": [(SIDE, SIDE)]}),
}
MANY = ("PNG", "TIFF", "TIFF, LZW", "TIFF, deflate", "GIF", "WebP, lossless", "AVIF")
"""Formats of several pages or frames."""
HOLDS = {
    "PNG": (*PILLOW[:6], "I;16"),
    "WebP, lossless": ("RGB", "RGBA"),
    "AVIF": ("L", "RGB", "RGBA"),
}
HOLDS |= {"GIF": ("L", "P", "RGB"), "JPEG": ("L", "RGB", "CMYK"), "QOI": ("RGB", "RGBA")}
HOLDS |= {"BMP": ("1", "P", "L", "RGB", "RGBA"), "Netpbm": ("1", "L", "RGB", "I;16", "F")}
HOLDS |= {"JPEG XL": ("L", "LA", "RGB", "RGBA", "I;16", "F"), "icon": ("P", "L", "RGB", "RGBA")}
HOLDS |= {"JPEG 2000": ("L", "LA", "RGB", "RGBA", "I;16", "CMYK"), "SGI": ("L", "RGB", "RGBA")}
HOLDS |= {"DDS": ("L", "LA", "RGB", "RGBA"), "PCX": ("1", "P", "L", "RGB")}
"""Modes that a format keeps; the others keep all of `PILLOW`."""
WORDS = {
    "floor": "archived with a floor, or exactly",
    "deep": "archived exactly, or with a floor at 16 bits where a plan has the rescaler `deep`",
    "exact": "archived exactly: the very file comes back",
    "preview": "preview only: the file comes back too, but takes no fewer bytes",
    "kept": "kept, without a preview",
}

models = lru_cache(zoo.load)


@cache
def cells() -> dict[tuple[str, str, int], bytes]:
    """Files by layout, mode and number of pages."""
    return dict(_cells())


def _cells() -> Iterator[tuple[tuple[str, str, int], bytes]]:
    for layout, (format, options) in LAYOUTS.items():
        for mode in HOLDS.get(layout, PILLOW):
            page = samples.image(mode, SIDE, SIDE)
            turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180)
            pages = [page, *map(page.transpose, turns)]
            for count in (1, 3) if layout in MANY else (1,):
                more = {"save_all": True, "append_images": pages[1:]} if count > 1 else {}
                try:
                    yield (
                        (layout, NAMES.get(mode, mode), count),
                        samples.written(pages[0], format, **options, **more),
                    )
                except (OSError, ValueError, KeyError):
                    continue
    for name, (photometric, bands, kind) in OTHER_SAMPLES.items():
        picture = samples.rgb(SIDE, SIDE).astype(np.uint16) * 257
        plane = np.dstack((picture, picture[..., :1]))[..., :bands]
        plane = plane / np.float32(65535) if kind is np.float32 else plane
        plane = np.ascontiguousarray(plane.astype(kind)).squeeze()
        pages = [plane, plane[::-1], plane[:, ::-1]]
        shown = {"photometric": photometric}
        if name == "RGBA 16":
            shown["extrasamples"] = ["unassalpha"]  # type: ignore[assignment]
        yield ("TIFF", name, 1), samples.tiff_of(plane, **shown)
        yield ("TIFF", name, 3), samples.tiff_of(np.stack(pages), **shown)
        yield ("TIFF, deflate", name, 1), samples.tiff_of(plane, compression="zlib", **shown)
        yield ("TIFF, big-endian", name, 1), samples.tiff_of(plane, byteorder=">", **shown)
        yield ("TIFF, tiles", name, 1), samples.tiff_of(plane, tile=(32, 32), **shown)
    yield from _of_16_bits()


def _of_16_bits() -> Iterator[tuple[tuple[str, str, int], bytes]]:
    """Grey and RGB with something in the lower eight bits, alpha beside them or not."""
    noise = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 4))
    picture = samples.rgb(SIDE, SIDE)
    upper = np.dstack((picture, picture[..., :1])).astype(np.uint16)
    colours = (upper * 256 + noise).astype(np.uint16)
    shapes = {
        "grey 16": [0],
        "grey 16, alpha": [0, 3],
        "RGB 16": [0, 1, 2],
        "RGBA 16": [0, 1, 2, 3],
    }
    for name, bands in shapes.items():
        plane = np.ascontiguousarray(colours[..., bands].squeeze())
        shown: dict[str, Any] = {"photometric": "rgb" if len(bands) > 2 else "minisblack"}
        if len(bands) in (2, 4):
            shown["extrasamples"] = ["unassalpha"]
        several = {"planarconfig": "contig"} if plane.ndim == 3 else {}
        yield ("PNG", name, 1), imagecodecs.png_encode(plane)
        for layout, more in {
            "TIFF": {},
            "TIFF, LZW": {"compression": "lzw", "predictor": 2},
            "TIFF, deflate": {"compression": "zlib", "predictor": 2},
            "TIFF, big-endian": {"byteorder": ">"},
            "TIFF, tiles": {"tile": (32, 32)},
        }.items():
            yield (layout, name, 1), samples.tiff_of(plane, **shown, **several, **more)
        if plane.ndim == 3:
            planes = np.ascontiguousarray(plane.transpose(2, 0, 1))
            apart = samples.tiff_of(planes, planarconfig="separate", **shown)
            yield ("TIFF, planes", name, 1), apart
        yield ("JPEG 2000", name, 1), imagecodecs.jpeg2k_encode(plane, level=0)
        yield ("JPEG XL", name, 1), imagecodecs.jpegxl_encode(plane, lossless=True, effort=1)
        if len(bands) in (1, 3):
            head = f"P{5 if len(bands) == 1 else 6}\n{SIDE} {SIDE}\n65535\n".encode()
            yield ("Netpbm", name, 1), head + plane.astype(">u2").tobytes()


def ending(data: bytes) -> str:
    """How a file ends: a key of `WORDS`. What is archived is restored and compared."""
    try:
        photo = decode_photo(data)
    except UnsupportedImageError as error:
        return _packed(data, str(error))
    source = SourceRef(key="k", etag="e", size=LARGE, sha256=bytes_digest(data))
    for codec, floor in (("png", Floor(max_abs_error=0)), ("webp", Floor(psnr_y=20))):
        made = convert(photo, source, _plan(FULL_SIZE, codec, floor), models, software="test")
        assert not isinstance(made, Kept), made.reason
        back = restore(made.lr_data, models)
        prove_given_back(back, photo)
        if codec == "png":
            np.testing.assert_array_equal(back.pixels, photo.pixels)
        else:
            assert metrics.psnr_y(back.pixels, photo.pixels) >= 20
    return "floor"


def _packed(data: bytes, reason: str) -> str:
    try:
        shown = decode_shown(data, max_pixels=10**6, reason=reason)
    except PhotoError:
        return "kept"
    source = SourceRef(key="k", etag="e", size=LARGE, sha256=bytes_digest(data))
    plan = _plan(REPACK, "webp", Floor(max_abs_error=0))
    made = convert(shown, source, plan, models, software="test", data=data)
    assert not isinstance(made, Kept), made.reason
    file = restore_source_file(made.lr_data, recorded=made.metadata)
    assert file is not None
    assert same_file(file, data)
    assert file == data or data.startswith(b"\x89PNG")
    seen = restore(made.lr_data, models)
    np.testing.assert_array_equal(seen.pixels, shown.pixels)
    if _deep(data, shown, source):
        return "deep"
    return "exact" if len(pack(data)) < len(data) else "preview"


def _deep(data: bytes, shown: Photo, source: SourceRef) -> bool:
    """Whether it is archived at 16 bits; what comes back is held against other decoders."""
    plan = _plan(DEEP, "avif", Floor(psnr_y=DEEP_FLOOR))
    made = convert(shown, source, plan, models, software="test", data=data)
    if isinstance(made, Kept):
        return False
    file = restore_source_file(made.lr_data, recorded=made.metadata)
    assert file is not None
    found, expected = (_of_deep(one).astype(np.float64) for one in (file, data))
    assert found.shape == expected.shape
    assert 10 * np.log10(65535**2 / np.mean((found - expected) ** 2)) > DEEP_FLOOR - 6
    assert len(made.lr_data) < len(data)
    return True


def _of_deep(data: bytes) -> np.ndarray:
    """Samples of 16 bits."""
    if data.startswith(b"\x89PNG"):
        found = imagecodecs.png_decode(data)
    elif data.startswith((b"II", b"MM")):
        found = tifffile.imread(io.BytesIO(data))
    else:
        bands = 1 if data.startswith(b"P5") else 3
        found = np.frombuffer(data[-2 * bands * SIDE * SIDE :], ">u2")
    assert found.dtype.itemsize == 2
    return found


def _plan(rescaler: str, codec: str, floor: Floor) -> TargetPlan:
    quality = None if codec == "png" else 90
    spec = CodecSpec.parse(codec, quality)
    candidate = Candidate(rescaler, replace(spec, effort=1) if rescaler == DEEP else spec)
    return TargetPlan(target=Target(scale=1), candidates=(candidate,), floor=floor)


def table(found: dict[tuple[str, str, int], str]) -> str:
    """The cells as Markdown: rows of formats and pages, columns of modes."""
    modes = list(dict.fromkeys(mode for _, mode, _ in found))
    rows = list(dict.fromkeys((layout, count) for layout, _, count in found))
    lines = [
        f"{len(found)} files, written and run by `python -m tests.format_cells`. "
        + "; ".join(f"*{word}*: {meaning}" for word, meaning in WORDS.items())
        + ".",
        "",
        f"| format | pages | {' | '.join(modes)} |",
        f"| --- | ---: |{' --- |' * len(modes)}",
    ]
    for layout, count in sorted(rows):
        held = [found.get((layout, mode, count), "") for mode in modes]
        lines.append(f"| {layout} | {count} | {' | '.join(held)} |".replace("  ", " "))
    return "\n".join(lines) + "\n"


def documented() -> str:
    """What docs/formats.md has."""
    match = re.search(f"{BEGIN}(.*){END}", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match[1]


if __name__ == "__main__":
    text = table({key: ending(data) for key, data in cells().items()})
    document = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(document.replace(documented(), text), encoding="utf-8")
    print(text)
