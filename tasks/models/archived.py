"""The networks that an archive holds itself, so that no release of this software can orphan it.

`models/<sha256>.safetensors` are the weights, `models/<sha256>.json` is their model card. They are
put there before the first row that names them is committed, and nothing ever removes them: a
network is small, and its loss could not be mended.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from rescaling_core.errors import RefoldError, UsageError
from rescaling_core.model_ids import is_sound
from rescaling_core.plan import ArchivePlan
from rescaling_core.zoo import NO_WEIGHTS_SHA256, restorers
from rescaling_core.zoo.restorers import LoadedRestorer
from tasks.models.lookup import Models, load_model
from tasks.models.weights import find_weights
from tasks.models.weights_file import FOLDER, WeightsFile, read_stored
from tasks.storage import Store


class Named(Protocol):
    """A row of the catalog, or whatever else names a network."""

    @property
    def rescaler(self) -> str | None:
        """What it was called."""

    @property
    def weights_sha256(self) -> str | None:
        """In hexadecimal."""


def needs_weights(sha256: str | None) -> bool:
    """Whether a recorded digest is that of a network: filters and full-size files have none."""
    return sha256 is not None and sha256 != NO_WEIGHTS_SHA256


def settle(plan: ArchivePlan, archive: Store | None = None) -> tuple[ArchivePlan, Models]:
    """Settle which weights a plan means, and put them into the archive.

    Args:
        plan: Names rescalers by id, path or URL.
        archive: None to put them nowhere, for what only tries a plan out.

    Returns:
        The plan with the ids that are recorded, and where all workers find those weights.

    Raises:
        UsageError: A rescaler is not known, its id cannot be one, or two have the same.
        CheckpointError: Weights are damaged.
        StorageError: A store failed.
    """
    ids: dict[str, str] = {}
    chosen: dict[str, str] = {}
    for reference in plan.rescalers:
        found = find_weights(reference)
        if found is None:
            continue
        name = load_model(reference).id
        if not is_sound(name):
            raise UsageError(f"{reference}: {name!r:.99} cannot be an id of weights")
        if chosen.setdefault(name, found.sha256) != found.sha256:
            raise UsageError(f"{reference}: other weights of the plan have its id, {name}, too")
        ids[reference] = name
        if archive is not None:
            put_model(archive, found)
    for reference in plan.restorers:
        loaded = restorers.load(reference)
        ids[reference] = loaded.id
        chosen[loaded.id] = loaded.weights_sha256
        if archive is not None:
            _put_restorer(archive, reference, loaded)
    return plan.renamed(ids), Models(archive, chosen)


def _put_restorer(archive: Store, reference: str, loaded: LoadedRestorer) -> None:
    path = restorers.shipped_path(loaded.weights_sha256) or Path(reference)
    if read_stored(archive, loaded.weights_sha256) is not None:
        return
    base = f"{FOLDER}{loaded.weights_sha256}"
    archive.put_new(f"{base}.json", loaded.card.to_json().encode())
    archive.put(f"{base}.safetensors", path.read_bytes())
    if read_stored(archive, loaded.weights_sha256) is None:
        raise RefoldError(f"{archive.url}: {base}.safetensors does not come back as written")


def put_model(archive: Store, file: WeightsFile) -> None:
    """Put weights and their card into the archive, unless they are there.

    Raises:
        RefoldError: The archive does not give back what was written.
        StorageError: The store failed.
    """
    if read_stored(archive, file.sha256) is not None:
        return
    base = f"{FOLDER}{file.sha256}"
    card = file.load().card.to_json().encode()
    archive.put_new(f"{base}.json", card)
    if not archive.put_new(f"{base}.safetensors", file.data):
        archive.put(f"{base}.safetensors", file.data)  # what lies there is damaged
    if read_stored(archive, file.sha256) is None:
        raise RefoldError(f"{archive.url}: {base}.safetensors does not come back as written")


def missing_models(archive: Store, rows: Iterable[Named]) -> list[str]:
    """What rows name that the archive does not hold itself, as one line each.

    Where such a row's source were deleted, restoring it would rest on what else is installed.

    Raises:
        StorageError: The store failed.
    """
    named = {row.weights_sha256: row.rescaler for row in rows if needs_weights(row.weights_sha256)}
    return [
        f"the network {rescaler!r:.99} is not in the archive: {FOLDER}{sha256}.safetensors"
        for sha256, rescaler in named.items()
        if sha256 is not None and read_stored(archive, sha256) is None
    ]
