"""Which codec, and how it is set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rescaling_core.codecs.avif import AVIF
from rescaling_core.codecs.jpeg import JPEG
from rescaling_core.codecs.jxl import JXL
from rescaling_core.codecs.png import PNG
from rescaling_core.codecs.traits import Settings
from rescaling_core.codecs.webp import WEBP
from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.codecs.traits import Chroma, Codec, Nudge

_KNOWN: Final = (PNG, JPEG, WEBP, AVIF, JXL)

CODECS: Final[Mapping[str, Codec]] = {codec.name: codec for codec in _KNOWN}
"""All codecs, by what plans call them."""


_FIRST_BYTES: Final = 1024


def codec_of(data: bytes) -> Codec | None:
    """The codec that a file is of, by its first bytes; None if it is of none."""
    return _codec_beginning(data[:_FIRST_BYTES])


@lru_cache(maxsize=64)  # a file is asked about several times in a row
def _codec_beginning(start: bytes) -> Codec | None:
    return next((codec for codec in CODECS.values() if codec.is_file(start)), None)


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """A codec and how it is set."""

    name: str
    quality: int | None = None
    """In the codec's own scale; None for lossless."""
    chroma: Chroma | None = None
    """Of the lossy mode; None for the codec's default."""
    effort: int | None = None
    """In the codec's own scale, more is slower and smaller; None for its default."""
    nudge: Nudge | None = None
    """A part of a step of quality below or above, for codecs that can; None for the quality
    itself. Searches set it, plans do not."""

    def __post_init__(self) -> None:
        codec = _find(self.name)
        if self.quality is None and not codec.lossless:
            raise UsageError(f"codec {self.name}: it has no lossless mode; give a quality")
        if self.quality is not None:
            _check_range(f"codec {self.name}: quality", self.quality, codec.qualities)
        if self.chroma is not None and (self.quality is None or self.chroma not in codec.chromas):
            raise UsageError(f"codec {self.name}: it has no choice of chroma {self.chroma} here")
        if self.nudge is not None and not (codec.nudges and self.quality is not None):
            raise UsageError(f"codec {self.name}: its quality cannot be nudged")
        if self.effort is not None:
            _check_range(f"codec {self.name}: effort", self.effort, codec.efforts)

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
        codec = _find(name)
        if variant == "lossless" or (codec.qualities is None and not variant):
            if quality is not None:
                raise UsageError(f"codec {text}: it is lossless and has no quality")
            return cls(codec.name)
        chromas = {chroma.replace(":", ""): chroma for chroma in codec.chromas}
        if variant not in ("", *chromas):
            known = [f"{name}-{one}" for one in (*chromas, *(["lossless"] * codec.lossless))]
            raise UsageError(f"codec {text!r}: {name} comes as {', '.join([name, *known])}")
        default = codec.chromas[0] if codec.chromas else None
        chroma = chromas.get(variant, default)
        return cls(
            codec.name,
            codec.default_quality if quality is None else quality,
            None if chroma == default else chroma,
        )

    def __str__(self) -> str:
        """As `parse` reads it, less the quality."""
        if self.chroma is not None and self.chroma != self.codec.chromas[0]:
            return f"{self.name}-{self.chroma.replace(':', '')}"
        if self.quality is None and self.codec.qualities is not None:
            return f"{self.name}-lossless"
        return self.name

    @property
    def codec(self) -> Codec:
        """What the codec can do."""
        return CODECS[self.name]

    @property
    def settings(self) -> Settings:
        """How the codec is set, without its name."""
        return Settings(self.quality, self.chroma, self.effort, self.nudge)


def _find(name: str) -> Codec:
    codec = CODECS.get(name)
    if codec is None:
        raise UsageError(f"codec {name!r} is not known; one of {', '.join(CODECS)}")
    return codec


def _check_range(what: str, value: int, allowed: range | None) -> None:
    if not allowed:
        raise UsageError(f"{what} {value}: the codec has no such setting")
    if value not in allowed:
        raise UsageError(f"{what} {value}: {allowed[0]} to {allowed[-1]}")
