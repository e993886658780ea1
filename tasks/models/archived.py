"""The networks that an archive holds itself, so that no release of this software can orphan it.

`models/<sha256>.safetensors` are the weights, `models/<sha256>.json` is their model card, and
`models/<sha256>.onnx` is the restoring direction, for those who have nothing else left. They are
put there before the first row that names them is committed, and nothing ever removes them: a
network is small, and its loss could not be mended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Protocol

from rescaling_core.errors import CheckpointError, RefoldError, UsageError, WeightsNotFoundError
from rescaling_core.model_ids import is_sound
from rescaling_core.networks.graph_check import disagreement
from rescaling_core.networks.restorer_onnx import restoring_graph
from rescaling_core.plan import ArchivePlan
from rescaling_core.zoo import NO_WEIGHTS_SHA256, restorers
from rescaling_core.zoo.restorers import LoadedRestorer
from tasks.models.instructions import keep_instructions
from tasks.models.lookup import Models, load_model
from tasks.models.weights import find_weights
from tasks.models.weights_file import FOLDER, WeightsFile
from tasks.storage import ObjectNotFoundError, Store

_AGREED: Final = 0.5
"""Levels by which a graph may differ from its network: what is rounded differently, and no more."""


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
        if not is_sound(loaded.id):
            raise UsageError(f"{reference}: {loaded.id!r:.99} cannot be an id of weights")
        ids[reference] = loaded.id
        chosen[loaded.id] = loaded.weights_sha256
        if archive is not None:
            _put_restorer(archive, reference, loaded)
    if archive is not None:
        keep_instructions(archive)
    return plan.renamed(ids), Models(archive, chosen)


def _put_restorer(archive: Store, reference: str, loaded: LoadedRestorer) -> None:
    path = restorers.shipped_path(loaded.weights_sha256) or Path(reference)
    put_model(archive, WeightsFile(path.read_bytes(), loaded.card.to_json(), name=reference))


def _described(file: WeightsFile) -> tuple[dict[str, Any], bytes]:
    """The card of weights, and their restoring graph.

    Raises:
        CheckpointError: The weights are damaged, or the graph restores something else.
    """
    try:
        loaded = file.load()
    except CheckpointError:
        try:
            restorer = restorers.parse(file.data, None, name=file.name)
        except CheckpointError:
            restorer = None
        if restorer is None:
            raise
        final = None if restorer.final is None else restorer.final.network
        return json.loads(restorer.card.to_json()), restoring_graph(restorer.network, final)
    graph = loaded.rescaler.restoring_graph()
    if (levels := disagreement(loaded.rescaler, graph)) > _AGREED:
        raise CheckpointError(
            f"{file.name}: its ONNX graph restores something else, up to {levels:.1f} levels "
            f"of 255 off: the graph that {loaded.rescaler.family} writes is not what it computes"
        )
    return json.loads(loaded.card.to_json()), graph


def put_model(archive: Store, file: WeightsFile) -> None:
    """Put weights, their card and their restoring graph into the archive, unless they are there.

    The weights come last: where they are, the others are.

    Raises:
        CheckpointError: The weights are damaged.
        RefoldError: The archive does not give back what was written.
        StorageError: The store failed.
    """
    if problem_of(archive, file.sha256) is None:
        return
    base = f"{FOLDER}{file.sha256}"
    card, graph = _described(file)
    card["onnx"] = {"sha256": hashlib.sha256(graph).hexdigest(), "bytes": len(graph)}
    text = json.dumps(card, indent=2, ensure_ascii=False).encode()
    # The same release writes the same bytes; what another wrote, or a damaged one, is replaced
    # card and graph together.
    for suffix, data in ((".onnx", graph), (".json", text), (".safetensors", file.data)):
        if not archive.put_new(base + suffix, data) and archive.get(base + suffix) != data:
            archive.put(base + suffix, data)
    if (problem := problem_of(archive, file.sha256)) is not None:
        raise RefoldError(f"{archive.url}: written just now, but {problem}")


def problem_of(archive: Store, sha256: str | None) -> str | None:
    """What is wrong with a network in the archive: None if it is there and sound, or not needed.

    Raises:
        StorageError: The store failed.
    """
    if not needs_weights(sha256):
        return None
    base = f"{FOLDER}{sha256}"
    try:
        weights = archive.get(f"{base}.safetensors")
        card_json = archive.get(f"{base}.json")
    except ObjectNotFoundError as error:
        return str(error)
    if hashlib.sha256(weights).hexdigest() != sha256:
        return f"{base}.safetensors is damaged: its digest is not its name"
    try:
        card = json.loads(card_json)
        described, graph_sha256 = card["weights_sha256"], card["onnx"]["sha256"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return f"{base}.json is damaged: it is not a model card that names its graph"
    if described != sha256:
        return f"{base}.json is the card of other weights"
    return _graph_problem(archive, f"{base}.onnx", graph_sha256)


def _graph_problem(archive: Store, key: str, sha256: str) -> str | None:
    try:
        graph = archive.get(key)
    except ObjectNotFoundError as error:
        return str(error)
    found = hashlib.sha256(graph).hexdigest()
    return None if found == sha256 else f"{key} is damaged: its digest is not that of its card"


def missing_models(archive: Store, rows: Iterable[Named]) -> list[str]:
    """What rows name that the archive does not hold itself, or not sound, as one line each.

    Where such a row's source were deleted, restoring it would rest on what else is installed.

    Raises:
        StorageError: The store failed.
    """
    named = {row.weights_sha256: row.rescaler for row in rows}
    lines = []
    for sha256, rescaler in named.items():
        if (problem := problem_of(archive, sha256)) is not None:
            lines.append(f"the network {rescaler!r:.99} is not in the archive: {problem}")
    return lines


def put_back(archive: Store, rows: Iterable[Named]) -> list[str]:
    """Put networks that rows name and the archive lacks into it, where they can be found.

    Archives made by the first releases hold none; what ships or is installed serves them.

    Returns:
        The digests of those that were put.

    Raises:
        StorageError: The store failed.
    """
    named = {row.weights_sha256: row.rescaler for row in rows}
    done = []
    for sha256, rescaler in named.items():
        if sha256 is None or problem_of(archive, sha256) is None:
            continue
        try:
            put_model(archive, Models(archive).find(rescaler or "", sha256))
        except (WeightsNotFoundError, CheckpointError):
            continue
        done.append(sha256)
    return done
