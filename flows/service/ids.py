"""What URLs call a rendition.

An id is its archive's name, its target and its source key, written so that it is one part of a
path whatever the key holds. It stays the same when the source is archived again; with a digest
behind it, it means one LR file for ever.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flows.service.errors import PublicError
from tasks.catalog import Archived, CatalogRow

_LONGEST: Final = 4096
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class RenditionId:
    """Where a rendition is found."""

    archive: str
    target: str
    key: str
    digest: str | None = None
    """The first digits of its LR file's SHA-256; None for whichever is the current one."""

    @classmethod
    def of(cls, archive: str, row: CatalogRow) -> RenditionId:
        """That of a row."""
        return cls(archive, row.target, row.source_key, _digest(row))

    @property
    def lasting(self) -> str:
        """As text, without a digest."""
        text = "\0".join((self.archive, self.target, self.key))
        return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")

    @property
    def exact(self) -> str:
        """As text, with the digest of the LR file."""
        return f"{self.lasting}.{(self.digest or '')[:_DIGITS]}" if self.digest else self.lasting

    @classmethod
    def parse(cls, text: str) -> RenditionId:
        """Read an id.

        Raises:
            PublicError: It is not one (404).
        """
        name, _, digest = text.partition(".")
        try:
            padded = name + "=" * (-len(name) % 4)
            found = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
            archive, target, key = found.split("\0")
        except (ValueError, binascii.Error):
            archive = target = key = ""
        made = cls(archive, target, key, digest or None)
        whole = digest == "" or re.fullmatch(rf"[0-9a-f]{{{_DIGITS}}}", digest)
        if len(text) > _LONGEST or not (archive and target and key and whole):
            raise no_such_image()
        return made

    def fits(self, row: CatalogRow) -> bool:
        """Whether a row is the version that is meant."""
        return self.digest is None or (_digest(row) or "").startswith(self.digest)


def _digest(row: CatalogRow) -> str | None:
    """SHA-256 of the LR file; None where there is none."""
    return row.lr_sha256 if isinstance(row, Archived) else None


def no_such_image() -> PublicError:
    """What is answered to ids that name nothing."""
    return PublicError(HTTPStatus.NOT_FOUND, "There is no such image in the archive.")


def archive_names(urls: Iterable[str]) -> dict[str, str]:
    """Short names for archives, by which URLs call them.

    Returns:
        Name → URL: the last part of each URL, with a number where it is taken.
    """
    named: dict[str, str] = {}
    for url in urls:
        last = re.sub(r"[^A-Za-z0-9_-]+", "-", url.rstrip("/").rpartition("/")[2]).strip("-")
        name, number = last or "archive", 1
        while name in named:
            number += 1
            name = f"{last or 'archive'}-{number}"
        named[name] = url
    return named
