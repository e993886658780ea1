"""What an owner asks for: targets, candidates, floors, limits. Validated before any work."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.photo import DEFAULT_MAX_CARRIED, MOST_CARRIED
from rescaling_core.plan.strategy import AS_STORED
from rescaling_core.plan.strategy import FULL_SIZE as FULL_SIZE
from rescaling_core.plan.strategy import TRANSCODE as TRANSCODE
from rescaling_core.quality.floor import NO_FLOOR
from rescaling_core.quality.floor import Floor as Floor  # parts of plans: importable from here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.plan.candidate import (
        Candidate,
    )
    from rescaling_core.plan.target import Target

DEFAULT_MAX_PIXELS: Final = 200_000_000
"""Width × height above which a source counts as a decompression bomb."""

PREVIEW_RESCALER: Final = "lanczos"
"""What previews are made with: a plain filter, nothing to restore from."""

DEFAULT_PREVIEW_CODEC: Final = CodecSpec("webp", 80)


StoredAs = Literal["objects", "packs"]
"""Whether each LR file of a target is an object of its own, or those of a shard lie in packs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlan:
    """How one target is made."""

    target: Target
    candidates: tuple[Candidate, ...]
    floor: Floor = NO_FLOOR
    store: StoredAs | None = None
    """How its LR files are stored; None where that is left to the archive and the collection."""

    def __post_init__(self) -> None:
        if not self.candidates:
            raise UsageError(f"target {self.target.name}: no candidate")
        if self.floor.is_open and any(candidate.is_open for candidate in self.candidates):
            raise UsageError(
                f"target {self.target.name}: a quality is to be searched, but no floor is set"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePlan:
    """All that decides what a run makes of a source."""

    targets: tuple[TargetPlan, ...]
    max_pixels: int = DEFAULT_MAX_PIXELS
    max_carried: int = DEFAULT_MAX_CARRIED
    """Bytes beside its picture (metadata, and what is not understood) above which a source is
    kept."""

    def __post_init__(self) -> None:
        names = [plan.target.name for plan in self.targets]
        if not names:
            raise UsageError("plan: at least one target is needed")
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise UsageError(f"plan: target {', '.join(sorted(duplicates))} is given twice")
        if self.max_pixels < 1:
            raise UsageError(f"plan: max_pixels = {self.max_pixels}: at least 1")
        if not 0 <= self.max_carried <= MOST_CARRIED:
            raise UsageError(
                f"plan: max_carried = {self.max_carried}: 0 to {MOST_CARRIED} bytes, as more "
                "would not be read back"
            )

    @property
    def target_names(self) -> tuple[str, ...]:
        """As the catalog writes them."""
        return tuple(plan.target.name for plan in self.targets)

    @property
    def rescalers(self) -> tuple[str, ...]:
        """Ids of those that any candidate needs, previews aside."""
        plans = [plan for plan in self.targets if not plan.target.preview_only]
        ids = {candidate.rescaler for plan in plans for candidate in plan.candidates}
        return tuple(sorted(ids - set(AS_STORED)))

    @property
    def restorers(self) -> tuple[str, ...]:
        """Ids of those that any candidate names."""
        candidates = (one for target in self.targets for one in target.candidates)
        return tuple(sorted({one.restorer for one in candidates if one.restorer is not None}))

    def renamed(self, ids: Mapping[str, str]) -> ArchivePlan:
        """The same plan with other names for its networks: ids in place of paths and URLs.

        Args:
            ids: From what a candidate calls its rescaler or restorer to what it is to be called.
        """
        targets = tuple(
            replace(
                target,
                candidates=tuple(
                    replace(
                        one,
                        rescaler=ids.get(one.rescaler, one.rescaler),
                        restorer=ids.get(one.restorer or "", one.restorer),
                    )
                    for one in target.candidates
                ),
            )
            for target in self.targets
        )
        return replace(self, targets=targets)

    @property
    def digest(self) -> str:
        """SHA-256 of everything above: equal plans, equal digests."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
