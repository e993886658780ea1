"""Who may read and restore: holders of a key, or anybody where the operator says so.

Of a key only its SHA-256 is written down. Keys are drawn at random, so that a plain digest cannot
be guessed back.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rescaling_core.errors import UsageError

_RESTORE: Final = "+restore"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the file of keys."""

    name: str
    sha256: str
    archives: frozenset[str]
    """Names of the archives that it opens; empty for all."""
    may_restore: bool = False
    """Whether it lets jobs restore into the operator's places, and not only read."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a service."""

    known: tuple[Key, ...]
    anonymous: bool
    """Whether reading needs none."""

    def may_read(self, given: str | None, archive: str | None) -> bool:
        """Whether a request may read an archive; with None, whether it may read anything.

        Args:
            given: The key of the request.
            archive: Name of the archive.
        """
        if self.anonymous:
            return True
        return any(archive is None or not key.archives or archive in key.archives
                   for key in self._fitting(given))  # fmt: skip

    def may_restore(self, given: str | None, archive: str, *, is_local: bool) -> bool:
        """Whether a request may have an archive restored into the operator's places.

        Args:
            given: The key of the request.
            archive: Name of the archive.
            is_local: Whether only this machine can reach the service; then whoever may read
                without a key may do this too.
        """
        if self.anonymous and is_local:
            return True
        return any(key.may_restore and (not key.archives or archive in key.archives)
                   for key in self._fitting(given))  # fmt: skip

    def _fitting(self, given: str | None) -> list[Key]:
        digest = hashlib.sha256((given or "").encode()).hexdigest()
        # All are compared, so that the time tells nothing of which one it nearly was.
        return [key for key in self.known if hmac.compare_digest(key.sha256, digest)]


def read_keys(path: Path | None, *, anonymous: bool | None, host: str) -> Keys:
    """The keys that a service begins with.

    Args:
        path: The file of keys; None for none.
        anonymous: What the operator says of reading without a key.
        host: Address that the service listens on.

    Raises:
        UsageError: The file cannot be read, or nobody could read anything.
    """
    known = () if path is None else _parse(path)
    if anonymous is None:
        anonymous = path is None and is_loopback(host)
    if not anonymous and not known:
        raise UsageError(
            f"--host {host}: nobody could read anything. Give a file of keys with --keys (refold "
            "serve --new-key NAME makes a line of it), or let everybody read with --anonymous"
        )
    return Keys(known, anonymous)


def new_key(name: str) -> tuple[str, str]:
    """A new key, and the line for the file of keys.

    Raises:
        UsageError: The name has spaces, or is empty.
    """
    if not re.fullmatch(r"[\w.@-]{1,64}", name):
        raise UsageError(f"key {name!r:.80}: a name is up to 64 letters, digits and . _ @ -")
    key = f"refold_{secrets.token_urlsafe(32)}"
    return key, f"{name} {hashlib.sha256(key.encode()).hexdigest()}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse(path: Path) -> tuple[Key, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"{path}: the file of keys cannot be read: {reason}") from error
    known = []
    for number, line in enumerate(lines, 1):
        if not (fields := line.split("#", 1)[0].split()):
            continue
        if len(fields) < 2 or not _DIGEST.fullmatch(fields[1]):
            raise UsageError(
                f"{path}, line {number}: expected `name sha256 [archive ...] [+restore]`"
            )
        others = frozenset(fields[2:])
        known.append(Key(fields[0], fields[1], others - {_RESTORE}, _RESTORE in others))
    return tuple(known)
