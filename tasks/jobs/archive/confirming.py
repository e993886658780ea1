"""Reading sources that may be unchanged, to compare their bytes with the digest on record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from tasks.catalog.difference import Doubtful
from tasks.control.outcomes import Failure, outcome_of
from tasks.storage import ObjectColdError, Store

READERS: Final = 8
"""Sources read at once."""


def unchanged_of(source: Store, doubtful: Sequence[Doubtful]) -> tuple[Doubtful, ...]:
    """Those whose bytes are what was archived. The others are to be looked at by a worker.

    What lies in a cold class cannot be read by a worker either: its mark is believed.

    Raises:
        StorageError: The store failed, so that nothing is known of them.
    """

    def is_unchanged(one: Doubtful) -> bool:
        data = outcome_of(one.key, partial(source.get_version, one.key, one.etag))
        if isinstance(data, Failure):
            return data.error_class == ObjectColdError.__name__
        return hashlib.sha256(data).hexdigest() == one.sha256

    with ThreadPoolExecutor(max_workers=READERS) as pool:
        found = pool.map(is_unchanged, doubtful)
        return tuple(one for one, same in zip(doubtful, found, strict=True) if same)
