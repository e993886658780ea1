"""A candidate whose quality is to be searched, and how it is tried: in earnest or in haste."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from rescaling_core.convert.ascent import FITTED, RESTORED, Attempt, Plain
from rescaling_core.convert.forecast import Glimpse, foretell
from rescaling_core.convert.search import USUAL_SLOPE
from rescaling_core.plan import FULL_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.codecs import CodecSpec
    from rescaling_core.codecs.traits import Nudge
    from rescaling_core.convert.forecast import Forecast
    from rescaling_core.convert.trial import Encoded
    from rescaling_core.convert.workbench import Workbench
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.plan import Candidate, ResidualPlan


@dataclass(frozen=True, slots=True)
class Contender:
    """A candidate at all its steps of quality."""

    spec: CodecSpec
    """The codec whose quality is searched; its own quality is where the search starts."""
    steps: tuple[int, ...]
    """Qualities that differ from one another, the lowest first."""
    make: Callable[[CodecSpec], Attempt]
    fixed: int = 0
    """Bytes that the file has at any quality, where they weigh: those of an LR image that a
    residual is added to."""
    is_slow: bool = False
    """Whether restoring takes far longer than encoding."""
    gain: float = 0.0
    """dB that a forecast leaves out: what a restorer or a fitted filter adds."""
    optimism: float = 1.0
    """By how much its forecasts fall short of the bytes it takes in the end, beside those of
    full-size files of the same codec."""

    def attempt(self, step: int, nudge: Nudge | None = None) -> Attempt:
        """Make the file of a step."""
        return self.make(replace(self.spec, quality=self.steps[step], nudge=nudge))

    @property
    def start(self) -> int:
        """The step to try first, where nothing is known."""
        quality = self.spec.quality
        if quality is None:
            return len(self.steps) // 2
        return min(range(len(self.steps)), key=lambda step: abs(self.steps[step] - quality))

    @property
    def usual_slope(self) -> float:
        """What a step usually gains, in dB."""
        return USUAL_SLOPE * (self.steps[-1] - self.steps[0] + 1) / len(self.steps)

    def forecast(self, bench: Workbench) -> Forecast | None:
        """Foretell where it reaches the floor; None if the codec has no setting that is faster."""
        quick = self.spec.codec.quick
        if quick is None or (self.spec.effort is not None and self.spec.effort <= quick.effort):
            return None
        hasty = replace(self.spec, effort=quick.effort)

        def glance(step: int) -> Glimpse:
            attempt = self.make(replace(hasty, quality=self.steps[step]))
            plain = attempt.plain
            if plain is None:
                trial = bench.measure(attempt.encoded, attempt.restore())
            else:
                trial = bench.measure(plain.encoded, plain.restored)
            return Glimpse(trial.slack(bench.floor), attempt.nbytes - self.fixed)

        beside = quick.in_earnest(self.spec.effort)
        found = foretell(len(self.steps), glance, beside, start=self.start, slope=self.usual_slope)
        at = found.at - self.gain / found.slope
        return replace(found, at=at, nbytes=self.optimism * found.nbytes)


_RESIDUAL: Final = 1.05
"""Over 34 pictures of four sets, the nine residuals that were searched took 0.2 to 17 % more than
was foretold, 6 % on average."""


def of_qualities(candidate: Candidate, bench: Workbench) -> Contender:
    """A candidate whose own quality is searched."""
    low, high = candidate.qualities or (0, 0)

    name = candidate.restorer

    full = candidate.rescaler == FULL_SIZE

    fits = candidate.filter == "fitted"

    def make(spec: CodecSpec) -> Attempt:
        plain = bench.encode(replace(candidate, codec=spec, restorer=None))
        restored = None if name is None else bench.with_restorer(plain, name)
        file = plain if restored is None else restored
        beside = Plain(plain, plain.pixels) if full and restored is not None else None
        fit = partial(bench.with_fitted, file) if fits else None
        return Attempt(file, lambda: bench.restore(file), plain=beside, fit=fit)

    codec = candidate.codec
    slow = not full
    gain = RESTORED if full and name is not None else FITTED if fits else 0.0
    return Contender(codec, codec.codec.steps(low, high), make, is_slow=slow, gain=gain)


def of_residual(
    plan: ResidualPlan, base: Encoded, restored: U8Array, bench: Workbench
) -> Contender:
    """A candidate whose residual's quality is searched.

    Args:
        plan: The residual.
        base: The LR image, encoded.
        restored: What is restored from it.
        bench: What it is made with.
    """

    def make(spec: CodecSpec) -> Attempt:
        plain = bench.add_residual(base, restored, spec, luma=plan.luma)
        filtered = bench.with_filter(plain.encoded)
        if filtered is None:
            return Attempt(plain.encoded, lambda: plain.restored)
        return Attempt(
            filtered, lambda: bench.filtered(filtered, restored, plain.restored), plain=plain
        )

    steps = plan.codec.codec.steps(*plan.qualities)
    gain = RESTORED if bench.filters(base) else 0.0
    fixed = len(base.data)
    return Contender(plan.codec, steps, make, fixed=fixed, gain=gain, optimism=_RESIDUAL)
