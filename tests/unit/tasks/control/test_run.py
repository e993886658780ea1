"""The frame of a run: what steps return is added up, logged and accounted for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from tasks.cluster.workers import Lost
from tasks.control import progress
from tasks.control.progress import Progress
from tasks.control.record import Counts
from tasks.control.run import Run, batches_of, one_by_one, results_of
from tasks.control.tally import Tally


@dataclass(frozen=True)
class Trouble:
    key: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Tally):
    seen: int = 0
    stay_because: Counter[str] = field(default_factory=Counter)
    failures: tuple[Trouble, ...] = ()

    @property
    def done(self) -> int:
        return self.seen

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        return self.failures

    @property
    def counts(self) -> Counts:
        return Counts(listed=self.seen)


def test_tallies_add_up_field_by_field_and_are_told_in_words() -> None:
    failed = Trouble("a.png", "no image")
    one = Told(seen=2, stay_because=Counter(young=1), failures=(failed,))
    two = Told(seen=3, stay_because=Counter(young=1, kept=2))
    assert one + two == Told(seen=5, stay_because=Counter(young=2, kept=2), failures=(failed,))
    assert one == Told(seen=2, stay_because=Counter(young=1), failures=(failed,)), "unchanged"
    assert (one + two).words() == {
        "seen": 5,
        "stay because: young": 2,
        "stay because: kept": 2,
        "failures": 1,
    }


def test_a_tally_that_does_not_say_what_it_counts_is_none() -> None:
    class Silent(Tally):
        pass

    with pytest.raises(TypeError, match="counts"):
        Silent()  # type: ignore[abstract]


def test_a_run_counts_its_waves_and_tells_how_far_it_has_come() -> None:
    run = Run("look", Told(), {})
    events: list[Progress] = []
    with progress.listening(events.append):
        for wave in run.waves(range(5), cut=5, at_least=2, total=5):
            seen = Told(seen=len(wave.items))
            wave.report("check", seen.done)
            run.add(seen)
    assert run.tally == Told(seen=5)
    assert [(event.done, event.total) for event in events] == [(2, 5), (4, 5), (5, 5)]


def test_every_wave_leaves_a_line_and_every_trouble_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = Run("look", Told(), {})
    with caplog.at_level(logging.INFO, "refold"):
        for wave in run.waves("abc", cut=3, at_least=2):
            failures = (Trouble("b.png", "no image"),) if "b" in wave.items else ()
            run.add(Told(seen=len(wave.items), failures=failures))
        run.add(Told(seen=1), "afterwards")
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in told] == ["INFO", "WARNING", "INFO", "INFO"]
    assert told[0][1].startswith("look wave 1: seen=2 failures=1 seconds=")
    assert told[1][1] == "look: key=b.png reason=no image"
    assert told[2][1].startswith("look wave 2: seen=1 ")
    assert told[3][1].startswith("look afterwards: seen=1 ")


class Deadly:
    """Workers that one item kills."""

    def run(self, jobs: Iterable[Sequence[str]]) -> Iterator[str | Lost]:
        for job in jobs:
            yield Lost(job, "died") if "poison" in job else "+".join(job)


def test_a_batch_that_kills_its_workers_is_tried_item_by_item() -> None:
    items = ["a", "b", "poison", "c", "d"]
    results = list(results_of(Deadly(), batches_of(items, 2), one_by_one))
    assert results == ["a+b", "d", Lost(["poison"], "died"), "c"]
