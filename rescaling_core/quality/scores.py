"""The table of all measures, which is also what a restoration scored by each of them.

Floors, trials, comparisons, the record in LR files, the columns of the catalog, reports and
evaluations all take their measures from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from rescaling_core.quality.perceptual import SSIMULACRA2
from rescaling_core.quality.pixel_measures import MAX_ABS_ERROR, PSNR_Y, SSIM_Y

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.quality.measure import Measure


def _of(measure: Measure) -> Any:
    """A field for what is measured, or asked for, by a measure; None where it is not."""
    return field(default=None, metadata={"measure": measure})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One value for each measure; None where it was not measured."""

    psnr_y: float | None = _of(PSNR_Y)
    ssim_y: float | None = _of(SSIM_Y)
    ssimulacra2: float | None = _of(SSIMULACRA2)
    max_abs_error: int | None = _of(MAX_ABS_ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Scores):
    """Scores that have to be reached, and by how much they have to be exceeded.

    A margin that is None is the measure's own.
    """

    margin_db: float | None = None
    margin_ssim: float | None = None
    margin_ssimulacra2: float | None = None
    margin_levels: int | None = None


MEASURES: Final[Mapping[str, Measure]] = {
    one.name: one.metadata["measure"] for one in fields(Scores)
}
"""By the name of their field, in the order they are looked at."""


def measure_all(restored: U8Array, source: U8Array, measures: Iterable[Measure]) -> dict[str, Any]:
    """Measure a restored picture.

    Args:
        restored: (H, W, C).
        source: What it should be, of the same shape.
        measures: Which ones to take.

    Returns:
        The values by the names of their measures.
    """
    return {one.name: one.compute(restored, source) for one in measures}


def usual(*, and_of: Iterable[Scores] = ()) -> list[Measure]:
    """The measures that are taken of every rendition.

    Args:
        and_of: Floors, whose costly measures are taken as well.
    """
    asked = list(and_of)
    return [
        measure
        for name, measure in MEASURES.items()
        if not measure.costly or any(getattr(one, name) is not None for one in asked)
    ]


def known(scores: Scores) -> Iterator[tuple[Measure, float]]:
    """The measures that have a value, and the value."""
    for name, measure in MEASURES.items():
        value: float | None = getattr(scores, name)
        if value is not None:
            yield measure, value


def names_in_order(record: type) -> list[str]:
    """The fields of a dataclass: its own in the order it states them, then those of its bases.

    A measure that is added later is then the last of a record's fields, where files and tables that
    were written before lack it.
    """
    own = {name: place for place, name in enumerate(record.__annotations__)}
    names = [one.name for one in fields(record)]
    return sorted(names, key=lambda name: own.get(name, len(own)))
