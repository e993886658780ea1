"""What a photograph is once decoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rescaling_core.containers import exif as exif_block

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U8Array

MODES: Final = {"L": (1, False), "LA": (1, True), "RGB": (3, False), "RGBA": (3, True)}
"""The modes that go through the networks: planes of colour, and whether there is alpha."""


TOO_DEEP: Final = "the networks carry 8-bit grey and RGB only"
"""Why other samples are kept."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Bytes of a source that are not understood, carried as they are."""

    name: str
    """What they are called in the source's format: `APP11`, `box uuid`, `trailer`."""
    offset: int | None
    """Where they begin in the source; None where that was not recorded."""
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegTraits:
    """How a JPEG source was written."""

    quantisation: tuple[tuple[int, ...], ...]
    """Tables of 64 values, in natural (not zigzag) order."""
    subsampling: str | None
    """`4:4:4`, `4:2:2` or `4:2:0`; None where there is no chroma or it is sampled otherwise."""
    progressive: bool
    segments: bytes = b""
    """APPn and COM segments not read into a field of `Photo` or `Traits`, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What else of a source must come back, by the container it came from."""

    jpeg: JpegTraits | None = None
    iptc: bytes | None = None
    """IPTC-IIM records of a TIFF; those of a JPEG lie in its segments."""
    png_chunks: tuple[tuple[str, bytes], ...] = ()
    """(type, data) of ancillary PNG chunks not read into a field of `Photo`, in file order."""
    trailer: bytes = b""
    """What follows the end of a JPEG, as older releases recorded it; now it is in `foreign`."""
    foreign: tuple[Foreign, ...] = ()
    """What of the source is not understood, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A decoded source: pixels plus what travels with them."""

    pixels: U8Array
    """(H, W, C), C = 1 (grey) or 3 (RGB), as stored: the orientation is not applied."""
    alpha: U8Array | None = None
    """(H, W), not premultiplied."""
    mode: str
    """Pillow's mode of the source: one of `MODES`."""
    format: str
    """Pillow's name of the source's format, such as `JPEG`."""
    icc: bytes | None = None
    exif: bytes | None = None
    """TIFF structure, without the `Exif` prefix some formats put before it."""
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    traits: Traits = field(default_factory=Traits)
    made_from: str | None = None
    """What of the source this is, where it is not all of it: then it can be shown, but nothing can
    be restored from it. See `rescaling_core.photo.shown`."""

    def __post_init__(self) -> None:
        planes, has_alpha = MODES[self.mode]
        if self.pixels.ndim != 3 or self.pixels.shape[2] != planes:
            raise ValueError(f"pixels {self.pixels.shape} are not of mode {self.mode}")
        if (self.alpha is not None) != has_alpha:
            raise ValueError(f"mode {self.mode}: alpha is {'missing' if has_alpha else 'set'}")

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[1])

    @property
    def orientation(self) -> int:
        """The EXIF orientation, 1 to 8; 1 where none is stated or it makes no sense."""
        return exif_block.orientation(self.exif)


@dataclass(frozen=True, slots=True)
class Reduced:
    """A source of which only smaller pictures are made, with no more pixels than they need."""

    photo: Photo
    """All that travels with it; its pixels are those at 1 / `divisor` of the sides."""
    width: int
    """Of the source."""
    height: int
    """Of the source."""
    divisor: int = 1
    """Where it is not 1, the last column and row of the pixels may reach beyond the source's."""

    @classmethod
    def whole(cls, photo: Photo) -> Reduced:
        """A photo with all of its pixels."""
        return cls(photo, photo.width, photo.height)
