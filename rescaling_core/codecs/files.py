"""Pixels → file and back, by whatever codec."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from PIL import Image

from rescaling_core.codecs.spec import CODECS, CodecSpec, codec_of
from rescaling_core.codecs.traits import NO_EXTRAS, Codec, FileExtras, embedded
from rescaling_core.containers import exif as exif_block
from rescaling_core.containers.icc import means_srgb
from rescaling_core.errors import CodecError, CodecUnavailableError, PhotoError
from rescaling_core.photo.opening import open_format, open_image, pillow_formats, samples_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from PIL.ImageFile import ImageFile

    from rescaling_core.pixels.arrays import U8Array

DEFAULT_MAX_PIXELS: Final = 200_000_000


def available() -> tuple[Codec, ...]:
    """The codecs of this installation."""
    formats = pillow_formats()
    return tuple(codec for codec in CODECS.values() if codec.pillow_format in formats)


def check_available(spec: CodecSpec) -> None:
    """Refuse a codec whose library is not installed.

    Raises:
        CodecUnavailableError: It says what to install.
    """
    if spec.codec.pillow_format not in pillow_formats():
        install = spec.codec.install
        hint = f"pip install '{install}'" if install else "install a full build of Pillow"
        raise CodecUnavailableError(f"codec {spec.name} is not installed: {hint}")


def extension(spec: CodecSpec) -> str:
    """The file name extension, with its dot."""
    return spec.codec.extension


def encode(pixels: U8Array, spec: CodecSpec, *, extras: FileExtras = NO_EXTRAS) -> bytes:
    """Write pixels as a file.

    Args:
        pixels: (H, W, C), C = 1 or 3.
        spec: The codec and its settings.
        extras: What to embed; XMP uncompressed, so that it can be edited in place.

    Raises:
        CodecUnavailableError: The library is missing.
        CodecError: The codec cannot hold these pixels or extras.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8:
        raise CodecError(f"codec {spec}: cannot encode an array {pixels.shape} {pixels.dtype}")
    samples = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    return encode_image(Image.fromarray(np.ascontiguousarray(samples)), spec, extras=extras)


def encode_image(image: Image.Image, spec: CodecSpec, *, extras: FileExtras = NO_EXTRAS) -> bytes:
    """Write an image of mode L or RGB, as `encode` writes its pixels.

    Raises:
        CodecError: As for `encode`.
    """
    check_available(spec)
    _check_fits(image.size, spec, extras)
    buffer = io.BytesIO()
    options = spec.codec.options(spec.settings, extras)
    if image.mode == "L":
        options |= spec.codec.grey_options
    try:
        image.save(buffer, spec.codec.pillow_format, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise CodecError(f"codec {spec}: cannot encode: {error}") from error
    return buffer.getvalue()


def decode(
    data: bytes, *, channels: int | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> U8Array:
    """Read the pixels of an LR file, as stored.

    Args:
        data: The file.
        channels: 1 for a grey image: codecs without grey give its plane three times over, of
            which one is returned. By default as many as the file has.
        max_pixels: Width × height above which the file is refused.

    Returns:
        (H, W, C).

    Raises:
        CodecError: The bytes are damaged, or of no image of 8-bit grey or RGB.
    """
    try:
        with _opened(data, max_pixels) as image:
            if image.mode not in ("L", "RGB"):
                raise CodecError(f"LR file: mode {image.mode}: expected L or RGB")
            samples = _samples(data, image)
    except PhotoError as error:
        raise CodecError(f"LR file: {error}") from error
    if channels == 1 and samples.shape[2] == 3:
        samples = samples[..., 1:2]
    return np.ascontiguousarray(samples)


def _samples(data: bytes, image: ImageFile) -> U8Array:
    """The pixels of a file that is open, by the codec's own way where it has one."""
    codec = codec_of(data)
    if codec is not None and codec.pixels is not None and image.mode == "RGB" and _is_still(image):
        samples = codec.pixels(data)
        if samples is not None and samples.shape == (image.height, image.width, 3):
            return samples
    image.load()
    return samples_of(image)


def _is_still(image: ImageFile) -> bool:
    return not getattr(image, "is_animated", False)


def _check_fits(size: tuple[int, int], spec: CodecSpec, extras: FileExtras) -> None:
    codec = spec.codec
    if max(size) > codec.max_side:
        raise CodecError(f"codec {spec}: {size[0]} x {size[1]}: at most {codec.max_side} a side")
    if extras.xmp and len(extras.xmp) > codec.max_xmp:
        raise CodecError(
            f"codec {spec}: {len(extras.xmp)} bytes of metadata: at most {codec.max_xmp}"
        )
    if extras.exif and codec.max_exif and len(extras.exif) > codec.max_exif:
        raise CodecError(
            f"codec {spec}: {len(extras.exif)} bytes of EXIF: at most {codec.max_exif}"
        )
    if not codec.holds_icc:
        if extras.icc and not means_srgb(extras.icc):
            raise CodecError(f"codec {spec}: its encoder cannot embed a colour profile")
        if exif_block.orientation(extras.exif) != 1:
            raise CodecError(f"codec {spec}: its encoder cannot embed an orientation")


def read_extras(data: bytes) -> FileExtras:
    """What is embedded in an LR file.

    Raises:
        CodecError: The file is damaged.
    """
    try:
        with _opened(data, DEFAULT_MAX_PIXELS) as image:
            info = image.info
    except PhotoError as error:
        raise CodecError(f"LR file: {error}") from error
    codec = codec_of(data)
    return (embedded if codec is None else codec.embedded)(data, info)


def read_xmp(data: bytes) -> bytes | None:
    """The XMP packet of an LR file, without decoding pixels.

    Raises:
        CodecError: The file is damaged.
    """
    codec = codec_of(data)
    if codec is None or codec.xmp is None:
        return read_extras(data).xmp
    try:
        return codec.xmp(data)
    except ValueError as error:
        raise CodecError(f"LR file: {error}") from error


def _opened(data: bytes, max_pixels: int) -> AbstractContextManager[ImageFile]:
    """Open an LR file, also one of a format that sources do not come in."""
    codec = codec_of(data)
    if codec is None or codec.pillow_format not in pillow_formats():
        return open_image(data, max_pixels=max_pixels)
    return open_format(codec.pillow_format, data, max_pixels=max_pixels)


class Encode(Protocol):
    """What `codecs.encode` does, wherever it is done."""

    def __call__(
        self, pixels: U8Array, spec: CodecSpec, *, extras: FileExtras = NO_EXTRAS
    ) -> bytes:
        """(H, W, C) → a file."""
