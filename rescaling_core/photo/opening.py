"""Opening image bytes safely: known formats only, the size checked before pixels are decoded.

Pillow's own limit (`Image.MAX_IMAGE_PIXELS`) is a global that threads would fight over, and lies
below what a plan may allow. So formats are opened by their registered factories, which is what
`Image.open` does before it applies that limit, and the plan's limit is applied here.
"""

from __future__ import annotations

import importlib
import io
import re
import sys
import warnings
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from rescaling_core.containers import headers, tiff
from rescaling_core.errors import (
    ImageTooLargeError,
    PhotoError,
    RefoldError,
    UnreadableImageError,
    UnsupportedImageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.ImageFile import ImageFile

    from rescaling_core.pixels.arrays import U8Array

FORMATS: Final = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JXL", "HEIF")
"""Pillow's names of what is opened; the last two need a plugin."""

_UNKNOWN_LAYOUT: Final = re.compile(
    "unknown (pixel mode|data organization|PCX mode)|[Uu]nsupported|not a PPM file"
)
"""What decoders say of files that are sound but of a kind that they do not read. Of others they
raise `NotImplementedError`."""

_UNREAD: Final = {33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC",
                  34892: "lossy JPEG", 34933: "PNG", 34934: "JPEG XR", 50001: "WebP",
                  50002: "JPEG XL", 52546: "JPEG XL"}  # fmt: skip
"""Compressions of TIFF that Pillow does not know, or its libtiff is built without, by number."""

_COMPRESSION: Final = 259

_STRIP: Final = 256
"""Rows."""

INSTALL: Final = {"JXL": "refold[jxl]", "HEIF": "refold[heic]"}
"""What to install for a format that needs a plugin."""

# Pillow warns about damaged tags on standard error; what matters of them is raised here.
warnings.filterwarnings("ignore", module=r"PIL\.")


@cache
def available_formats() -> frozenset[str]:
    """Which of `FORMATS` this installation opens."""
    return pillow_formats() & frozenset(FORMATS)


@cache
def pillow_formats() -> frozenset[str]:
    """All that Pillow opens here. Registers the plugins on the first call."""
    Image.init()
    for plugin, register in (("pillow_jxl", None), ("pillow_heif", "register_heif_opener")):
        try:
            module = importlib.import_module(plugin)
        except ImportError:
            continue
        if register is not None:
            getattr(module, register)()
    return frozenset(Image.OPEN)


def identify(data: bytes) -> str:
    """Name the format of a file that can be opened here, as Pillow does.

    Raises:
        UnreadableImageError: Empty, or not an image.
        UnsupportedImageError: An image of a format that is not opened here.
    """
    if not data:
        raise UnreadableImageError("empty: 0 bytes")
    name = headers.identify(data)
    if name is None:
        raise UnreadableImageError("not an image of a known format")
    if name not in FORMATS:
        raise UnsupportedImageError(f"format {name} is not one that is archived")
    if name not in available_formats():
        install = INSTALL.get(name)
        hint = f"pip install '{install}'" if install else "this build of Pillow lacks it"
        raise UnsupportedImageError(f"format {name} cannot be read here: {hint}")
    return name


@contextmanager
def open_image(data: bytes, *, max_pixels: int) -> Iterator[ImageFile]:
    """Open an image without decoding its pixels, and turn what goes wrong into `PhotoError`.

    Args:
        data: The file.
        max_pixels: Width × height above which it counts as a decompression bomb.

    Raises:
        UnreadableImageError: Empty, damaged, or not an image; also for what decoders raise while
            the caller works on the image.
        ImageTooLargeError: It has more pixels than allowed.
        UnsupportedImageError: An image of a format that is not opened here.
    """
    with open_format(identify(data), data, max_pixels=max_pixels) as image:
        yield image


@contextmanager
def open_format(name: str, data: bytes, *, max_pixels: int) -> Iterator[ImageFile]:
    """The same for a file whose format is known, and is one that Pillow opens.

    Args:
        name: Pillow's name of the format.
        data: The file.
        max_pixels: Width × height above which it counts as a decompression bomb.

    Raises:
        UnreadableImageError: It is damaged; also for what decoders raise while the caller works on
            the image.
        ImageTooLargeError: It has more pixels than allowed.
        UnsupportedImageError: It is of a layout that is not read here.
    """
    with decoder_errors(name):
        check_size(headers.peek_size(name, data), max_pixels)
        with opened_by_pillow(name, data) as image:
            check_size(image.size, max_pixels)
            yield image


def opened_by_pillow(name: str, data: bytes) -> ImageFile:
    """A file as Pillow opens it, by its registered factory; within `decoder_errors`.

    Raises:
        UnsupportedImageError: Pillow would take it for damaged, but does not know its compression.
    """
    if name == "TIFF":
        _check_compression(data)
    factory, _ = Image.OPEN[name]
    return factory(io.BytesIO(data), "")


def _check_compression(data: bytes) -> None:
    """Refuse a TIFF that Pillow would take for a damaged one.

    Raises:
        UnsupportedImageError: It names the compression.
    """
    try:
        code = tiff.Tiff(data).value(_COMPRESSION, 1)
    except ValueError:  # damaged, or not as usual: Pillow finds out
        return
    if code in _UNREAD:
        raise UnsupportedImageError(
            f"TIFF of a layout that cannot be read here: compressed as {_UNREAD[code]}"
        )


def stated_pixels(data: bytes) -> int | None:
    """Width × height as a file's header gives them; None if it is of no image that can be opened.

    No pixels are decoded.
    """
    try:
        name = identify(data)
        with decoder_errors(name):
            size = headers.peek_size(name, data)
        if size is None:
            with open_image(data, max_pixels=sys.maxsize) as image:
                size = image.size
    except PhotoError:
        return None
    return size[0] * size[1]


def samples_of(image: Image.Image) -> U8Array:
    """The samples of a loaded image, (H, W, bands), in strips: Pillow would copy them twice."""
    width, height = image.size
    samples = np.empty((height, width, len(image.getbands())), np.uint8)
    for top in range(0, height, _STRIP):
        strip = np.asarray(image.crop((0, top, width, min(top + _STRIP, height))))
        samples[top : top + _STRIP] = strip.reshape(-1, width, samples.shape[2])
    return samples


@contextmanager
def decoder_errors(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into `PhotoError`: on damaged bytes that is any class.

    Raises:
        UnreadableImageError: The decoder failed.
        ImageTooLargeError: Pillow's own limit was reached.
        UnsupportedImageError: The decoder says that it knows no such layout.
    """
    try:
        yield
    except RefoldError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"{name}: {error}") from error
    except Exception as error:
        text = " ".join(str(error).split())[:200] or "the decoder says no more"
        if isinstance(error, NotImplementedError) or _UNKNOWN_LAYOUT.search(text):
            raise UnsupportedImageError(
                f"{name} of a layout that cannot be read here: {text}"
            ) from error
        raise UnreadableImageError(
            f"{name}: damaged or truncated: {type(error).__name__}: {text}"
        ) from error


def check_size(size: tuple[int, int] | None, max_pixels: int) -> None:
    """Refuse what has more pixels than allowed, or none.

    Raises:
        UnreadableImageError: A side is 0.
        ImageTooLargeError: There are too many.
    """
    if size is None:
        return
    width, height = size
    if width < 1 or height < 1:
        raise UnreadableImageError(f"damaged: its size is {width} x {height}")
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"{width} x {height} is {width * height} pixels; at most {max_pixels} are allowed"
        )
