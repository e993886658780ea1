"""The quality a restoration must reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any, Final

from rescaling_core import limits
from rescaling_core.errors import UsageError
from rescaling_core.quality.scores import MEASURES, Scores, Wanted, known

if TYPE_CHECKING:
    from rescaling_core.quality.measure import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor(Wanted):
    """The restored quality that must be reached, over the whole image, at 8 bits.

    Another device, or another batch size, may round otherwise. So every measure has to be better
    than asked for by a margin, unless nothing can be rounded: in files that give back every sample.
    """

    def __post_init__(self) -> None:
        for measure in MEASURES.values():
            if (margin := self._stated_margin(measure)) is not None:
                measure.check_margin(margin)
        for measure, wanted in known(self):
            measure.check_floor(wanted)

    @classmethod
    def parse(cls, texts: tuple[str, ...]) -> Floor:
        """Read `psnr_y=34`, `ssim_y=0.95`, `ssimulacra2=70`, `max_abs_error=8`.

        Raises:
            UsageError: An unknown measure or a value that is not a number.
        """
        values: dict[str, Any] = {}
        for text in texts:
            name, _, value = text.partition("=")
            measure = MEASURES.get(name)
            if measure is None:
                raise UsageError(f"floor {text!r}: one of {', '.join(f'{k}=…' for k in MEASURES)}")
            try:
                number = float(value)
            except ValueError:
                raise UsageError(f"floor {text!r}: {value!r} is not a number") from None
            if not limits.finite(number):
                raise UsageError(f"floor {text!r}: {value!r} is not a finite number")
            values[name] = int(number) if measure.whole else number
        return cls(**values)

    def margin(self, measure: Measure, wanted: float) -> float:
        """By how much the value that is asked of a measure has to be exceeded."""
        stated = self._stated_margin(measure)
        return measure.margin_at(wanted) if stated is None else stated

    def _stated_margin(self, measure: Measure) -> float | None:
        margin: float | None = getattr(self, measure.margin_name)
        return margin

    def without_margins(self) -> Floor:
        """What is promised, rather than what has to be measured to be sure of it."""
        none: dict[str, Any] = dict.fromkeys((one.margin_name for one in MEASURES.values()), 0)
        return replace(self, **none)

    def misses(self, scores: Scores, *, exact: bool = False) -> str | None:
        """Say which measure falls short, or None if all reach the floor.

        Args:
            scores: What was measured. A floor under what was not measured is missed.
            exact: The file gives back every sample, so that no margin is needed.
        """
        for measure, wanted in known(self):
            value: float | None = getattr(scores, measure.name)
            if value is None:
                return f"{measure.name} was not measured, and there is a floor under it"
            margin = 0.0 if exact else self.margin(measure, wanted)
            if measure.slack(value, wanted, margin) < 0:
                reached = measure.slack(value, wanted, 0.0) >= 0
                return measure.shortfall(value, wanted, margin if reached else None)
        return None

    def slack(self, scores: Scores, *, exact: bool = False) -> float:
        """How far above the floor, in dB or about; below 0 exactly where `misses` says so.

        What was not measured counts only where nothing that was measured falls short already.
        """
        so_far = self.slack_so_far(scores, exact=exact)
        missing = any(getattr(scores, one.name) is None for one, _ in known(self))
        return -inf if missing and so_far >= 0 else so_far

    def slack_so_far(self, scores: Scores, *, exact: bool = False) -> float:
        """The same, from what was measured alone; infinite where nothing of it is asked for."""
        slacks = [
            measure.slack(value, wanted, 0.0 if exact else self.margin(measure, wanted))
            for measure, wanted in known(self)
            if (value := getattr(scores, measure.name)) is not None
        ]
        return min(slacks, default=inf)

    @property
    def is_open(self) -> bool:
        """Whether nothing is asked for."""
        return not any(True for _ in known(self))

    @property
    def is_costly(self) -> bool:
        """Whether a measure is asked for that takes longer than everything else."""
        return any(measure.costly for measure, _ in known(self))


NO_FLOOR: Final = Floor()
"""Whatever is reached is enough."""
