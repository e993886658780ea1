"""Which candidate wins: the fewest bytes among those that reach the floor."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from rescaling_core.convert.finish import finish
from rescaling_core.convert.outcome import Kept, Rendition
from rescaling_core.convert.preview import make_preview
from rescaling_core.convert.search import lowest_enough
from rescaling_core.convert.workbench import Trial, Workbench
from rescaling_core.errors import CodecError
from rescaling_core.plan import TRANSCODE
from rescaling_core.rescale import DEFAULT_TILING, Tiling

if TYPE_CHECKING:
    from rescaling_core.arrays import U8Array
    from rescaling_core.convert.outcome import Models, SourceRef
    from rescaling_core.convert.workbench import Encoded
    from rescaling_core.photo import Photo
    from rescaling_core.plan import Candidate, ResidualPlan, TargetPlan


def convert(
    photo: Photo,
    source: SourceRef,
    plan: TargetPlan,
    models: Models,
    *,
    software: str,
    tiling: Tiling = DEFAULT_TILING,
    data: bytes | None = None,
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
        data: The source's bytes; without them no JPEG is transcoded.

    Returns:
        The rendition with the fewest bytes among those that reach the floor and are smaller than
        the source, else why the source is kept.
    """
    if plan.target.preview_only:
        return make_preview(photo, source, plan, software)
    bench = Workbench(
        photo=photo,
        source=source,
        target=plan.target,
        floor=plan.floor,
        models=models,
        software=software,
        tiling=tiling,
        data=data,
    )
    ladder = _Ladder(bench=bench, limit=source.size)
    for candidate in plan.candidates:
        if candidate.serves(photo.format):
            ladder.climb(candidate)
    return ladder.outcome()


@dataclass(slots=True, kw_only=True)
class _Ladder:
    """What was found so far."""

    bench: Workbench
    limit: int
    """Bytes: a file of as many or more is of no use, as the source or a better one has fewer."""
    best: Trial | None = None
    nearest: Trial | None = None
    """Of those that miss the floor, the one of the highest PSNR-Y."""
    tried: int = 0
    smallest_refused: int | None = None
    """Bytes of the smallest file that was not smaller than `limit`, before anything was found."""
    refusals: list[str] = field(default_factory=list)
    """What codecs could not do."""

    def climb(self, candidate: Candidate) -> None:
        """Try a candidate, at as many qualities as it takes."""
        try:
            if candidate.rescaler == TRANSCODE:
                encoded = self.bench.transcode(candidate)
                if not self._is_too_large(encoded):
                    self._offer(encoded)
            elif candidate.residual is not None:
                self._split(candidate, candidate.residual)
            elif candidate.qualities is not None:
                codec = candidate.codec
                low, high = candidate.qualities
                lowest_enough(
                    low,
                    high,
                    lambda q: self._try(replace(candidate, codec=replace(codec, quality=q))),
                    start=codec.quality,
                )
            else:
                self._try(candidate)
        except CodecError as error:
            self.refusals.append(str(error))

    def _try(self, candidate: Candidate) -> float:
        encoded = self.bench.encode(candidate)
        return inf if self._is_too_large(encoded) else self._offer(encoded)

    def _split(self, candidate: Candidate, plan: ResidualPlan) -> None:
        """Restore the LR image once, then search the quality of what that misses."""
        base = self.bench.encode(candidate)
        if self._is_too_large(base):
            return
        restored = self.bench.restore(base)

        def slack(quality: int) -> float:
            spec = replace(plan.codec, quality=quality)
            encoded, total = self.bench.add_residual(base, restored, spec)
            return inf if self._is_too_large(encoded) else self._judge(encoded, total)

        lowest_enough(*plan.qualities, slack, start=plan.codec.quality)

    def _is_too_large(self, encoded: Encoded) -> bool:
        """Whether it could not win even if it reached the floor; then it is not restored."""
        size = len(encoded.data)
        if size < self.limit:
            return False
        if self.best is None:
            self.smallest_refused = min(size, self.smallest_refused or size)
        return True

    def _offer(self, encoded: Encoded) -> float:
        return self._judge(encoded, self.bench.restore(encoded))

    def _judge(self, encoded: Encoded, restored: U8Array) -> float:
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
            return finish(target, self.best.encoded, final)
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
        return f"no candidate of the plan serves a source of format {self.bench.photo.format}"
