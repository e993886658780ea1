"""Restoring from storage and comparing with the source. What a worker of `retire` does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from rescaling_core.convert.again import floor_like
from rescaling_core.errors import CodecError, NotGivenBackError, RefoldError
from rescaling_core.photo import (
    MOST_CARRIED,
    Photo,
    decode_for_preview,
    decode_photo,
    prove_given_back,
    restored_file,
)
from rescaling_core.plan import DEEP, PACKED, REPACK, Floor
from rescaling_core.quality.comparison import Comparison, compare
from rescaling_core.quality.deep import compare_deep
from rescaling_core.quality.scores import MEASURES
from rescaling_core.repack import same_file
from tasks.catalog import Archived
from tasks.catalog.history import History
from tasks.catalog.journal import Proof
from tasks.cluster.watchdog import WATCHDOG, allowed_seconds
from tasks.collection.shards import SourceObject
from tasks.control.outcomes import Failure, outcome_of
from tasks.models.archived import missing_models
from tasks.models.loading import use_share_of_cpus
from tasks.renditions.inspection import inspect_stored
from tasks.renditions.restoring import Renditions
from tasks.renditions.sources import SourceChangedError, source_as_archived
from tasks.storage import ObjectColdError, ObjectNotFoundError, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That a source can be restored from what is stored; to be proven."""

    source: SourceObject
    rows: tuple[Archived, ...]
    """All of its renditions, previews too."""
    floors: tuple[tuple[str, Floor], ...] = ()
    """(target, floor) of the runs that made them, as far as known: each must reach its own."""
    floor: Floor = field(default_factory=Floor)
    """What the best of them must reach besides."""


@dataclass(frozen=True, slots=True)
class Proven:
    """It can."""

    source: SourceObject
    sha256: str
    """Of the source, read just now."""
    proofs: tuple[Proof, ...]


@dataclass(frozen=True, slots=True)
class Unproven:
    """It cannot, or not as it was measured; the source stays."""

    source_key: str
    reason: str
    is_cold: bool = False
    """Whether that is since the source itself lies in a cold class, from which nothing is read."""


class Verifier:
    """Holds the stores and the networks for the life of a worker process."""

    def __init__(self, source_url: str, archive_url: str) -> None:
        self._source = open_store(source_url)
        self._archive = open_store(archive_url)
        self._renditions = Renditions(self._archive)
        self._sound: set[str | None] = set()
        """Digests of networks that were read and found sound: once is enough for a run."""
        use_share_of_cpus()

    def verify(self, claim: Claim) -> Proven | Unproven:
        """Read every rendition, restore all that can be, and compare with the source.

        Raises:
            StorageError: A store failed, so that nothing is known.
        """
        pixels = sum(row.pixels for row in claim.rows)
        with WATCHDOG.watching(allowed_seconds(pixels)):
            proven = outcome_of(claim.source.key, partial(self._verify, claim))
        if isinstance(proven, Failure):
            return Unproven(claim.source.key, str(proven))
        return proven

    def _verify(self, claim: Claim) -> Proven | Unproven:
        key = claim.source.key
        unseen = [row for row in claim.rows if row.weights_sha256 not in self._sound]
        if missing := missing_models(self._archive, unseen):
            return Unproven(key, missing[0])
        self._sound |= {row.weights_sha256 for row in unseen}
        for row in claim.rows:
            if found := inspect_stored(self._archive, row):
                return Unproven(key, f"{found.lr_key}: {found.reason}")
        try:
            data = source_as_archived(self._source, claim.rows[0])
        except ObjectNotFoundError:
            return Unproven(key, "listed, but gone when it was to be compared")
        except SourceChangedError as error:
            return Unproven(key, str(error))
        except ObjectColdError as error:
            return Unproven(key, str(error), is_cold=True)
        digest = hashlib.sha256(data).hexdigest()
        if any(row.source_sha256 != digest for row in claim.rows):
            return Unproven(key, "its renditions were made from different versions of it")
        return Proven(claim.source, digest, self._proofs(claim, data))

    def _proofs(self, claim: Claim, data: bytes) -> tuple[Proof, ...]:
        photo: Photo | None = None
        proofs: list[Proof] = []
        missed: list[str] = []
        for row in History.of(claim.rows).relied_on:
            recorded = row.recorded
            if photo is None:
                decode = decode_for_preview if row.rescaler in PACKED else decode_photo
                photo = decode(
                    data,
                    max_pixels=recorded.width * recorded.height,
                    max_carried=MOST_CARRIED,
                )
            floors = [floor for name, floor in claim.floors if name == row.target]
            floors.append(floor_like(recorded))
            compared = self._compare(row, data, photo, [*floors, claim.floor])
            _require(row, compared, floors)
            proofs.append(_proof(row, compared))
            missed += filter(None, [compared.misses(claim.floor)])
        if len(missed) == len(proofs):
            raise RefoldError(f"the best restoration misses the floor asked for: {missed[0]}")
        return tuple(proofs)

    def _compare(
        self, row: Archived, data: bytes, photo: Photo, floors: Sequence[Floor]
    ) -> Comparison:
        stored = self._renditions.read(row)
        file = stored.source_file()
        if file is None:
            restored = stored.photo()
            compared = compare(restored, photo, floors=floors)
            _require_given_back(row, restored, photo, compared)
            return compared
        if row.rescaler == DEEP:
            compared = compare_deep(file, data)
            if compared.lost:
                raise RefoldError(f"{row.lr_key}: restored without {', '.join(compared.lost)}")
            return compared
        if file != data and not (row.rescaler == REPACK and same_file(file, data)):
            raise RefoldError(f"{row.lr_key}: the file that comes back is not the source")
        return compare(photo, photo, floors=floors)


def _require_given_back(
    row: Archived, restored: Photo, source: Photo, compared: Comparison
) -> None:
    """Do what `restore` does with a photo, and refuse it unless its file holds all of the source.

    The file is made by the same function, with the same settings, and decoded again.

    Raises:
        RefoldError: What would be missing.
    """
    if compared.lost:
        raise RefoldError(f"{row.lr_key}: restored without the source's {', '.join(compared.lost)}")
    try:
        prove_given_back(restored, source, restored_file(restored))
    except (CodecError, NotGivenBackError) as error:
        raise RefoldError(f"{row.lr_key}: {error}") from error


def _require(row: Archived, compared: Comparison, floors: list[Floor]) -> None:
    """Refuse a restoration that misses a floor.

    Raises:
        RefoldError: Which one it misses.
    """
    for floor in floors:
        if missed := compared.misses(floor):
            raise RefoldError(f"{row.lr_key}: restored, it misses the floor: {missed}")


def _proof(row: Archived, compared: Comparison) -> Proof:
    return Proof(
        target=row.target,
        lr_key=row.lr_key,
        lr_sha256=row.lr_sha256,
        lr_bytes=row.lr_bytes,
        rescaler=row.rescaler,
        weights_sha256=row.weights_sha256,
        **{name: getattr(compared, name) for name in MEASURES},
    )
