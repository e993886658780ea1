"""The best weights of a run so far, which are the ones that it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rescaling_core.training.trainer import StepReport
    from tasks.jobs.train.folder import RunFolder


def keep_best(
    folder: RunFolder,
    measure: str,
    facts: Mapping[str, Any],
    write: Callable[[dict[str, Any], Any], object],
) -> Callable[[StepReport, Any], None]:
    """A listener of a run that writes the weights whenever they are the best so far.

    Args:
        folder: Of the run; the step that the listener is told of is its last record.
        measure: Name of the value by which one quality is better than another.
        facts: Of the run, for the card.
        write: Is given the facts, with minutes and steps so far, and the quality.
    """

    def keep(report: StepReport, quality: Any) -> None:
        if quality is None:
            return
        *earlier, last = folder.records()
        best = best_of(earlier, measure)
        if best is None or getattr(quality, measure) > best[measure]:
            minutes = round(last["seconds"] / 60, 1)
            write({**facts, "minutes": minutes, "iterations": report.step}, quality)

    return keep


def best_of(records: Iterable[Mapping[str, Any]], measure: str) -> dict[str, Any] | None:
    """What was measured of the best weights of a run; None where nothing was measured.

    Args:
        records: Of the run.
        measure: See `keep_best`.
    """
    measured: Iterable[dict[str, Any]] = (r["validation"] for r in records if "validation" in r)
    return max(measured, key=lambda values: float(values[measure]), default=None)
