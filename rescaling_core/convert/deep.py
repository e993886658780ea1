"""Sources of 16 bits a sample under a floor: their file, its colours coded at 12 bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rescaling_core.convert.search import lowest_enough
from rescaling_core.errors import CodecError, CodecUnavailableError, PhotoError
from rescaling_core.quality.deep import measure_deep
from rescaling_core.quality.scores import Scores
from rescaling_core.repack import DeepPack, DeepPacker, deep_file

if TYPE_CHECKING:
    from rescaling_core.plan import Candidate, Floor
    from rescaling_core.repack import DeepFile


@dataclass(frozen=True, slots=True)
class DeepTrial:
    """A pack at a quality, and how near its colours are to the source's."""

    pack: DeepPack
    quality: int
    scores: Scores


@dataclass(frozen=True, slots=True)
class DeepSearch:
    """What became of a candidate."""

    best: DeepTrial | None
    """The fewest bytes that reach the floor."""
    reason: str = ""
    """Why there is none."""
    nearest: DeepTrial | None = None
    """What was reached at the highest quality that was tried, where the floor was not."""
    tried: int = 0


def search_deep(data: bytes, candidate: Candidate, floor: Floor) -> DeepSearch:
    """Find the lowest quality at which a source's file reaches a floor.

    The floor is held against the source's own samples, at 16 bits.

    Args:
        data: The source.
        candidate: Its qualities and effort.
        floor: What is to be reached.
    """
    try:
        file = deep_file(data)
        packer = DeepPacker(file)
    except (PhotoError, CodecUnavailableError, ValueError) as error:
        return DeepSearch(None, str(error))
    best: DeepTrial | None = None
    nearest: DeepTrial | None = None
    tried = 0

    def slack(quality: int) -> float:
        nonlocal best, nearest, tried
        trial = _trial(file, packer, quality, candidate.codec.effort)
        tried += 1
        found = floor.slack(trial.scores)
        if found >= 0 and (best is None or quality < best.quality):
            best = trial
        elif found < 0 and (nearest is None or quality > nearest.quality):
            nearest = trial
        return found

    given = candidate.codec.quality or 0
    low, high = candidate.qualities or (given, given)
    try:
        lowest_enough(low, high, slack, start=given)
    except (CodecError, CodecUnavailableError) as error:
        return DeepSearch(None, str(error), tried=tried)
    missed = "" if nearest is None else str(floor.misses(nearest.scores))
    return DeepSearch(best, missed, nearest, tried)


def _trial(file: DeepFile, packer: DeepPacker, quality: int, effort: int | None) -> DeepTrial:
    made = packer.pack(quality, effort)
    return DeepTrial(made, quality, Scores(**measure_deep(made.colours, file.colours)))


def at_quality(candidate: Candidate, quality: int) -> Candidate:
    """The candidate with the quality that was found."""
    return replace(candidate, codec=replace(candidate.codec, quality=quality), qualities=None)
