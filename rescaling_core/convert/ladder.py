"""Which candidate wins: the fewest bytes among those that reach the floor."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil, inf, isfinite
from typing import TYPE_CHECKING, Final

from rescaling_core import codecs
from rescaling_core.convert.ascent import Attempt, Trials, climb, climb_below, try_once
from rescaling_core.convert.contender import of_qualities, of_residual
from rescaling_core.convert.finish import finish, prove
from rescaling_core.convert.outcome import Kept, Rendition
from rescaling_core.convert.preview import make_preview
from rescaling_core.convert.repacked import repack
from rescaling_core.convert.rivals import NOTHING, Cost, Rivals
from rescaling_core.convert.workbench import Workbench
from rescaling_core.errors import CodecError, NotGivenBackError
from rescaling_core.pixels.tiles import DEFAULT_TILING, Tiling
from rescaling_core.plan import FULL_SIZE, TRANSCODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from rescaling_core.codecs import Encode
    from rescaling_core.codecs.traits import Nudge
    from rescaling_core.convert.ascent import Landing
    from rescaling_core.convert.contender import Contender
    from rescaling_core.convert.forecast import Forecast
    from rescaling_core.convert.outcome import Models, SourceRef
    from rescaling_core.convert.trial import Encoded, Trial
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.plan import Candidate, ResidualPlan, TargetPlan

_FAR_BEHIND: Final = 1.10
"""A forecast so far above the best that was found is not followed up."""
_NUDGED_UP: Final = 0.3
"""Share of a step of quality that a nudge above it may gain; most gain a sixth."""
_NUDGED_DOWN: Final = 0.1
"""Share of a step of quality that a nudge below it costs at least."""
_BEHIND: Final = 1.03
"""The same, once it is known by how much forecasts of the very codec are off for this photo."""


def convert(
    photo: Photo,
    source: SourceRef,
    plan: TargetPlan,
    models: Models,
    *,
    software: str,
    tiling: Tiling = DEFAULT_TILING,
    data: bytes | None = None,
    lane: AbstractContextManager[None] | None = None,
    encode: Encode | None = None,
) -> Rendition | Kept:
    """Make the cheapest rendition that reaches the floor.

    Every candidate is encoded, decoded and restored for real before it is judged, at 8 bits and in
    the source's size. The same input, weights and kind of device give the same bytes.

    Args:
        photo: The decoded source.
        source: Where it came from.
        plan: The target, its candidates and its floor.
        models: Gives the rescalers by their ids.
        software: Name and version to record.
        tiling: How large images are cut; recorded.
        data: The source's bytes; without them no JPEG is transcoded, and no file is packed.
        lane: Held whenever a rescaler works, for callers that convert several photos at once.
        encode: Encodes LR images, full-size ones and residuals; by default `codecs.encode`.

    Returns:
        The rendition with the fewest bytes among those that reach the floor and are smaller than
        the source, else why the source is kept.
    """
    if plan.target.preview_only:
        return make_preview(photo, source, plan, software, encode=encode)
    if photo.made_from is not None:
        return repack(photo, source, plan, software, data=data, encode=encode)
    bench = Workbench(
        photo=photo,
        source=source,
        target=plan.target,
        floor=plan.floor,
        models=models,
        software=software,
        tiling=tiling,
        data=data,
        lane=lane or nullcontext(),
        encode_pixels=encode or codecs.encode,
    )
    rivals = Rivals.of(plan.candidates, source.size)
    ladder = _Ladder(bench=bench, limit=source.size, rivals=rivals)
    ladder.climb(plan.candidates)
    return ladder.outcome()


@dataclass(slots=True, kw_only=True)
class _Ladder:
    """What was found so far."""

    bench: Workbench
    limit: int
    """Bytes: a file of as many or more is of no use, as the source or a better one has fewer."""
    rivals: Rivals
    best: Trial | None = None
    nearest: Trial | None = None
    """Of those that miss the floor, the one of the highest PSNR-Y."""
    tried: int = 0
    smallest_refused: int | None = None
    """Bytes of the smallest file that was not smaller than `limit`, before anything was found."""
    refusals: list[str] = field(default_factory=list)
    """What codecs could not do."""

    bias: dict[str, float] = field(default_factory=dict)
    """By codec: bytes of what was found over bytes foretold."""

    def climb(self, candidates: Sequence[Candidate]) -> None:
        """Try candidates, and note what each would cost.

        Full-size files are foretold and tried first, the smallest before the others: what follows
        then has a limit to beat.
        """
        foretold: list[tuple[Candidate, Contender, Forecast | None]] = []
        others: list[Candidate] = []
        photo = self.bench.photo
        for candidate in candidates:
            if not candidate.serves(photo.format, int(photo.pixels.shape[2])):
                self.rivals.add(candidate.strategy, NOTHING)
            elif candidate.rescaler == FULL_SIZE and candidate.qualities is not None:
                with self._noting_refusals(candidate):
                    contender = of_qualities(candidate, self.bench)
                    foretold.append((candidate, contender, contender.forecast(self.bench)))
            else:
                others.append(candidate)
        foretold.sort(key=lambda one: inf if one[2] is None else one[2].nbytes)
        for candidate, contender, forecast in foretold:
            with self._noting_refusals(candidate):
                cost = self._ascend(contender, forecast)
                self.rivals.add(candidate.strategy, cost)
                for simpler in candidate.simpler:
                    if simpler not in candidates:
                        self._account_for(simpler, cost)
        for candidate in others:
            with self._noting_refusals(candidate):
                self.rivals.add(candidate.strategy, self._cost(candidate))

    def _account_for(self, plain: Candidate, cost: Cost) -> None:
        """What a simpler form would store: more than the other, unless it won itself."""
        won = self.best is not None and self.best.encoded.draft.strategy == plain.strategy
        exact = won and self.limit == cost.nbytes
        self.rivals.add(
            plain.strategy, replace(cost, at_least=cost.nbytes is not None and not exact)
        )

    @contextmanager
    def _noting_refusals(self, candidate: Candidate) -> Iterator[None]:
        try:
            yield
        except CodecError as error:
            self.refusals.append(str(error))
            self.rivals.add(candidate.strategy, NOTHING)

    def _cost(self, candidate: Candidate) -> Cost:
        if candidate.rescaler == TRANSCODE:
            return try_once(Trials(self), self._attempt(self.bench.transcode(candidate)))
        if candidate.residual is not None:
            return self._split(candidate, candidate.residual)
        if candidate.qualities is None:
            attempt = of_qualities(candidate, self.bench).make(candidate.codec)
            return try_once(Trials(self), attempt)
        return self._ascend(of_qualities(candidate, self.bench), None)

    def _attempt(self, encoded: Encoded) -> Attempt:
        return Attempt(encoded, lambda: self.bench.restore(encoded))

    def _split(self, candidate: Candidate, plan: ResidualPlan) -> Cost:
        """Restore the LR image once, then search the quality of what that misses."""
        base = self.bench.encode(replace(candidate, restorer=None))
        if candidate.restorer is not None:
            base = self.bench.behind(base, candidate.restorer)
        if self.is_too_large(base):
            return Cost(len(base.data), at_least=True)
        contender = of_residual(plan, base, self.bench.restore(base), self.bench)
        return self._ascend(contender, contender.forecast(self.bench))

    def _ascend(self, contender: Contender, forecast: Forecast | None) -> Cost:
        """Search a quality, unless the forecast says that it would be in vain."""
        start, slope = contender.start, contender.usual_slope
        codec = f"{contender.spec} {contender.spec.effort}"
        if forecast is not None:
            expected = contender.fixed + forecast.nbytes * self.bias.get(codec, 1.0)
            margin = _FAR_BEHIND if codec not in self.bias else _BEHIND
            if self.best is not None and expected > margin * self.limit:
                return Cost(self.limit, at_least=True)
            start, slope = ceil(forecast.at), forecast.slope
        # A network takes far longer than the codec of its small image, and so do costly measures.
        slow = contender.is_slow or self.bench.floor.is_costly
        search: Callable[..., Landing]
        if self.best is not None:
            search = climb_below if slow else partial(climb, weighing=contender.gain == 0)
        else:
            search = climb
        count = len(contender.steps)
        start = min(max(start, 0), count - 1)
        trials = Trials(self)
        landing = search(trials, contender.attempt, count, start=start, slope=slope)
        cost = landing.cost
        found = None if cost.at_least else cost.nbytes
        if found is not None and forecast is not None and isfinite(forecast.nbytes):
            self.bias[codec] = (found - contender.fixed) / forecast.nbytes
        return self._nudged(contender, landing, trials) if contender.spec.codec.nudges else cost

    def _nudged(self, contender: Contender, landing: Landing, trials: Trials) -> Cost:
        """Try what lies below the step that was found; with a filter also what lies above."""
        step, gap = landing.step, landing.slack - landing.below
        if step is None or not isfinite(gap):
            return landing.cost
        tries: list[tuple[int, Nudge]] = []
        if -landing.below <= _NUDGED_UP * gap:
            tries.append((step - 1, "above"))
        if landing.slack >= _NUDGED_DOWN * gap:
            tries.append((step, "below"))
        found = landing.cost
        if landing.cost.nbytes == self.limit and self._has_filter:  # which takes bytes of its own
            cost = try_once(trials, contender.attempt(step, "above"))
            if cost.is_known:
                found = cost
        for at, nudge in tries:
            cost = try_once(trials, contender.attempt(at, nudge))
            if cost.is_known:
                return cost
        return found

    @property
    def _has_filter(self) -> bool:
        return self.best is not None and self.best.encoded.draft.fitted is not None

    def is_too_large(self, encoded: Encoded) -> bool:
        """Whether it could not win even if it reached the floor; then it is not restored."""
        size = len(encoded.data)
        if size < self.limit:
            return False
        if self.best is None:
            self.smallest_refused = min(size, self.smallest_refused or size)
        return True

    def weigh(self, encoded: Encoded, restored: U8Array) -> float:
        """The slack of a file that cannot win; it is not remembered."""
        self.tried += 1
        return self.bench.measure(encoded, restored).slack(self.bench.floor)

    def judge(self, encoded: Encoded, restored: U8Array) -> float:
        """Measure a trial and remember it if it is the best or the nearest; give its slack."""
        trial = self.bench.measure(encoded, restored)
        self.tried += 1
        if trial.missed(self.bench.floor) is None:
            self.best = trial
            self.limit = len(encoded.data)
        elif self.nearest is None or trial.psnr_y > self.nearest.psnr_y:
            self.nearest = trial
        return trial.slack(self.bench.floor)

    def outcome(self) -> Rendition | Kept:
        """The best rendition, or why there is none."""
        target = self.bench.target
        if self.best is not None:
            final = self.bench.measured(self.best, self.tried)
            finished = finish(target, self.best.encoded, final)
            try:
                prove(finished, self.best.restored, self.bench.photo)
            except NotGivenBackError as error:
                return Kept(target=target, reason=str(error), best=final, tried=self.tried)
            return replace(finished, rivals=self.rivals.all())
        best = None if self.nearest is None else self.bench.measured(self.nearest, self.tried)
        return Kept(target=target, reason=self._why_kept(), best=best, tried=self.tried)

    def _why_kept(self) -> str:
        size = self.bench.source.size
        if self.nearest is not None:
            reason = str(self.nearest.missed(self.bench.floor))
            if self.smallest_refused is None:
                return reason
            return f"{reason}; what is better is not smaller than the source"
        if self.smallest_refused is not None:
            return (
                f"not smaller: the rendition takes {self.smallest_refused} bytes, the source {size}"
            )
        if self.refusals:
            return "; ".join(dict.fromkeys(self.refusals))
        photo = self.bench.photo
        return (
            f"no candidate of the plan serves a source of format {photo.format}, mode {photo.mode}"
        )
