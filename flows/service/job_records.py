"""Jobs on record: what a store holds of each, so that all replicas tell the same of it.

A folder for each job, and the names in it say how far it has come:

- `order.json`: what is to be done;
- `run-1.json`: a process that has begun it; `run-2.json`, if that one died;
- `beat-1`: written again and again while that process works on it;
- `cancel`: somebody wants it to end;
- `end.json`: how it ended.
"""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

from cachetools import LRUCache
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.storage import ObjectNotFoundError, Store

logger: Final = logging.getLogger("refold.serve")

EndState = Literal["done", "failed", "cancelled"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]

_ID: Final = re.compile(r"\d{8}-\d{6}-[0-9a-f]{16}")
_NAME: Final = re.compile(
    rf"({_ID.pattern})/(order\.json|run-(\d)\.json|beat-(\d)|cancel|end\.json)"
)
_MOST_HELD: Final = 400
"""Jobs of which a process keeps the few facts that never change."""

Read = TypeVar("Read", bound=BaseModel)


class Order(BaseModel):
    """What a job is to do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    archive: str
    """URL."""
    destination: str
    """As the service calls it."""
    keys: tuple[str, ...]
    target: str | None
    asked_at: datetime


class End(BaseModel):
    """How a job ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: EndState
    outputs: tuple[dict[str, Any], ...] = Field(default=())
    """As `refold restore --json` prints them."""
    failures: tuple[dict[str, Any], ...] = Field(default=())


@dataclass(frozen=True, slots=True)
class Record:
    """What the names of a job's objects say."""

    id: str
    tries: int = 0
    """Processes that have begun it."""
    beat: str = ""
    """Another one each time that the last of them wrote its sign of life."""
    is_cancelled: bool = False
    has_ended: bool = False

    @property
    def waits(self) -> bool:
        """Whether no process has begun it, and one is to."""
        return not (self.tries or self.is_cancelled or self.has_ended)


@dataclass(frozen=True, slots=True)
class Facts:
    """What never changes of a job, and is small."""

    archive: str
    """URL."""
    destination: str
    total: int
    asked_at: datetime


class JobRecords:
    """The records of a store; safe to use from several threads and processes."""

    def __init__(self, store: Store) -> None:
        """Read nothing yet.

        Args:
            store: The folder of the records.
        """
        self._store = store
        self._facts: LRUCache[str, Facts] = LRUCache(_MOST_HELD)

    def all(self) -> list[Record]:
        """Every job, the oldest first.

        Raises:
            StorageError: The store failed.
        """
        return self._listed("")

    def one(self, id: str) -> Record | None:
        """A job by its id.

        Raises:
            StorageError: The store failed.
        """
        found = self._listed(f"{id}/") if _ID.fullmatch(id) else []
        return found[0] if found else None

    def facts(self, id: str) -> Facts | None:
        """What was asked for; None if that cannot be read."""
        known = self._facts.get(id)
        if known is None and (order := self.order(id)) is not None:
            known = Facts(order.archive, order.destination, len(order.keys), order.asked_at)
            self._facts[id] = known
        return known

    def order(self, id: str) -> Order | None:
        """All of what was asked for; None if it is gone, or is not an order."""
        return self._read(f"{id}/order.json", Order)

    def end(self, id: str) -> End | None:
        """How it ended; None while it has not."""
        return self._read(f"{id}/end.json", End)

    def add(self, id: str, order: Order) -> None:
        """Put a job on record."""
        self._store.put(f"{id}/order.json", order.model_dump_json().encode())

    def claim(self, record: Record) -> int | None:
        """Be the process that does a job.

        Returns:
            Which try this is; None if another process was faster.
        """
        number, mine = record.tries + 1, secrets.token_hex(16).encode()
        key = f"{record.id}/run-{number}.json"
        # What was stored by a write of ours whose answer was lost is ours as well.
        if self._store.put_new(key, mine) or self._store.get(key) == mine:
            return number
        return None

    def beat(self, id: str, number: int) -> None:
        """Leave a sign of life."""
        self._store.put(f"{id}/beat-{number}", f"{datetime.now(UTC).isoformat()}".encode())

    def release(self, id: str, number: int) -> None:
        """Leave a job to others, as if it had not been begun."""
        self._store.delete(f"{id}/beat-{number}")
        self._store.delete(f"{id}/run-{number}.json")

    def cancel(self, id: str) -> None:
        """Let no process begin a job, and the one that works on it end."""
        self._store.put(f"{id}/cancel", b"")

    def finish(self, id: str, end: End) -> None:
        """Write down how it ended; what was written first counts."""
        self._store.put_new(f"{id}/end.json", end.model_dump_json().encode())

    def forget(self, id: str) -> None:
        """Remove the record of a job, its order last."""
        names = [one.key for one in self._store.list(f"{id}/")]
        for key in sorted(names, key=lambda key: key.endswith("/order.json")):
            self._store.delete(key)

    def _listed(self, prefix: str) -> list[Record]:
        names: dict[str, dict[str, str]] = {}
        for one in self._store.list(prefix):
            if (found := _NAME.fullmatch(one.key)) is not None:
                names.setdefault(found[1], {})[found[2]] = one.etag
        return [_record(id, there) for id, there in sorted(names.items()) if "order.json" in there]

    def _read(self, key: str, kind: type[Read]) -> Read | None:
        try:
            return kind.model_validate_json(self._store.get(key))
        except ObjectNotFoundError:
            return None
        except ValidationError:
            logger.warning("%s: %s is not the record of a job", self._store.url, key)
            return None


def _record(id: str, names: dict[str, str]) -> Record:
    tries = max((int(name[4]) for name in names if name.startswith("run-")), default=0)
    beat = names.get(f"beat-{tries}") or names.get(f"run-{tries}.json", "")
    return Record(id, tries, beat, "cancel" in names, "end.json" in names)


def new_id() -> str:
    """An id that cannot be guessed, and is the name of a folder."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(8)}"
