"""What became of a source, as catalog rows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from rescaling_core.convert import Rendition, SourceRef
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.quality.scores import MEASURES
from tasks.catalog import Archived, Kept, Quarantined, strategies
from tasks.catalog.place import LrPlace
from tasks.collection.shards import SourceObject


@dataclass(slots=True)
class RowWriter:
    """Writes the rows of one source, one for each target."""

    run_id: str
    shard_id: str
    source: SourceObject
    targets: tuple[str, ...]
    data: bytes | None
    """The source's bytes; None if they could not be had."""
    waited: Callable[[], float] = lambda: 0.0
    """Seconds that were spent waiting for others, all told: they do not count as the source's."""
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self._now()

    @property
    def source_ref(self) -> SourceRef:
        """The source as the core knows it."""
        return SourceRef(
            key=self.source.key,
            etag=self.source.etag,
            size=self.source.size,
            sha256=self._sha256() or "",
        )

    def archived(self, rendition: Rendition, place: LrPlace) -> Archived:
        """A rendition that was restored from its bytes and lies in storage."""
        return Archived(
            **self._common(rendition.target.name),
            **asdict(place),
            metadata_json=rendition.metadata.to_json(),
            strategies_json=strategies.to_json(rendition.rivals),
            **described(rendition.metadata),
        )

    def kept(
        self,
        target: str,
        reason: str,
        best: RestorationMetadata | None = None,
        *,
        depends_on: str | None = None,
    ) -> Kept:
        """The source stays as it is.

        Args:
            target: For which there is no rendition.
            reason: Why.
            best: What was reached, if anything was converted.
            depends_on: The circumstances under which it is so; see `circumstances`.
        """
        reached = {} if best is None else described(best)
        return Kept(**self._common(target), reason=reason, depends_on=depends_on, **reached)

    def quarantined(
        self, reason: str, error_class: str, *, depends_on: str | None = None
    ) -> list[Quarantined]:
        """The source could not be converted to any target."""
        return [
            Quarantined(
                **self._common(target),
                reason=reason,
                error_class=error_class,
                depends_on=depends_on,
            )
            for target in self.targets
        ]

    def _sha256(self) -> str | None:
        return None if self.data is None else hashlib.sha256(self.data).hexdigest()

    def _now(self) -> float:
        return time.monotonic() - self.waited()

    def _common(self, target: str) -> dict[str, Any]:
        """The columns of every row, whatever became of the source."""
        now = self._now()
        seconds, self._since = now - self._since, now
        return {
            "source_key": self.source.key,
            "source_etag": self.source.etag,
            "source_size": self.source.size,
            "source_sha256": self._sha256(),
            "target": target,
            "seconds": seconds,
            "run_id": self.run_id,
            "shard_id": self.shard_id,
        }


def described(metadata: RestorationMetadata) -> dict[str, Any]:
    """The columns that repeat what the restoration metadata hold."""
    return {
        "rescaler": metadata.rescaler,
        "weights_sha256": metadata.weights_sha256,
        "scale": metadata.scale,
        "codec": metadata.codec,
        "quality": metadata.quality,
        **{name: getattr(metadata, name) for name in MEASURES},
        "refinement": metadata.refinement,
        "width": metadata.width,
        "height": metadata.height,
        "mode": metadata.mode,
        "origin": metadata.origin or "source",
    }
