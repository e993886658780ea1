"""Object Lock of S3: what is asked for with what is written, and what it says of objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rescaling_core.errors import UsageError
from tasks import settings
from tasks.storage.errors import StorageError
from tasks.storage.locks import Lock
from tasks.storage.s3.classes import of_longest_prefix
from tasks.storage.s3.errors import is_invalid

MAX_DAYS: Final = 36_500
"""A hundred years, which is what S3 takes."""

_RETENTION: Final = re.compile(r"(GOVERNANCE|COMPLIANCE) ([0-9]{1,5})d")


class NoObjectLockError(StorageError, UsageError):
    """A retention is asked for in a bucket that has no Object Lock."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What objects are put with, so that nobody removes them for a while."""

    mode: str
    """`GOVERNANCE`, which who has the right may end earlier, or `COMPLIANCE`, which nobody may."""
    days: int
    """For which it lasts from the moment on at which an object is put."""

    def of_put(self) -> dict[str, Any]:
        """Parameters of the requests that begin an object."""
        return {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": self._end}

    def renewed(self, lock: Lock | None) -> dict[str, Any] | None:
        """What an object is to be kept by from now on; None while half of the days is left.

        Nothing is made shorter by that. What is kept now stays in its mode: to change that takes a
        right of its own, or is not to be had.

        Args:
            lock: What keeps it now.
        """
        left = timedelta(0)
        if lock is not None and lock.until is not None:
            left = lock.until - datetime.now(UTC)
        if left >= timedelta(days=self.days) / 2:
            return None
        mode = lock.mode if lock is not None and left > timedelta(0) else self.mode
        return {"Mode": mode, "RetainUntilDate": self._end}

    @property
    def _end(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(days=self.days)


def retention_of(key: str) -> Retention | None:
    """The retention that the settings name for a key of a store: the longest prefix counts.

    Raises:
        UsageError: They name what there is not.
    """
    text = of_longest_prefix(settings.current().retention, key)
    return None if text is None else parse_retention(text)


def check_retentions() -> None:
    """Make sure that the settings can be read, before anything is put.

    Raises:
        UsageError: They name what there is not.
    """
    for text in settings.current().retention.values():
        parse_retention(text)


@contextmanager
def naming_retention(key: str) -> Iterator[None]:
    """Say what may be wrong where a server refuses an object with a retention.

    Raises:
        NoObjectLockError: It refused the request as such, and a retention was asked for.
    """
    try:
        yield
    except StorageError as error:
        if retention_of(key) is None or not is_invalid(error):
            raise
        raise NoObjectLockError(
            f"{error}; REFOLD_RETENTION asks for a retention, which only a bucket with Object Lock "
            "takes"
        ) from error


def parse_retention(text: str) -> Retention:
    """`GOVERNANCE 90d` or `COMPLIANCE 365d`.

    Raises:
        UsageError: It is neither, or not from 1 to `MAX_DAYS` days.
    """
    match = _RETENTION.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= MAX_DAYS:
        raise UsageError(
            f"REFOLD_RETENTION: {text!r:.80}: expected GOVERNANCE or COMPLIANCE and from 1 to "
            f"{MAX_DAYS} days, such as 'GOVERNANCE 90d'"
        )
    return Retention(match[1], int(match[2]))


def lock_of(head: Mapping[str, Any]) -> Lock | None:
    """What keeps an object, by what the store says of it to those who may know."""
    lock = Lock(
        until=head.get("ObjectLockRetainUntilDate"),
        mode=head.get("ObjectLockMode"),
        held=head.get("ObjectLockLegalHoldStatus") == "ON",
    )
    return None if lock == Lock() else lock
