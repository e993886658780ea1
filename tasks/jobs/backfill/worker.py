"""Targets that archived sources lack: from the source, else from its restoration."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from rescaling_core import SOFTWARE
from rescaling_core.convert import Kept, SourceRef, convert
from rescaling_core.errors import RestorationMismatchError
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.photo import Photo, decode_photo
from rescaling_core.plan import ArchivePlan, TargetPlan
from rescaling_core.restore import restore
from tasks.catalog import CatalogRow
from tasks.collection.shards import Shard, SourceObject
from tasks.control.outcomes import Failure, outcome_of
from tasks.models.loading import Models, use_share_of_cpus
from tasks.renditions.layout import rendition_key
from tasks.renditions.pixels import pixel_limit
from tasks.renditions.rows import RowWriter
from tasks.storage import ObjectNotFoundError, open_store


@dataclass(frozen=True, slots=True)
class Gap:
    """An archived source that lacks targets."""

    row: CatalogRow
    """One of its archived rows."""
    targets: tuple[str, ...]
    best: CatalogRow | None
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
        self._max_pixels = pixel_limit(self._archive)
        self._source = None if job.source_url is None else open_store(job.source_url)
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
        rows: list[CatalogRow] = []
        failures: list[NotFilled] = []
        for gap in gaps:
            filled = outcome_of(gap.row.source_key, partial(self._fill, gap, shard_id))
            if isinstance(filled, Failure):
                failures.append(NotFilled(gap.row.source_key, gap.targets, str(filled)))
            else:
                rows += filled
        keys = tuple(gap.row.source_key for gap in gaps)
        return Filled(keys, shard_id, tuple(rows), tuple(failures))

    def _fill(self, gap: Gap, shard_id: str) -> list[CatalogRow]:
        record = RowWriter(self._job.run_id, shard_id, _source_of(gap), gap.targets, None)
        record.data = data = self._source_bytes(gap.row)
        plans = [self._plans[name] for name in gap.targets]
        if data is not None:
            photo = decode_photo(
                data,
                max_pixels=self._job.plan.max_pixels,
                max_carried=self._job.plan.max_carried,
            )
            return [self._convert(photo, plan, record, gap.row) for plan in plans]
        photo = self._restored(gap)
        return [self._convert(photo, plan, record, gap.row) for plan in plans]

    def _source_bytes(self, row: CatalogRow) -> bytes | None:
        """The source as it was archived; None if it is gone or has changed."""
        if self._source is None:
            return None
        try:
            if self._source.info(row.source_key).etag != row.source_etag:
                return None
            data = self._source.get(row.source_key)
        except ObjectNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == row.source_sha256 else None

    def _restored(self, gap: Gap) -> Photo:
        if gap.best is None:
            raise RestorationMismatchError("the unchanged source is gone, and it has previews only")
        lr_data = self._archive.get(gap.best.lr_key or "")
        if hashlib.sha256(lr_data).hexdigest() != gap.best.lr_sha256:
            raise RestorationMismatchError(f"{gap.best.lr_key}: its bytes are not those archived")
        recorded = RestorationMetadata.from_json(gap.best.metadata_json or "")
        return restore(lr_data, self._models, recorded=recorded, max_pixels=self._max_pixels)

    def _convert(
        self, photo: Photo, plan: TargetPlan, record: RowWriter, known: CatalogRow
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
            row = record.kept(plan.target.name, outcome.reason, outcome.best)
        else:
            digest = hashlib.sha256(outcome.lr_data).hexdigest()
            key = rendition_key(plan.target.name, source.key, digest, outcome.extension)
            if not self._archive.put_new(key, outcome.lr_data):
                self._archive.put(key, outcome.lr_data)  # young again: `maintain` lets it be
            row = record.archived(outcome, key, digest)
        return replace(row, source_sha256=known.source_sha256)


def _source_of(gap: Gap) -> SourceObject:
    row = gap.row
    return SourceObject(key=row.source_key, size=row.source_size, etag=row.source_etag)
