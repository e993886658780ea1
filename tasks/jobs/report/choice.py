"""Which run a report is about, and how much of it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rescaling_core.errors import UsageError
from tasks.catalog import RunRecord

JOBS: Final = ("archive", "backfill")
"""The jobs that make renditions, and so have something to report."""

MOST_SHOWN: Final = 100
"""Most restorations shown in one page; each adds some hundred kB to it."""

_NAMED: Final = 8
"""Most runs that an error message names, the newest first."""


def choose_run(runs: Sequence[RunRecord], run_id: str | None) -> RunRecord:
    """The run asked for, else the latest one that made renditions.

    Args:
        runs: All that are recorded, the earliest first.
        run_id: Of the one wanted; None for the latest.

    Raises:
        UsageError: There is no such run; it names those there are.
    """
    known = [run for run in runs if run.job in JOBS]
    if not known:
        others = Counter(run.job for run in runs)
        listed = ", ".join(f"{count} of {job}" for job, count in sorted(others.items()))
        raise UsageError(
            f"no run to report on: {' or '.join(JOBS)} never ended here"
            f" (recorded runs: {listed or 'none'})"
        )
    if run_id is None:
        return known[-1]
    for run in known:
        if run.run_id == run_id:
            return run
    newest = ", ".join(f"{run.run_id} ({run.job})" for run in reversed(known[-_NAMED:]))
    more = f" and {len(known) - _NAMED} earlier ones" if len(known) > _NAMED else ""
    raise UsageError(
        f"run {run_id!r}: no {' or '.join(JOBS)} run of this id; there are {newest}{more}"
    )


def check_shown(worst: int) -> None:
    """Refuse a number of restorations that no page can hold.

    Raises:
        UsageError: It is below 0 or above `MOST_SHOWN`.
    """
    if not 0 <= worst <= MOST_SHOWN:
        raise UsageError(f"--worst {worst}: 0 to {MOST_SHOWN}")
