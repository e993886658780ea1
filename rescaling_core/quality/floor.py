"""The quality a restoration must reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Final

from rescaling_core import limits
from rescaling_core.errors import UsageError

_KINDS: Final = ("psnr_y", "ssim_y", "ssimulacra2", "max_abs_error")
_DB_PER_SSIM: Final = 50.0
_DB_PER_POINT: Final = 0.2
_DB_PER_LEVEL: Final = 0.5
"""What a unit of each measure is worth in dB, roughly: only the search for a quality uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The restored quality that must be reached, over the whole image, at 8 bits.

    Another device, or another batch size, may round otherwise. So every measure has to be better
    than asked for by a margin, unless nothing can be rounded: in files that give back every sample.
    A tenth of all samples off by one level moves PSNR-Y by 0.04 dB at 42 dB, SSIM-Y by 0.0004 and
    SSIMULACRA2 by 0.07; the default margins are a little wider.
    """

    psnr_y: float | None = None
    """dB."""
    ssim_y: float | None = None
    """0 to 1."""
    ssimulacra2: float | None = None
    """Up to 100; see `perceptual.ssimulacra2`."""
    max_abs_error: int | None = None
    """Levels of 255, the worst sample."""
    margin_db: float = 0.05
    """dB, of `psnr_y`."""
    margin_ssim: float = 0.0005
    """Of `ssim_y`."""
    margin_ssimulacra2: float = 0.1
    """Points, of `ssimulacra2`."""
    margin_levels: int = 1
    """Levels, of `max_abs_error`."""

    def __post_init__(self) -> None:
        if not 0 <= self.margin_db <= 10:
            raise UsageError(f"floor.margin_db = {self.margin_db:g}: 0 to 10 dB")
        if not 0 <= self.margin_ssim <= 0.1:
            raise UsageError(f"floor.margin_ssim = {self.margin_ssim:g}: 0 to 0.1")
        if not 0 <= self.margin_ssimulacra2 <= 10:
            raise UsageError(f"floor.margin_ssimulacra2 = {self.margin_ssimulacra2:g}: 0 to 10")
        if not 0 <= self.margin_levels <= 16:
            raise UsageError(f"floor.margin_levels = {self.margin_levels}: 0 to 16 levels")
        if self.psnr_y is not None and not 0 < self.psnr_y <= 100:
            raise UsageError(f"floor.psnr_y = {self.psnr_y:g}: a value in dB above 0, at most 100")
        if self.ssim_y is not None and not 0 < self.ssim_y <= 1:
            raise UsageError(f"floor.ssim_y = {self.ssim_y:g}: a value above 0, at most 1")
        if self.ssimulacra2 is not None and not 0 < self.ssimulacra2 <= 100:
            raise UsageError(
                f"floor.ssimulacra2 = {self.ssimulacra2:g}: a value above 0, at most 100"
            )
        if self.max_abs_error is not None and not 0 <= self.max_abs_error <= 255:
            raise UsageError(f"floor.max_abs_error = {self.max_abs_error}: 0 to 255 levels")

    @classmethod
    def parse(cls, texts: tuple[str, ...]) -> Floor:
        """Read `psnr_y=34`, `ssim_y=0.95`, `ssimulacra2=70`, `max_abs_error=8`.

        Raises:
            UsageError: An unknown measure or a value that is not a number.
        """
        values: dict[str, float] = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in _KINDS:
                raise UsageError(f"floor {text!r}: one of {', '.join(f'{k}=…' for k in _KINDS)}")
            try:
                values[name] = float(value)
            except ValueError:
                raise UsageError(f"floor {text!r}: {value!r} is not a number") from None
            if not limits.finite(values[name]):
                raise UsageError(f"floor {text!r}: {value!r} is not a finite number")
        limit = values.get("max_abs_error")
        return cls(
            psnr_y=values.get("psnr_y"),
            ssim_y=values.get("ssim_y"),
            ssimulacra2=values.get("ssimulacra2"),
            max_abs_error=None if limit is None else int(limit),
        )

    def without_margins(self) -> Floor:
        """What is promised, rather than what has to be measured to be sure of it."""
        return replace(
            self, margin_db=0.0, margin_ssim=0.0, margin_ssimulacra2=0.0, margin_levels=0
        )

    def misses(
        self,
        *,
        psnr_y: float,
        ssim_y: float | None,
        max_abs_error: int | None,
        ssimulacra2: float | None = None,
        exact: bool = False,
    ) -> str | None:
        """Say which measure falls short, or None if all reach the floor.

        Args:
            psnr_y: dB.
            ssim_y: None, like the others, if it was not measured: a floor under it is then missed.
            max_abs_error: Levels.
            ssimulacra2: Points.
            exact: The file gives back every sample, so that no margin is needed.
        """
        values = (psnr_y, ssim_y, ssimulacra2, max_abs_error)
        bare = self.without_margins()
        floor = bare if exact else self
        for name, value in zip(_KINDS, values, strict=True):
            if floor._slack(name, value) >= 0:
                continue
            if value is None:
                return f"{name} was not measured, and there is a floor under it"
            return self._shortfall(name, value, within_margin=bare._slack(name, value) >= 0)
        return None

    def slack(
        self,
        *,
        psnr_y: float,
        ssim_y: float | None,
        max_abs_error: int | None,
        ssimulacra2: float | None = None,
        exact: bool = False,
    ) -> float:
        """How far above the floor, in dB or about; below 0 exactly where `misses` says so.

        What was not measured counts only where nothing that was measured falls short already.
        """
        values = (psnr_y, ssim_y, ssimulacra2, max_abs_error)
        floor = self.without_margins() if exact else self
        slacks = [floor._slack(name, value) for name, value in zip(_KINDS, values, strict=True)]
        measured = min(one for one, value in zip(slacks, values, strict=True) if value is not None)
        return measured if measured < 0 else min(slacks)

    def _slack(self, name: str, value: float | None) -> float:
        """Of one measure, in dB or so; infinite if nothing is asked of it."""
        wanted: float | None = getattr(self, name)
        if wanted is None:
            return inf
        if value is None:
            return -inf
        if name == "max_abs_error":
            return _DB_PER_LEVEL * (wanted - self.margin_levels - value)
        margin, worth = {
            "psnr_y": (self.margin_db, 1.0),
            "ssim_y": (self.margin_ssim, _DB_PER_SSIM),
            "ssimulacra2": (self.margin_ssimulacra2, _DB_PER_POINT),
        }[name]
        return worth * (value - (wanted + margin))

    def _shortfall(self, name: str, value: float, *, within_margin: bool) -> str:
        def over(unit: str) -> str:
            return f" and its margin of {unit}" if within_margin else ""

        if name == "psnr_y":
            margin = over(f"{self.margin_db:g} dB")
            return f"PSNR-Y {value:.2f} dB is below the floor of {self.psnr_y:g} dB{margin}"
        if name == "ssim_y":
            margin = over(f"{self.margin_ssim:g}")
            return f"SSIM-Y {value:.4f} is below the floor of {self.ssim_y:g}{margin}"
        if name == "ssimulacra2":
            margin = over(f"{self.margin_ssimulacra2:g}")
            return f"SSIMULACRA2 {value:.2f} is below the floor of {self.ssimulacra2:g}{margin}"
        margin = over(f"{self.margin_levels} level{'s' if self.margin_levels > 1 else ''}")
        return f"largest error {value} is above the floor of {self.max_abs_error}{margin}"

    @property
    def is_open(self) -> bool:
        """Whether nothing is asked for."""
        return all(getattr(self, name) is None for name in _KINDS)


NO_FLOOR: Final = Floor()
"""Whatever is reached is enough."""
