"""What a measure of quality is: how it is computed, written down, and asked for by a floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.pixels.arrays import U8Array

_ROUNDS: Final = 100
"""Steps of an iteration that gains a tenth at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One way to say how near a restored picture is to its source.

    To add one, write a module with its function and its `Measure`, and add it to `Scores`.
    """

    name: str
    """What plans, records and the catalog call it: the name of its field in `Scores`."""
    title: str
    """What pages and messages call it."""
    unit: str = ""
    compute: Callable[[U8Array, U8Array], float]
    """Measures a restored picture, (H, W, C) of 0-255, against its source of the same shape."""
    best: float
    """What two equal pictures measure; infinite where the measure has no upper end."""
    lowest: float
    """The lowest value that a floor may ask for; of a measure whose higher values are better, a
    floor has to be above it, as everything reaches it."""
    highest: float
    """The highest value that a floor may ask for. Reports draw from `lowest` to here."""
    digits: int = 2
    """Digits behind the point that are shown of a measured value."""
    higher_is_better: bool = True
    whole: bool = False
    """Whether its values are whole numbers."""
    costly: bool = False
    """Whether it takes longer than all else that is measured. Such a measure is taken only where a
    floor asks for it; every other one is taken of every rendition."""
    compared: bool = False
    """Whether `refold evaluate --rd` compares the sizes of files at equal values of it."""
    number: int
    """Its field in the compact record of an LR file; see docs/formats.md. Never used again."""
    margin_name: str
    """The field of a floor that says by how much the floor has to be exceeded."""
    margin: float | Callable[[float], float]
    """By how much a floor has to be exceeded unless a plan says otherwise: a number, or one for
    each floor, rising with it. About what is lost where another device rounds a tenth of all
    samples otherwise."""
    most_margin: float
    """The largest margin that a plan may state."""
    worth_db: float
    """What a unit of it is worth in dB, roughly. Only the search for a quality uses it."""

    @property
    def label(self) -> str:
        """Title and unit, as axes are labelled."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def with_unit(self, value: float) -> str:
        """A value as a floor states it, such as `34 dB`."""
        return f"{value:g} {self.unit}".rstrip()

    def text(self, value: float) -> str:
        """A measured value, such as `34.21 dB`."""
        return f"{value:.{self.digits}f} {self.unit}".rstrip()

    def slack(self, value: float, floor: float, margin: float) -> float:
        """How much better a value is than a floor and its margin, in dB or about.

        Args:
            value: What was measured.
            floor: What has to be reached.
            margin: By how much; 0 or more.
        """
        if self.higher_is_better:
            return self.worth_db * (value - (floor + margin))
        return self.worth_db * (floor - margin - value)

    def shortfall(self, value: float, floor: float, within: float | None) -> str:
        """Say that a value misses a floor.

        Args:
            value: What was measured.
            floor: What had to be reached.
            within: The margin, where the floor alone would have been reached.
        """
        side = "below" if self.higher_is_better else "above"
        margin = "" if within is None else f" and its margin of {self.with_unit(within)}"
        wanted = f"the floor of {self.with_unit(floor)}{margin}"
        return f"{self.title} {self.text(value)} is {side} {wanted}"

    def check_floor(self, value: float) -> None:
        """Refuse a floor that nothing can reach, or that everything does.

        Raises:
            UsageError: It says what is allowed.
        """
        above = self.lowest < value if self.higher_is_better else self.lowest <= value
        if above and value <= self.highest:
            return
        unit = f" in {self.unit}" if self.unit else ""
        lowest = f"above {self.lowest:g}" if self.higher_is_better else f"{self.lowest:g} or more"
        raise UsageError(
            f"floor.{self.name} = {value:g}: a value{unit} {lowest}, at most {self.highest:g}"
        )

    def margin_at(self, floor: float) -> float:
        """By how much a floor has to be exceeded unless a plan says otherwise."""
        margin = self.margin(floor) if callable(self.margin) else self.margin
        return min(margin, self.most_margin)

    def check_margin(self, value: float) -> None:
        """Refuse a margin that is not one.

        Raises:
            UsageError: It says what is allowed.
        """
        if not 0 <= value <= self.most_margin:
            most = self.with_unit(self.most_margin)
            raise UsageError(f"floor.{self.margin_name} = {value:g}: 0 to {most}")

    def floor_below(self, value: float) -> float | None:
        """The floor that a measured value reaches with the usual margin to spare.

        Returns:
            None where a floor cannot ask for so little.
        """
        sign = 1 if self.higher_is_better else -1
        floor = value
        for _ in range(_ROUNDS):  # until floor and margin add up to the value
            floor = value - sign * self.margin_at(floor)
        if self.higher_is_better:
            floor = min(self.highest, floor)
            return floor if floor > self.lowest else None
        floor = max(self.lowest, floor)
        return floor if floor <= self.highest else None
