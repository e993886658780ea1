"""What an S3 server was asked, from its own log: Delta Lake's requests too, and every try."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tasks.storage import accounting

if TYPE_CHECKING:
    from pathlib import Path

KINDS: Final = ("write", "list", "read")
"""As they are billed; what is deleted is not."""

REQUEST: Final = re.compile(r'"(GET|HEAD|PUT|POST|DELETE) /([^/? ]+)/?([^? ]*)(\S*) HTTP/1\.1"')
OPERATIONS: Final = {"HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests that a server saw, by kind."""

    catalog: dict[str, int]
    """About what lies below `catalog/`."""
    others: dict[str, int]
    """About LR files, and all else."""

    @property
    def all(self) -> Counter[str]:
        """Both kinds together."""
        return Counter(self.catalog) + Counter(self.others)


def kind_of(line: str) -> tuple[str, bool] | None:
    """What a request is billed as, and whether it is the catalog's; None for other lines."""
    found = REQUEST.search(line)
    if found is None:
        return None
    method, _, key, query = found.groups()
    operation = OPERATIONS.get(method, "GetObject" if key else "ListObjects")
    if method == "POST":
        operation = "DeleteObjects" if "delete" in query else "CreateMultipartUpload"
    return accounting.kind_of(operation), "/catalog/" in f"/{key}{query}".replace("%2F", "/")


class Watch:
    """Counts what a server is asked from now on."""

    def __init__(self, log: Path) -> None:
        """Remember how far a server's log has come."""
        self._log, self._begun = log, log.stat().st_size

    def asked(self) -> Asked:
        """What it was asked since."""
        with self._log.open("rb") as log:
            log.seek(self._begun)
            lines = log.read().decode("utf-8", "replace").splitlines()
        seen = Counter(found for line in lines if (found := kind_of(line)) is not None)
        return Asked(*({kind: seen[kind, own] for kind in KINDS} for own in (True, False)))
