"""Targets that archived sources lack: from the source, else from its restoration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from rescaling_core import SOFTWARE
from rescaling_core.convert import Kept, SourceRef, convert
from rescaling_core.errors import RestorationMismatchError
from rescaling_core.photo import Photo, decode_for_preview
from rescaling_core.plan import ArchivePlan, TargetPlan
from tasks.catalog import Archived, CatalogRow
from tasks.cluster.watchdog import WATCHDOG, allowed_seconds
from tasks.collection.shards import Shard, SourceObject
from tasks.control.outcomes import Failure, outcome_of
from tasks.models.loading import Models, use_share_of_cpus
from tasks.renditions.restoring import Renditions
from tasks.renditions.rows import RowWriter
from tasks.renditions.sources import unchanged_source
from tasks.renditions.writing import ShardFiles
from tasks.storage import open_store


@dataclass(frozen=True, slots=True)
class Gap:
    """An archived source that lacks targets."""

    row: Archived
    """One of its archived rows."""
    targets: tuple[str, ...]
    best: Archived | None
    """The row it is best restored from; None if it has previews only."""


@dataclass(frozen=True, slots=True)
class NotFilled:
    """Targets that could not be made for a source, and why. Nothing is recorded of them."""

    source_key: str
    targets: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of some gaps: rows ready to commit."""

    sources: tuple[str, ...]
    """Their keys."""
    shard_id: str
    rows: tuple[CatalogRow, ...]
    failures: tuple[NotFilled, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillJob:
    """What every worker of a run is told once."""

    source_url: str | None
    """None: there are no sources any more."""
    archive_url: str
    plan: ArchivePlan
    run_id: str
    models: Models | None = None
    """Where the plan's networks are found; None for the archive's and what is installed."""


class Backfiller:
    """Holds the stores and the networks for the life of a worker process."""

    def __init__(self, job: BackfillJob) -> None:
        self._job = job
        self._archive = open_store(job.archive_url)
        self._models = job.models or Models(self._archive)
        self._renditions = Renditions(self._archive)
        # Bytes are used only if they have the digest on record, whatever links they lie behind.
        self._source = (
            None if job.source_url is None else open_store(job.source_url, follow_links=True)
        )
        self._plans = {plan.target.name: plan for plan in job.plan.targets}
        use_share_of_cpus()

    def fill(self, gaps: Sequence[Gap]) -> Filled:
        """Make what some sources lack.

        Raises:
            StorageError: A store failed, so that nothing is known of them.
        """
        plan = self._job.plan
        shard_id = Shard.of(
            map(_source_of, gaps), targets=plan.target_names, plan_digest=plan.digest
        ).shard_id
        files = ShardFiles(self._archive, plan)
        rows: list[CatalogRow] = []
        failures: list[NotFilled] = []
        for gap in gaps:
            pixels = gap.row.pixels * len(gap.targets)
            with WATCHDOG.watching(allowed_seconds(pixels)):
                filled = outcome_of(gap.row.source_key, partial(self._fill, gap, shard_id, files))
            if isinstance(filled, Failure):
                failures.append(NotFilled(gap.row.source_key, gap.targets, str(filled)))
            else:
                rows += filled
        keys = tuple(gap.row.source_key for gap in gaps)
        return Filled(keys, shard_id, files.placed(rows), tuple(failures))

    def _fill(self, gap: Gap, shard_id: str, files: ShardFiles) -> list[CatalogRow]:
        record = RowWriter(self._job.run_id, shard_id, _source_of(gap), gap.targets, None)
        record.data = data = unchanged_source(self._source, gap.row)
        plans = [self._plans[name] for name in gap.targets]
        if data is not None:
            photo = decode_for_preview(
                data,
                max_pixels=self._job.plan.max_pixels,
                max_carried=self._job.plan.max_carried,
            )
            return [self._convert(photo, plan, record, gap.row, files) for plan in plans]
        photo = self._restored(gap)
        return [self._convert(photo, plan, record, gap.row, files) for plan in plans]

    def _restored(self, gap: Gap) -> Photo:
        if gap.best is None:
            raise RestorationMismatchError("the unchanged source is gone, and it has previews only")
        return self._renditions.read(gap.best).photo()

    def _convert(
        self,
        photo: Photo,
        plan: TargetPlan,
        record: RowWriter,
        known: Archived,
        files: ShardFiles,
    ) -> CatalogRow:
        """One row; `record.data` is None where the photo is a restored one."""
        source = SourceRef(
            key=known.source_key,
            etag=known.source_etag,
            size=known.source_size,
            sha256=known.source_sha256 or "",
            restored=record.data is None,
        )
        outcome = convert(photo, source, plan, self._models, software=SOFTWARE, data=record.data)
        if isinstance(outcome, Kept):
            kept = record.kept(plan.target.name, outcome.reason, outcome.best)
            return replace(kept, source_sha256=known.source_sha256)
        place = files.put(source.key, outcome)
        row = record.archived(outcome, place)
        return replace(row, source_sha256=known.source_sha256)


def _source_of(gap: Gap) -> SourceObject:
    row = gap.row
    return SourceObject(key=row.source_key, size=row.source_size, etag=row.source_etag)
