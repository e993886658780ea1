"""The IIIF Image API 3.0: its parameters read, its answers described.

Regions and sizes are of the upright image. https://iiif.io/api/image/3.0/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from http import HTTPStatus
from math import ceil, floor, sqrt
from typing import Any, Final, Literal

from flows.service.errors import PublicError
from rescaling_core.photo.served import ServedFormat
from rescaling_core.pixels.area import Area

CONTEXT: Final = "http://iiif.io/api/image/3/context.json"
PROFILE: Final = "http://iiif.io/api/image/3/level2.json"
PROTOCOL: Final = "http://iiif.io/api/image"

Quality = Literal["default", "color", "gray", "bitonal"]

FORMATS: Final[dict[str, ServedFormat]] = {
    "jpg": "jpeg", "png": "png", "webp": "webp", "avif": "avif",
}  # fmt: skip

_NUMBER: Final = r"(\d{1,9}(?:\.\d{1,9})?)"
_PIXELS: Final = re.compile(r"(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})")
_SHARES: Final = re.compile(rf"pct:{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}")
_SIZE: Final = re.compile(r"(\^?)(!?)(\d{0,9}),(\d{0,9})")
_SIZE_SHARE: Final = re.compile(rf"(\^?)pct:{_NUMBER}")
_ROTATIONS: Final = ("0", "90", "180", "270")

_TILE: Final = 512
"""Side of a tile, at most and unless the stored tiles are larger."""
_LARGEST_TILE: Final = 1024


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What one URL of the Image API asks for."""

    area: Area
    """Of the upright image."""
    size: tuple[int, int]
    """Width and height before it is turned."""
    mirrored: bool
    degrees: int
    """Clockwise, after mirroring: 0, 90, 180 or 270."""
    quality: Quality
    format: ServedFormat


def parse(
    region: str, size: str, rotation: str, last: str, image: tuple[int, int], max_pixels: int
) -> ImageRequest:
    """Read the four parts of a path behind the identifier.

    Args:
        region: `full`, `square`, `x,y,w,h` or `pct:x,y,w,h`.
        size: `max`, `w,`, `,h`, `pct:n`, `w,h` or `!w,h`, and each with `^` before it.
        rotation: `0`, `90`, `180` or `270`, and each with `!` before it.
        last: `quality.format`.
        image: Width and height of the upright image.
        max_pixels: Of an answer.

    Raises:
        PublicError: A part says something else, or asks for what this service does not have (400).
    """
    quality, _, ending = last.rpartition(".")
    if quality not in ("default", "color", "gray", "bitonal"):
        raise _wrong("quality", "expected default, color, gray or bitonal")
    if ending not in FORMATS:
        raise _wrong("format", f"expected one of {', '.join(FORMATS)}")
    area = _area(region, *image)
    mirrored = rotation.startswith("!")
    degrees = rotation.removeprefix("!")
    if degrees not in _ROTATIONS:
        raise _wrong("rotation", "expected 0, 90, 180 or 270, with ! before it to mirror")
    return ImageRequest(
        area=area,
        size=_size(size, area, max_pixels),
        mirrored=mirrored,
        degrees=int(degrees),
        quality=quality,  # type: ignore[arg-type]  # one of them, as was looked at above
        format=FORMATS[ending],
    )


def _area(text: str, width: int, height: int) -> Area:
    if text == "full":
        return Area(0, 0, width, height)
    if text == "square":
        side = min(width, height)
        return Area((width - side) // 2, (height - side) // 2, side, side)
    if found := _PIXELS.fullmatch(text):
        left, top, wide, high = map(int, found.groups())
    elif found := _SHARES.fullmatch(text):
        x, y, w, h = map(Fraction, found.groups())
        left, top = floor(x * width / 100), floor(y * height / 100)
        wide, high = round(w * width / 100), round(h * height / 100)
    else:
        raise _wrong("region", "expected full, square, x,y,w,h or pct:x,y,w,h")
    if wide < 1 or high < 1 or left >= width or top >= height:
        raise _wrong("region", f"it has no pixels within the image of {width} x {height}")
    return Area(left, top, min(wide, width - left), min(high, height - top))


def _size(text: str, area: Area, max_pixels: int) -> tuple[int, int]:
    width, height = area.width, area.height
    enlarge = text.startswith("^")
    if text in ("max", "^max"):
        room = sqrt(max_pixels / (width * height))
        if room >= 1:
            return width, height
        return max(1, floor(width * room)), max(1, floor(height * room))
    if found := _SIZE_SHARE.fullmatch(text):
        share = Fraction(found[2]) / 100
        wide, high = round(width * share), round(height * share)
    elif (found := _SIZE.fullmatch(text)) and (found[3] or found[4]):
        wide, high = _stated_size(bool(found[2]), found[3], found[4], width, height)
        if found[2] and not enlarge and wide > width:
            wide, high = width, height
    else:
        raise _wrong("size", "expected max, w, or ,h or pct:n or w,h or !w,h, and ^ to enlarge")
    if wide < 1 or high < 1:
        raise _wrong("size", "it has no pixels")
    if not enlarge and (wide > width or high > height):
        raise _wrong("size", f"{wide} x {high} is larger than the region; put ^ before it")
    if wide * high > max_pixels:
        raise _wrong("size", f"{wide} x {high} is more than the {max_pixels} pixels of an answer")
    return wide, high


def _stated_size(fitted: bool, wide: str, high: str, width: int, height: int) -> tuple[int, int]:
    if fitted:
        if not (wide and high):
            raise _wrong("size", "!w,h needs both")
        ratio = min(Fraction(int(wide), width), Fraction(int(high), height))
        return max(1, round(width * ratio)) if ratio else 0, max(1, round(height * ratio))
    if wide and high:
        return int(wide), int(high)
    if wide:
        return int(wide), max(1, round(Fraction(int(wide) * height, width))) if int(wide) else 0
    return max(1, round(Fraction(int(high) * width, height))) if int(high) else 0, int(high)


def _wrong(part: str, sentence: str) -> PublicError:
    return PublicError(HTTPStatus.BAD_REQUEST, f"{part}: {sentence}.")


@dataclass(frozen=True, slots=True)
class Grid:
    """How an image is stored, as far as it decides what is cheap."""

    scale: float
    """HR side / LR side; 1 where the file has the size of the image."""
    tile: int
    """HR pixels a side that are restored together; 0 for the whole."""

    def tile_side(self) -> int:
        """What viewers should ask for: a whole stored tile, if it is not too large."""
        step = int(int(self.tile / self.scale) * self.scale)
        return step if _TILE <= step <= _LARGEST_TILE else _TILE


def info(url: str, image: tuple[int, int], grid: Grid, max_pixels: int) -> dict[str, Any]:
    """The document that describes an image.

    Args:
        url: Of the image, without a slash at its end.
        image: Width and height of the upright image.
        grid: How it is stored.
        max_pixels: Of an answer.
    """
    width, height = image
    side = grid.tile_side()
    factors = [1]
    while max(width, height) > side * factors[-1]:
        factors.append(factors[-1] * 2)
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "id": url,
        "type": "ImageService3",
        "protocol": PROTOCOL,
        "profile": "level2",
        "width": width,
        "height": height,
        "maxArea": max_pixels,
        "sizes": [{"width": w, "height": h} for w, h in _sizes(width, height, grid.scale)],
        "tiles": [{"width": side, "height": side, "scaleFactors": factors}],
        "extraFormats": ["webp", "avif"],
        "preferredFormats": ["webp", "jpg"],
        "extraQualities": ["color", "gray", "bitonal"],
        "extraFeatures": ["mirroring", "sizeUpscaling", "profileLinkHeader"],
    }
    return document


def _sizes(width: int, height: int, scale: float) -> list[tuple[int, int]]:
    """The size of the LR image and halves of it: they need no network."""
    found: list[tuple[int, int]] = []
    ratio = max(scale, 1.0)
    while min(width, height) / ratio >= 1 and len(found) < 16:
        size = ceil(width / ratio), ceil(height / ratio)
        found.append(size)
        if max(size) <= 128:
            break
        ratio *= 2
    return found[::-1]
