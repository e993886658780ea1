"""How many requests this process sent to S3, by kind, and what they cost.

Every attempt counts, since every attempt is billed. What Delta Lake reads and writes of the catalog
goes past this client and is not counted: a few requests a shard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from threading import Lock
from typing import Final, Literal

Kind = Literal["write", "list", "read", "delete"]
"""As they are billed."""

PRICES: Final[Mapping[str, float]] = {"write": 0.005, "list": 0.005, "read": 0.0004, "delete": 0.0}
"""US dollars a thousand: the list price of Amazon S3 Standard in us-east-1."""

_lock = Lock()
_sent: Counter[str] = Counter()


def count(event_name: str, **_: object) -> None:
    """Count a request that is about to be sent; called by botocore."""
    with _lock:
        _sent[kind_of(event_name.rpartition(".")[2])] += 1


def kind_of(operation: str) -> Kind:
    """What an operation is billed as."""
    if operation.startswith(("Delete", "Abort")):
        return "delete"
    if operation.startswith("List"):
        return "list"
    if operation.startswith(("Get", "Head")):
        return "read"
    return "write"


def drain() -> dict[str, int]:
    """The counts since this was last called, in this process."""
    with _lock:
        counts = dict(sorted(_sent.items()))
        _sent.clear()
    return counts


def add(counts: Mapping[str, int]) -> None:
    """Add what was counted elsewhere, as by workers of a run."""
    with _lock:
        _sent.update(counts)


def cost(counts: Mapping[str, int]) -> float:
    """US dollars, at list prices."""
    return sum(PRICES[kind] * number / 1000 for kind, number in counts.items())
