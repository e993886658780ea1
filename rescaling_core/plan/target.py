"""What a target is: one output asked for of every source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

from rescaling_core.errors import UsageError
from rescaling_core.plan.strategy import FULL_SIZE as FULL_SIZE
from rescaling_core.plan.strategy import TRANSCODE as TRANSCODE
from rescaling_core.quality.floor import Floor as Floor  # parts of plans: importable from here

_SCALE = re.compile(r"x([0-9]{1,9}(?:\.[0-9]{1,18})?)")


_LONG_EDGE = re.compile(r"long-edge=([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Target:
    """One output asked for. Exactly one of the two fields is set."""

    scale: float | None = None
    """HR side divided by LR side, 1 or above. Set for renditions that can be restored."""
    long_edge: int | None = None
    """Longer LR side in pixels. Set for previews, which cannot be restored."""

    def __post_init__(self) -> None:
        if (self.scale is None) == (self.long_edge is None):
            raise UsageError("target: give either a scale or a long edge")
        if self.scale is not None and not (isfinite(self.scale) and self.scale >= 1):
            raise UsageError(f"target {self.name}: a scale is 1 or above, such as x2")
        if self.long_edge is not None and self.long_edge < 1:
            raise UsageError(f"target {self.name}: the long edge is at least 1 pixel")

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `x2`, `x1.5` or `long-edge=256`.

        Raises:
            UsageError: It is neither.
        """
        if match := _SCALE.fullmatch(text):
            return cls(scale=float(match[1]))
        if match := _LONG_EDGE.fullmatch(text):
            return cls(long_edge=int(match[1]))
        raise UsageError(
            f"target {text!r:.80}: expected a scale such as x2 or x1.5, or long-edge=256"
        )

    @property
    def name(self) -> str:
        """As `parse` reads it, and as the catalog and the storage layout write it."""
        if self.scale is not None:
            return f"x{self.scale:g}"
        return f"long-edge={self.long_edge}"

    @property
    def preview_only(self) -> bool:
        """Whether nothing can be restored from it."""
        return self.scale is None

    def preview_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the preview: never larger than the source, no side under 1."""
        if self.long_edge is None:
            raise ValueError(f"{self.name} is not a preview")
        ratio = min(1.0, self.long_edge / max(width, height))
        return max(1, round(width * ratio)), max(1, round(height * ratio))
