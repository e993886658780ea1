"""The networks that the rows of a catalog name."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.catalog import Catalog
from tasks.models.archived import problem_of
from tasks.models.weights_file import FOLDER
from tasks.renditions.inspection import Finding, Problem
from tasks.storage import ObjectColdError, Store


@dataclass(frozen=True, slots=True)
class NamedNetwork:
    """A network, as rows name it."""

    rescaler: str | None
    weights_sha256: str | None


def named_networks(catalog: Catalog) -> list[NamedNetwork]:
    """Every network that an archived row names, once.

    Raises:
        StorageError: The catalog cannot be read.
    """
    columns = ("rescaler", "weights_sha256")
    found: dict[str, str | None] = {}
    for batch in catalog.batches(state="archived", columns=columns):
        pairs = zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
        found |= {sha256: rescaler for rescaler, sha256 in set(pairs) if sha256}
    return [NamedNetwork(rescaler, sha256) for sha256, rescaler in sorted(found.items())]


def findings_about(archive: Store, networks: list[NamedNetwork]) -> list[Finding]:
    """Those that the archive does not hold, or holds damaged or cold; filters need no weights.

    Raises:
        StorageError: The store failed.
    """
    found = []
    for network in networks:
        key = f"{FOLDER}{network.weights_sha256}.safetensors"
        kind: Problem = "network"
        try:
            problem = problem_of(archive, network.weights_sha256)
        except ObjectColdError as error:
            kind, problem = "cold", str(error)
        if problem is not None:
            reason = f"network {network.rescaler!r:.99}: {problem}"
            found.append(Finding(source_key="", target="", lr_key=key, problem=kind, reason=reason))
    return found
