"""Making a damaged rendition again from a source that is still what it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from rescaling_core import SOFTWARE
from rescaling_core.convert import Kept, convert
from rescaling_core.convert.again import plan_like
from rescaling_core.errors import RefoldError
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.photo import MOST_CARRIED, decode_for_preview, decode_photo
from rescaling_core.plan import PACKED
from tasks.catalog import Archived
from tasks.cluster.watchdog import WATCHDOG, allowed_seconds
from tasks.collection.shards import SourceObject
from tasks.control.outcomes import Failure, outcome_of
from tasks.models.archived import needs_weights, put_model
from tasks.models.lookup import Models
from tasks.renditions.files import stored_lr
from tasks.renditions.rows import RowWriter
from tasks.renditions.sources import source_as_archived
from tasks.renditions.writing import put_rendition
from tasks.storage import open_store


@dataclass(frozen=True, slots=True)
class NotRepaired:
    """A damaged rendition that could not be made again, and why."""

    source_key: str
    target: str
    lr_key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """A rendition that was made again and stored; its row is still to be committed."""

    row: Archived
    damaged_lr_key: str


class Repairer:
    """Holds the stores and the networks for the life of a worker process."""

    def __init__(self, source_url: str, archive_url: str, run_id: str) -> None:
        # Bytes are used only if they have the digest on record, whatever links they lie behind.
        self._source = open_store(source_url, follow_links=True)
        self._archive = open_store(archive_url)
        self._run_id = run_id

    def repair(self, row: Archived) -> Repaired | NotRepaired:
        """Convert the source again as it was converted; what goes wrong comes back as a value.

        Raises:
            StorageError: A store failed, so that nothing is known of it.
        """
        with WATCHDOG.watching(allowed_seconds(row.pixels)):
            made = outcome_of(row.source_key, partial(self._repair, row))
        if isinstance(made, Failure):
            return NotRepaired(row.source_key, row.target, row.lr_key, str(made))
        return Repaired(made, row.lr_key)

    def _models_of(self, recorded: RestorationMetadata) -> Models:
        """The very weights it was made with, which the archive then holds."""
        name, digest = recorded.rescaler, recorded.weights_sha256
        models = Models(self._archive, {name: digest})
        if needs_weights(digest):
            put_model(self._archive, models.find(name, digest))
        return models

    def _repair(self, row: Archived) -> Archived:
        name = f"{row.source_key} at {row.target}"
        data = source_as_archived(self._source, row)
        recorded = row.recorded
        source = SourceObject(key=row.source_key, size=row.source_size, etag=row.source_etag)
        record = RowWriter(self._run_id, row.shard_id, source, (row.target,), data)
        shown = recorded.is_preview or recorded.rescaler in PACKED
        decode = decode_for_preview if shown else decode_photo
        photo = decode(data, max_pixels=recorded.width * recorded.height, max_carried=MOST_CARRIED)
        outcome = convert(
            photo,
            record.source_ref,
            plan_like(recorded),
            self._models_of(recorded),
            software=SOFTWARE,
            data=data,
        )
        if isinstance(outcome, Kept):
            raise RefoldError(f"{name}: made again, it is worse than recorded: {outcome.reason}")
        # Over the damaged object, if that has the name of the new one.
        stored = put_rendition(self._archive, row.source_key, outcome, replace=True)
        if stored_lr(self._archive, stored) != outcome.lr_data:
            raise RefoldError(f"{name}: the store does not give back what was written")
        made = record.archived(outcome, stored)
        # Only what won was tried again: what the others would have stored is known from before.
        return replace(made, strategies_json=row.strategies_json)
