"""What every codec states about itself, and what a file holds beside pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from rescaling_core.containers import exif, headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rescaling_core.containers.layout import Layout
    from rescaling_core.pixels.arrays import U8Array

Chroma = Literal["4:4:4", "4:2:0"]
Nudge = Literal["below", "above"]

ANY_SIZE: Final = 2**24
"""Bytes: more than any metadata need, and what a reader may be asked to hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileExtras:
    """What is embedded in a file beside the pixels."""

    icc: bytes | None = None
    exif: bytes | None = None
    """TIFF structure. Where the codec rewrites EXIF, only the orientation is embedded."""
    xmp: bytes | None = None


NO_EXTRAS: Final = FileExtras()


@dataclass(frozen=True, slots=True)
class Settings:
    """How a codec is set, in its own scales. `CodecSpec` has checked them."""

    quality: int | None = None
    """None for lossless."""
    chroma: Chroma | None = None
    """Chroma sampling of the lossy mode; None for the codec's default."""
    effort: int | None = None
    """More is slower and smaller; None for the codec's default."""
    nudge: Nudge | None = None
    """A part of a step of quality below or above; None for the quality itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    """How a codec is asked cheaply what a quality would give, before it is asked in earnest."""

    effort: int
    """One that takes a fraction of the default's time."""
    shift: float
    """Steps of quality by which the same PSNR-Y is reached higher at the default effort."""
    ratio: float
    """Bytes at the default effort over bytes at this one, at the same PSNR-Y."""
    usual: int = 0
    """The default effort."""
    shift_per_effort: float = 0.0
    """What every effort above the default adds to `shift`."""
    ratio_per_effort: float = 1.0
    """What every effort above the default multiplies `ratio` by."""

    def in_earnest(self, effort: int | None) -> Quick:
        """The same beside another effort than the default."""
        more = 0 if effort is None else effort - self.usual
        return replace(
            self,
            shift=self.shift + more * self.shift_per_effort,
            ratio=self.ratio * self.ratio_per_effort**more,
        )


def all_differ(quality: int) -> bool:
    """Of a codec whose every quality gives another file."""
    del quality
    return True


def of_format(name: str) -> Callable[[bytes], bool]:
    """Tells a codec's files by their first bytes.

    Args:
        name: What `headers.identify` calls their format.
    """
    return lambda data: headers.identify(data) == name


def embedded(data: bytes, info: Mapping[Any, Any]) -> FileExtras:
    """What a file holds beside its pixels, where Pillow tells it."""
    del data
    xmp = info.get("xmp")
    return FileExtras(
        icc=info.get("icc_profile") or None,
        exif=exif.without_prefix(info.get("exif")),
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """What a codec can do, how Pillow is asked to do it, and what its files look like.

    To add one, write a module with its `Codec`, and add that to `CODECS`.
    """

    name: str
    """What plans call it. What is special about it follows after a hyphen, as in `jpeg-420`."""
    pillow_format: str
    install: str | None = None
    """The package to install where Pillow lacks it; None if a full build of Pillow has it."""
    is_file: Callable[[bytes], bool]
    """Whether bytes are a file of this codec, by how they begin."""
    layout: Layout
    """Where restoration metadata and residuals lie in its files."""
    numbers: Mapping[str, int]
    """For every way to write it, such as `jpeg` and `jpeg-420`, the number in the compact record of
    an LR file; see docs/formats.md. Never used again."""
    embedded: Callable[[bytes, Mapping[Any, Any]], FileExtras] = embedded
    """Reads what a file holds beside its pixels; it is given the file and Pillow's `info`."""
    pixels: Callable[[bytes], U8Array | None] | None = None
    """Decodes a sound still picture of mode RGB faster than Pillow does, to the same (H, W, 3).
    It is None, or gives None, if only Pillow can, and may raise anything if the file is damaged."""
    xmp: Callable[[bytes], bytes | None] | None = None
    """Reads the XMP packet of a file without opening it as an image; None if only Pillow can.
    It raises `ValueError` if the file is damaged."""
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
    efforts: range
    """Its own scale of effort: of speed against size."""
    max_side: int
    """Pixels."""
    max_xmp: int = ANY_SIZE
    """Bytes of XMP that a file can hold."""
    max_exif: int = ANY_SIZE
    """Bytes of EXIF that a file holds unchanged; 0 if the codec rewrites it."""
    holds_icc: bool = True
    """Whether a colour profile and an orientation can be embedded. If not, one that says sRGB is
    left out, as viewers assume it, and any other is refused."""
    holds_grey: bool = True
    """Whether one plane comes back as one plane, not as three equal ones."""
    turned_by_browsers: bool = True
    """Whether browsers heed the orientation that is embedded."""
    quick: Quick | None = None
    """None: the default effort is fast enough."""
    differs_from_below: Callable[[int], bool] = all_differ
    """Whether a quality gives another file than the next lower one. A codec may have fewer
    quantisers than qualities."""
    nudges: bool = False
    """Whether a quality can be nudged by a part of a step."""
    options: Callable[[Settings, FileExtras], dict[str, Any]]
    """Arguments of Pillow's `save`."""
    grey_options: Mapping[str, Any] = field(default_factory=dict)
    """What replaces some of them for one plane."""

    def steps(self, low: int, high: int) -> tuple[int, ...]:
        """Those of the qualities from `low` to `high` that give files of their own."""
        above = range(low + 1, high + 1)
        return (low, *(quality for quality in above if self.differs_from_below(quality)))
