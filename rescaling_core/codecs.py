"""LR pixels ⇄ LR bytes, one interface over the codecs this installation has.

Encoders are libraries. Pixels go in and come out as stored; what a viewer needs (orientation,
colour profile) is embedded natively.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from PIL import Image, PngImagePlugin

from rescaling_core.errors import CodecError, CodecUnavailableError, PhotoError, UsageError
from rescaling_core.photo import exif as exif_block
from rescaling_core.photo import jxl
from rescaling_core.photo.opening import INSTALL, available_formats, open_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.arrays import U8Array

CodecName = Literal["png", "jpeg", "webp", "avif", "jxl"]
Chroma = Literal["4:4:4", "4:2:0"]

DEFAULT_MAX_PIXELS: Final = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecTraits:
    """What a codec can do."""

    name: CodecName
    pillow_format: str
    extension: str
    """With its dot."""
    media_type: str
    lossless: bool
    """Whether it has a lossless mode."""
    qualities: range | None
    """Its own quality scale; None if it is lossless only."""
    default_quality: int | None
    chromas: tuple[Chroma, ...] = ()
    """Chroma samplings of the lossy mode, the default first."""
    max_side: int
    """Pixels."""
    max_xmp: int
    """Bytes of XMP a file can hold."""
    max_exif: int
    """Bytes of EXIF a file holds unchanged; 0 if the codec writes it anew."""
    holds_icc: bool = True
    holds_grey: bool = True
    """Whether one plane comes back as one plane."""


CODECS: Final[Mapping[str, CodecTraits]] = {
    traits.name: traits
    for traits in (
        CodecTraits(
            name="png",
            pillow_format="PNG",
            extension=".png",
            media_type="image/png",
            lossless=True,
            qualities=None,
            default_quality=None,
            max_side=2**31 - 1,
            max_xmp=2**24,
            max_exif=2**24,
        ),
        CodecTraits(
            name="jpeg",
            pillow_format="JPEG",
            extension=".jpg",
            media_type="image/jpeg",
            lossless=False,
            qualities=range(1, 101),
            default_quality=90,
            chromas=("4:4:4", "4:2:0"),
            max_side=65_500,
            max_xmp=65_504,
            max_exif=65_527,
        ),
        CodecTraits(
            name="webp",
            pillow_format="WEBP",
            extension=".webp",
            media_type="image/webp",
            lossless=True,
            qualities=range(101),
            default_quality=90,
            chromas=("4:2:0",),
            max_side=16_383,
            max_xmp=2**24,
            max_exif=2**24,
            holds_grey=False,
        ),
        CodecTraits(
            name="avif",
            pillow_format="AVIF",
            extension=".avif",
            media_type="image/avif",
            lossless=False,
            qualities=range(101),
            default_quality=80,
            chromas=("4:4:4", "4:2:0"),
            max_side=16_384,
            max_xmp=2**24,
            max_exif=0,
        ),
        CodecTraits(
            name="jxl",
            pillow_format="JXL",
            extension=".jxl",
            media_type="image/jxl",
            lossless=True,
            qualities=range(1, 100),
            default_quality=90,
            max_side=2**30,
            max_xmp=2**24,
            max_exif=2**24,
            holds_icc=False,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """A codec and how it is set."""

    name: CodecName
    quality: int | None = None
    """In the codec's own scale; None for lossless."""
    chroma: Chroma | None = None
    """Of the lossy mode; None where the codec leaves no choice."""
    effort: int | None = None
    """The codec's own scale of speed against size; None for its default."""

    def __post_init__(self) -> None:
        traits = CODECS.get(self.name)
        if traits is None:
            raise UsageError(f"codec {self.name!r}: one of {', '.join(CODECS)}")
        if self.quality is None:
            if not traits.lossless:
                raise UsageError(f"codec {self.name}: it has no lossless mode; give a quality")
            if self.chroma is not None:
                raise UsageError(f"codec {self.name}: chroma {self.chroma} needs a quality")
            return
        if traits.qualities is None:
            raise UsageError(f"codec {self.name}: it is lossless and has no quality")
        if self.quality not in traits.qualities:
            low, high = traits.qualities[0], traits.qualities[-1]
            raise UsageError(f"codec {self.name}: quality {self.quality}: {low} to {high}")
        if self.chroma is not None and self.chroma not in traits.chromas:
            raise UsageError(f"codec {self.name}: chroma {self.chroma}: {traits.chromas}")

    @classmethod
    def parse(cls, text: str, quality: int | None = None) -> CodecSpec:
        """Read `png`, `jpeg`, `jpeg-420`, `webp`, `webp-lossless`, `avif-420`, `jxl-lossless`.

        Args:
            text: The codec, then what is special about it.
            quality: In the codec's own scale; its default if None.

        Raises:
            UsageError: No such codec, or it cannot do that.
        """
        name, _, variant = text.lower().partition("-")
        traits = CODECS.get(name)
        if traits is None:
            raise UsageError(f"codec {text!r}: one of {', '.join(CODECS)}")
        if variant == "lossless" or traits.qualities is None:
            if variant not in ("", "lossless"):
                raise UsageError(f"codec {text!r}: {name} has no variant {variant!r}")
            if quality is not None:
                raise UsageError(f"codec {text!r}: it is lossless and has no quality")
            return cls(traits.name)
        chromas = {chroma.replace(":", ""): chroma for chroma in traits.chromas}
        if variant not in ("", *chromas):
            known = ", ".join(chromas) or "none"
            raise UsageError(f"codec {text!r}: unknown variant {variant!r}; known: {known}")
        chroma = chromas[variant] if variant else next(iter(traits.chromas), None)
        if quality is None:
            quality = traits.default_quality
        return cls(traits.name, quality, chroma)

    def __str__(self) -> str:
        """As `parse` reads it, less the quality."""
        if self.traits.qualities is None:
            return self.name
        if self.quality is None:
            return f"{self.name}-lossless"
        if self.chroma is None or self.chroma == self.traits.chromas[0]:
            return self.name
        return f"{self.name}-{self.chroma.replace(':', '')}"

    @property
    def traits(self) -> CodecTraits:
        """What the codec can do."""
        return CODECS[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileExtras:
    """What is embedded in a file beside the pixels."""

    icc: bytes | None = None
    exif: bytes | None = None
    """TIFF structure. Of a codec that writes EXIF anew, only the orientation is embedded."""
    xmp: bytes | None = None


NO_EXTRAS: Final = FileExtras()


def available() -> tuple[CodecTraits, ...]:
    """The codecs of this installation."""
    formats = available_formats()
    return tuple(traits for traits in CODECS.values() if traits.pillow_format in formats)


def check_available(spec: CodecSpec) -> None:
    """Refuse a codec whose library is not installed.

    Raises:
        CodecUnavailableError: It says what to install.
    """
    if spec.traits.pillow_format not in available_formats():
        install = INSTALL.get(spec.traits.pillow_format)
        hint = f"pip install '{install}'" if install else "install a full build of Pillow"
        raise CodecUnavailableError(f"codec {spec.name} is not installed: {hint}")


def extension(spec: CodecSpec) -> str:
    """The file name extension, with its dot."""
    return spec.traits.extension


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
    check_available(spec)
    _check_fits(pixels, spec, extras)
    samples = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    buffer = io.BytesIO()
    options = _OPTIONS[spec.name](spec, extras)
    try:
        Image.fromarray(np.ascontiguousarray(samples)).save(
            buffer, spec.traits.pillow_format, **options
        )
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
        with open_image(data, max_pixels=max_pixels) as image:
            image.load()
            mode = image.mode
            samples = np.asarray(image)
    except PhotoError as error:
        raise CodecError(f"LR file: {error}") from error
    if mode not in ("L", "RGB"):
        raise CodecError(f"LR file: mode {mode}: expected L or RGB")
    if samples.ndim == 2:
        samples = samples[..., None]
    if channels == 1 and samples.shape[2] == 3:
        samples = samples[..., 1:2]
    return np.ascontiguousarray(samples)


def _check_fits(pixels: U8Array, spec: CodecSpec, extras: FileExtras) -> None:
    traits = spec.traits
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8:
        raise CodecError(f"codec {spec}: cannot encode an array {pixels.shape} {pixels.dtype}")
    if max(pixels.shape[:2]) > traits.max_side:
        raise CodecError(
            f"codec {spec}: {pixels.shape[1]} x {pixels.shape[0]}: at most {traits.max_side} a side"
        )
    if extras.xmp and len(extras.xmp) > traits.max_xmp:
        raise CodecError(
            f"codec {spec}: {len(extras.xmp)} bytes of metadata: at most {traits.max_xmp}"
        )
    if extras.exif and traits.max_exif and len(extras.exif) > traits.max_exif:
        raise CodecError(
            f"codec {spec}: {len(extras.exif)} bytes of EXIF: at most {traits.max_exif}"
        )
    if not traits.holds_icc:
        if extras.icc:
            raise CodecError(f"codec {spec}: its encoder cannot embed a colour profile")
        if exif_block.orientation(extras.exif) != 1:
            raise CodecError(f"codec {spec}: its encoder cannot embed an orientation")


def _png(spec: CodecSpec, extras: FileExtras) -> dict[str, Any]:
    chunks = PngImagePlugin.PngInfo()
    if extras.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", extras.xmp)
    return {
        "icc_profile": extras.icc,
        "exif": extras.exif,
        "pnginfo": chunks,
        "compress_level": 9 if spec.effort is None else spec.effort,
    }


def _jpeg(spec: CodecSpec, extras: FileExtras) -> dict[str, Any]:
    return {
        "quality": spec.quality,
        "subsampling": spec.chroma or "4:4:4",
        "optimize": True,
        "icc_profile": extras.icc,
        "exif": exif_block.PREFIX + extras.exif if extras.exif else b"",
        "xmp": extras.xmp,
    }


def _webp(spec: CodecSpec, extras: FileExtras) -> dict[str, Any]:
    # In the lossless mode Pillow's quality is effort.
    lossless = spec.quality is None
    return {
        "lossless": lossless,
        "quality": 80 if lossless else spec.quality,
        "method": 4 if spec.effort is None else spec.effort,
        "icc_profile": extras.icc,
        "exif": extras.exif or b"",
        "xmp": extras.xmp or b"",
    }


def _avif(spec: CodecSpec, extras: FileExtras) -> dict[str, Any]:
    # Pillow writes EXIF anew here, so only the orientation goes in, which becomes the format's
    # own rotation. One thread, as the tiles, and so the bytes, follow from the number of threads.
    orientation = exif_block.orientation(extras.exif)
    return {
        "quality": spec.quality,
        "subsampling": spec.chroma or "4:4:4",
        "speed": 6 if spec.effort is None else spec.effort,
        "max_threads": 1,
        "icc_profile": extras.icc,
        "exif": exif_block.PREFIX + exif_block.minimal(orientation) if orientation > 1 else b"",
        "xmp": extras.xmp,
    }


def _jxl(spec: CodecSpec, extras: FileExtras) -> dict[str, Any]:
    return {
        "lossless": spec.quality is None,
        "quality": spec.quality,
        "effort": 7 if spec.effort is None else spec.effort,
        "exif": extras.exif or b"",
        "xmp": extras.xmp,
        "use_container": True,
    }


_OPTIONS: Final = {"png": _png, "jpeg": _jpeg, "webp": _webp, "avif": _avif, "jxl": _jxl}


def read_extras(data: bytes) -> FileExtras:
    """What is embedded in an LR file.

    Raises:
        CodecError: The file is damaged.
    """
    try:
        with open_image(data, max_pixels=DEFAULT_MAX_PIXELS) as image:
            info = image.info
            is_jxl = image.format == "JXL"
    except PhotoError as error:
        raise CodecError(f"LR file: {error}") from error
    icc = info.get("icc_profile") or None
    xmp = jxl.xmp(data) if is_jxl else info.get("xmp")
    return FileExtras(
        icc=jxl.stated_profile(icc) if is_jxl else icc,
        exif=exif_block.without_prefix(info.get("exif")),
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
    )


def read_xmp(data: bytes) -> bytes | None:
    """The XMP packet of an LR file, without decoding pixels.

    Raises:
        CodecError: The file is damaged.
    """
    if data.startswith(jxl.CONTAINER_SIGNATURE):
        try:
            return jxl.xmp(data)
        except ValueError as error:
            raise CodecError(f"LR file: {error}") from error
    return read_extras(data).xmp
