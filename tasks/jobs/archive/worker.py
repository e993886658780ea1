"""Converting a shard: read, decode, convert, write. What happens inside a worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from rescaling_core import SOFTWARE
from rescaling_core.codecs import Encode
from rescaling_core.convert import Kept, Previews, Rendition, convert, least_side
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.metadata import names_restoration
from rescaling_core.photo import (
    Photo,
    Reduced,
    decode_photo,
    decode_reduced,
    decode_shown,
    shown_pixels,
    stated_pixels,
)
from rescaling_core.plan import PACKED, ArchivePlan, TargetPlan
from tasks.catalog import CatalogRow
from tasks.cluster.watchdog import WATCHDOG, allowed_seconds
from tasks.collection.shards import Shard, SourceObject
from tasks.control import tracing
from tasks.control.outcomes import Failure, outcome_of
from tasks.jobs.archive.concurrency import Headroom, NetworkLane, at_once
from tasks.jobs.archive.reading import READS_AHEAD, read_ahead
from tasks.jobs.archive.refused import refused_rows
from tasks.jobs.archive.telemetry import WorkerMetrics
from tasks.models.loading import Models, use_share_of_cpus
from tasks.renditions import circumstances
from tasks.renditions.rows import RowWriter
from tasks.renditions.writing import ShardFiles
from tasks.storage import UnstorableKeyError, open_store

PIXELS_OF_A_PHOTO = 24_000_000
"""For each of the photos under way, what they may have together; a larger one goes alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionJob:
    """What every worker of a run is told once."""

    source_url: str
    archive_url: str
    plan: ArchivePlan
    run_id: str
    models: Models | None = None
    """Where the plan's networks are found; None for the archive's and what is installed."""
    asked: ArchivePlan | None = None
    """The plan before its networks were settled on: what is kept by it is tried again by another.
    None if that is `plan`."""
    photos_at_once: int = 1
    """Photos of a worker under way together: while one is on the network, others are decoded,
    encoded, written."""
    follow_links: bool = False
    """Whether links of the collection are followed."""
    include_renditions: bool = False
    """Whether LR files that Refold made are taken as sources."""
    trace: tracing.Carrier = field(default_factory=dict)
    """The trace of the run; empty if there is none."""
    encoders: Encode | None = None
    """CPUs set aside for encoding; None: workers encode themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """What became of a shard: rows ready to commit."""

    shard: Shard
    rows: tuple[CatalogRow, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Turn:
    """A source while it is converted, and the files of its shard."""

    record: RowWriter
    files: ShardFiles
    trace: tracing.Carrier


class ShardConverter:
    """Holds the stores and the networks for the life of a worker process."""

    def __init__(self, job: ConversionJob) -> None:
        self._job = job
        self._source = open_store(job.source_url, follow_links=job.follow_links)
        self._archive = open_store(job.archive_url)
        self._models = job.models or Models(self._archive)
        self._depends_on = {
            target.target.name: circumstances.conversion(target)
            for target in (job.asked or job.plan).targets
        }
        self._metrics = WorkerMetrics()
        self._lane = NetworkLane(self._metrics)
        self._headroom = Headroom(job.photos_at_once * PIXELS_OF_A_PHOTO)
        use_share_of_cpus()
        for rescaler in job.plan.rescalers:  # now, not while the first source waits
            self._models(rescaler)

    def convert(self, shard: Shard) -> ShardResult:
        """Convert every source of a shard and write the LR objects.

        Nothing is committed here: the rows count once the caller has committed them.
        What goes wrong with a source becomes its rows.

        Raises:
            StorageError: A store failed: the whole shard is to be tried again.
        """
        started = time.monotonic()
        number = len(shard.sources)
        with tracing.part_of(
            self._job.trace, "shard", shard=shard.shard_id, sources=number
        ) as trace:
            rows = self._rows(shard, trace)
        if trace:
            tracing.flush()
        return ShardResult(shard=shard, rows=rows, seconds=time.monotonic() - started)

    def _rows(self, shard: Shard, trace: tracing.Carrier) -> tuple[CatalogRow, ...]:
        files = ShardFiles(self._archive, self._job.plan)

        def rows_of(read: tuple[SourceObject, bytes | Failure]) -> Sequence[CatalogRow]:
            with tracing.part_of(trace, "photo", source=read[0].key) as photo:
                return rows_inside(read, photo)

        def rows_inside(
            read: tuple[SourceObject, bytes | Failure], photo: tracing.Carrier
        ) -> Sequence[CatalogRow]:
            source, found = read
            data = None if isinstance(found, Failure) else found
            record = RowWriter(
                self._job.run_id,
                shard.shard_id,
                source,
                self._job.plan.target_names,
                data,
                self._lane.waited,
            )
            turn = _Turn(record, files, photo)
            made: Sequence[CatalogRow] | Failure = (
                found
                if isinstance(found, Failure)
                else outcome_of(source.key, partial(self._convert_source, turn, found))
            )
            # One picture that does not come back as measured must not cost its neighbours theirs.
            rows = refused_rows(made, record, self._job.plan) if isinstance(made, Failure) else made
            self._metrics.finished(data, rows)
            return rows

        with ThreadPoolExecutor(max_workers=READS_AHEAD) as pool:
            ahead = read_ahead(pool, self._source, shard.sources, self._metrics.waiting, trace)
            made = at_once(rows_of, ahead, self._job.photos_at_once)
            return files.placed(chain.from_iterable(made))

    def _pixels_to_be(self, data: bytes) -> int:
        """How many will be decoded: none of what is refused by its header."""
        pixels = stated_pixels(data) or shown_pixels(data) or 0
        return pixels if pixels <= self._job.plan.max_pixels else 0

    def _convert_source(self, turn: _Turn, data: bytes) -> Sequence[CatalogRow]:
        """One row for each target.

        Raises:
            Exception: Whatever this source's bytes can make a decoder or a codec raise.
        """
        plan, record = self._job.plan, turn.record
        if len(data) != record.source.size:
            listed = record.source.size
            reason = f"listed with {listed} bytes, read {len(data)}: it is being changed"
            return record.quarantined(reason, "SourceChanged")
        if not self._job.include_renditions and names_restoration(data):
            reason = "it is a rendition that Refold made: --include-renditions takes it as a source"
            return [record.kept(name, reason) for name in plan.target_names]
        pixels = self._pixels_to_be(data)
        limit = allowed_seconds(pixels, at_once=self._job.photos_at_once)
        with self._headroom.taken(pixels), WATCHDOG.watching(limit):
            try:
                with tracing.part_of(turn.trace, "decode", bytes=len(data), pixels=pixels):
                    decoded = self._decode(data)
            except UnsupportedImageError as error:
                return self._only_shown(turn, data, str(error))
            if isinstance(decoded, Photo):
                return [self._convert_target(decoded, one, turn) for one in plan.targets]
            return self._previews(decoded, turn)

    def _decode(self, data: bytes) -> Photo | Reduced:
        """The photo; with no more pixels than they need where only previews are made."""
        plan = self._job.plan
        if not all(target.target.preview_only for target in plan.targets):
            return decode_photo(data, max_pixels=plan.max_pixels, max_carried=plan.max_carried)
        return decode_reduced(
            data,
            least_side(target.target for target in plan.targets),
            max_pixels=plan.max_pixels,
            max_carried=plan.max_carried,
        )

    def _previews(self, reduced: Reduced, turn: _Turn) -> Sequence[CatalogRow]:
        """One row for each target, all of which are previews."""
        plan = self._job.plan
        previews = Previews(reduced, [target.target for target in plan.targets])
        rows = []
        for target in plan.targets:
            with tracing.part_of(turn.trace, "convert", target=target.target.name):
                outcome = previews.make(
                    turn.record.source_ref, target, SOFTWARE, encode=self._job.encoders
                )
            rows.append(self._row(outcome, target, turn))
        return rows

    def _only_shown(self, turn: _Turn, data: bytes, reason: str) -> Sequence[CatalogRow]:
        """Previews of what cannot be restored; for other targets it is kept."""
        plan, here = self._job.plan, circumstances.opening()
        photo: Photo | None = None
        why_not = reason
        if any(map(_is_shown, plan.targets)):
            try:
                photo = decode_shown(data, max_pixels=plan.max_pixels, reason=reason)
            except UnsupportedImageError as error:
                why_not = reason if str(error) == reason else f"{reason}; no preview: {error}"
        return [
            turn.record.kept(
                target.target.name,
                why_not if _is_shown(target) else reason,
                depends_on=here,
            )
            if photo is None or not _is_shown(target)
            else self._convert_target(photo, target, turn)
            for target in plan.targets
        ]

    def _convert_target(self, photo: Photo, plan: TargetPlan, turn: _Turn) -> CatalogRow:
        with tracing.part_of(turn.trace, "convert", target=plan.target.name):
            outcome = convert(
                photo,
                turn.record.source_ref,
                plan,
                self._models,
                software=SOFTWARE,
                data=turn.record.data,
                lane=self._lane,
                encode=self._job.encoders,
            )
        return self._row(outcome, plan, turn)

    def _row(self, outcome: Rendition | Kept, plan: TargetPlan, turn: _Turn) -> CatalogRow:
        """Store a rendition; the row of what came of a target."""
        record = turn.record
        if isinstance(outcome, Kept):
            return record.kept(
                plan.target.name,
                outcome.reason,
                outcome.best,
                depends_on=self._depends_on[plan.target.name],
            )
        try:
            with tracing.part_of(turn.trace, "write", target=plan.target.name):
                place = turn.files.put(record.source_ref.key, outcome)
        except UnstorableKeyError as error:
            return record.kept(plan.target.name, str(error), outcome.metadata)
        return record.archived(outcome, place)


def _is_shown(plan: TargetPlan) -> bool:
    """Whether a target is made of sources that no photo can be made of without loss."""
    return plan.target.preview_only or any(one.rescaler in PACKED for one in plan.candidates)
