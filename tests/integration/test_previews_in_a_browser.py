"""Previews beside what headless Chromium shows of their sources.

Of what browsers do not open, such as TIFF, the browser shows a twin: the same samples in a format
that it opens, with the same profile.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import color, data

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.photo import decode_for_preview
from rescaling_core.plan import Candidate, Target, TargetPlan
from tests.servers.chromium import Chromium
from tests.unit import photo_samples as samples
from tests.unit.rescaling_core.photo import shown_cases

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning:PIL")]

SIDES = (180, 240)
"""Width and height of every picture as it is seen. The previews are as large, and PNG: each pixel
is compared, and what a preview's codec loses is not mixed up with colours that are wrong."""
BOUNDS = (1.2, 3.0)
"""CIEDE2000, the mean of all pixels and what 95 of 100 stay below. A difference of 1 is hardly seen
side by side."""
OTHER_BOUNDS = {"PQ.avif": (3.0, 8.5), "HLG.avif": (1.5, 4.5)}
"""Pillow decodes AVIF of 10 bits to 8, half a level too dark; in the shadows of PQ that is seen."""

ADOBE_RGB = (0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457)
REC_2020 = (0.67346, 0.27903, -0.00193, 0.16566, 0.67534, 0.02999, 0.12505, 0.04561, 0.79686)
"""XYZ of red, green and blue, adapted to D50. Source: the ICC's registry."""


@dataclass(frozen=True)
class Case:
    """A source, and what the browser is shown in its place where it does not open that."""

    source: bytes
    twin: bytes | None = None


def _profile(columns: tuple[float, ...], gamma: float) -> bytes:
    profile = bytearray(samples.SRGB)
    places = {b"rXYZ": columns[:3], b"gXYZ": columns[3:6], b"bXYZ": columns[6:]}
    for i in range(int.from_bytes(profile[128:132], "big")):
        tag, at, _ = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        if tag in places:
            struct.pack_into(">3i", profile, at + 8, *(round(one * 2**16) for one in places[tag]))
        elif tag in (b"rTRC", b"gTRC", b"bTRC"):
            struct.pack_into(">4sLLH", profile, at, b"curv", 0, 1, round(gamma * 256))
    return bytes(profile)


def _cmyk_profile() -> bytes:
    """Of a press whose inks are darker than on a screen: an `mft1` table of 9 points an ink."""
    simple = shown_cases.cmyk_profile()
    steps = np.linspace(0, 1, 9)
    ink = np.stack(np.meshgrid(*[steps] * 4, indexing="ij"), axis=-1).reshape(-1, 1, 4)
    paper = 235 * (1 - 0.9 * ink[..., :3]) * (1 - 0.9 * ink[..., 3:])
    lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    seen = ImageCms.applyTransform(Image.fromarray(paper.astype(np.uint8)), lab)
    grid = np.asarray(seen) + np.array([0, 128, 128], np.uint8)  # Pillow's a and b are signed
    at = simple.index(b"mft1")
    begin, end = at + 48 + 4 * 256, at + 48 + 4 * 256 + 16 * 3
    file = bytearray(simple[:begin] + grid.tobytes() + simple[end:])
    file[at + 10] = 9
    more = grid.nbytes - 16 * 3
    struct.pack_into(">L", file, 0, len(file))
    for i in range(int.from_bytes(file[128:132], "big")):
        name, place, length = struct.unpack_from(">4sLL", file, 132 + 12 * i)
        where = (place, length + more) if name == b"A2B0" else (place + more, length)
        struct.pack_into(">LL", file, 136 + 12 * i, *where)
    return bytes(file)


def _deep(picture: np.ndarray) -> np.ndarray:
    """The picture at 16 bits, with something in the lower eight."""
    return picture.astype(np.uint16) * 257 - (picture.astype(np.uint16) % 7)


def _png16(pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    file: bytes = imagecodecs.png_encode(pixels)
    for kind, content in chunks:
        file = samples.png_with(kind, content, file)
    return file


def _iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"p\0\0" + imagecodecs.zlib_encode(profile)


def _light(picture: np.ndarray, transfer: int) -> np.ndarray:
    """The picture coded for a screen of 1000 nits: white at 203, and lights above it at the top."""
    linear = np.power(picture / 255, 2.2)
    linear[: len(linear) // 3] *= 4
    if transfer == 16:
        power = np.power(np.clip(linear * 203 / 10_000, 0, 1), 2610 / 16384)
        coded = np.power((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power), 2523 / 32)
    else:
        scene = np.power(np.clip(linear * 203 / 1000, 0, 1), 1 / 1.2)
        bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        coded = np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)
    return np.rint(coded * 65535).astype(np.uint16)


def _avif10(picture: np.ndarray, transfer: int) -> bytes:
    coded = _light(picture, transfer) >> 6
    file: bytes = imagecodecs.avif_encode(
        coded, level=95, speed=8, bitspersample=10, pixelformat="444",
        primaries=9, transfer=transfer, matrix=9,
    )  # fmt: skip
    return file


def _cases() -> dict[str, Case]:
    width, height = SIDES
    picture = np.ascontiguousarray(data.astronaut()[20 : 20 + height, 60 : 60 + width])
    image = Image.fromarray(picture)
    lying = np.ascontiguousarray(np.rot90(picture))  # what orientation 6 turns back
    deep, grey = _deep(picture), _deep(np.asarray(image.convert("L")))
    cmyk = image.convert("CMYK")
    ink, adobe = _cmyk_profile(), _profile(ADOBE_RGB, 563 / 256)
    p3 = samples.display_p3()
    plain = samples.written(image, "PNG")
    frames = [image.convert("P"), image.transpose(Image.Transpose.ROTATE_180).convert("P")]
    clear = image.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(SIDES))
    ink_jpeg = samples.written(cmyk, "JPEG", quality=100, icc_profile=ink)
    turned = samples.exif(6, sizes=False)
    wide16 = samples.tiff_of(deep, photometric="rgb", iccprofile=p3)
    places = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    return {
        "cmyk.jpg": Case(samples.written(cmyk, "JPEG", quality=95)),
        "cmyk with a profile.jpg": Case(ink_jpeg),
        "cmyk with a profile.tif": Case(samples.written(cmyk, "TIFF", icc_profile=ink), ink_jpeg),
        "cmyk turned.jpg": Case(
            samples.written(Image.fromarray(lying).convert("CMYK"), "JPEG", quality=95, exif=turned)
        ),
        "16 bits.png": Case(_png16(deep)),
        "16 bits, grey.png": Case(_png16(grey)),
        "16 bits, grey.tif": Case(samples.tiff_of(grey), _png16(grey)),
        "16 bits, turned.png": Case(_png16(_deep(lying), (b"eXIf", turned[6:]))),
        "16 bits, alpha.png": Case(_png16(_deep(np.asarray(clear)))),
        "16 bits of Display P3.tif": Case(wide16, _png16(deep, _iccp(p3))),
        "16 bits of Adobe RGB.png": Case(_png16(deep, _iccp(adobe))),
        "Display P3.jpg": Case(samples.written(image, "JPEG", quality=95, icc_profile=p3)),
        "Adobe RGB.jpg": Case(samples.written(image, "JPEG", quality=95, icc_profile=adobe)),
        "Rec. 2020.png": Case(
            samples.written(image, "PNG", icc_profile=_profile(REC_2020, 2.4))
        ),
        "Adobe RGB, palette.png": Case(samples.written(frames[0], "PNG", icc_profile=adobe)),
        "Display P3 by code points.png": Case(
            samples.png_with(b"cICP", bytes((12, 13, 0, 1)), plain)
        ),
        "Display P3 by numbers.png": Case(
            samples.png_with(
                b"gAMA",
                (45_455).to_bytes(4, "big"),
                samples.png_with(b"cHRM", struct.pack(">8I", *places), plain),
            )
        ),
        "linear.png": Case(samples.png_with(b"gAMA", (100_000).to_bytes(4, "big"), plain)),
        "palette.png": Case(samples.written(frames[0], "PNG")),
        "bilevel.png": Case(samples.written(image.convert("1"), "PNG")),
        "moving.gif": Case(
            samples.written(
                frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100_000
            )
        ),
        "alpha.png": Case(samples.written(clear, "PNG", transparency=None)),
        "colour key.png": Case(
            samples.written(image, "PNG", transparency=tuple(map(int, picture[120, 90])))
        ),
        "PQ.png": Case(_png16(_light(picture, 16), (b"cICP", bytes((9, 16, 0, 1))))),
        "PQ of 4000 nits.png": Case(
            _png16(
                _light(picture, 16),
                (b"cLLI", struct.pack(">II", 40_000_000, 0)),
                (b"cICP", bytes((9, 16, 0, 1))),
            )
        ),
        "PQ in Display P3.png": Case(_png16(_light(picture, 16), (b"cICP", bytes((12, 16, 0, 1))))),
        "HLG.png": Case(_png16(_light(picture, 18), (b"cICP", bytes((9, 18, 0, 1))))),
        "PQ.avif": Case(_avif10(picture, 16)),
        "HLG.avif": Case(_avif10(picture, 18)),
        "10 bits.avif": Case(
            imagecodecs.avif_encode(deep >> 6, level=95, speed=8, bitspersample=10)
        ),
    }  # fmt: skip


def _preview(name: str, content: bytes) -> Rendition:
    plan = TargetPlan(
        target=Target(long_edge=max(SIDES)),
        candidates=(Candidate("lanczos", CodecSpec("png")),),
    )
    source = SourceRef(key=name, etag="", size=10**7, sha256="0" * 64)
    photo = decode_for_preview(content, max_pixels=10**6, max_carried=10**6)
    made = convert(photo, source, plan, zoo.load, software="test")
    assert isinstance(made, Rendition), made
    return made


def _apart(view: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """CIEDE2000 of two pictures: the mean, and what 95 of 100 pixels stay below."""
    differences = color.deltaE_ciede2000(color.rgb2lab(view), color.rgb2lab(other))
    return float(differences.mean()), float(np.percentile(differences, 95))


def test_previews_look_as_a_browser_shows_their_sources(tmp_path: Path, chromium: Chromium) -> None:
    cases, files = _cases(), []
    for i, (name, case) in enumerate(cases.items()):
        made = _preview(name, case.source)
        shown = Path(name).suffix if case.twin is None else ".png"
        for path, content in (
            (tmp_path / f"{i}{shown}", case.twin or case.source),
            (tmp_path / f"{i}-preview{made.extension}", made.lr_data),
        ):
            path.write_bytes(content)
            files.append(path)
    views = chromium.views(files, (256, 256))
    pairs = dict(zip(cases, zip(views[::2], views[1::2], strict=True), strict=True))
    found = {}
    for name, (source, preview) in pairs.items():
        assert source.shape[:2] == preview.shape[:2] == SIDES[::-1], name
        found[name] = _apart(preview, source)
    print(*(f"{name:32} {mean:5.2f} {high:5.2f}" for name, (mean, high) in found.items()), sep="\n")
    bounds = {name: OTHER_BOUNDS.get(name, BOUNDS) for name in found}
    assert {
        name: (mean, high)
        for name, (mean, high) in found.items()
        if mean > bounds[name][0] or high > bounds[name][1]
    } == {}
    # What would be seen, had a profile or a rule been left out: these comparisons do tell.
    plain, (other, _) = pairs["16 bits.png"][0], pairs["Adobe RGB.jpg"]
    for different in ("cmyk with a profile.jpg", "linear.png", "PQ.png", "HLG.png"):
        assert _apart(pairs[different][0], plain)[0] > 2 * BOUNDS[0]
    assert _apart(other, plain)[0] > BOUNDS[0]
