"""The last trials, in memory: whoever knows the name of one may look at it for a while."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from threading import Lock
from typing import Final

from flows.service.trial import Trial

_MOST: Final = 8
_SECONDS: Final = 1800.0


class Trials:
    """Keeps a few; safe to use from several threads."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._kept: OrderedDict[str, tuple[float, Trial]] = OrderedDict()
        self._lock = Lock()

    def add(self, trial: Trial) -> str:
        """Keep one; its name cannot be guessed."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._drop_old()
            self._kept[name] = (time.monotonic(), trial)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> Trial | None:
        """One by its name; None if there is none, or not any more."""
        with self._lock:
            self._drop_old()
            found = self._kept.get(name)
        return None if found is None else found[1]

    def _drop_old(self) -> None:
        """Those that were made first lie first."""
        while self._kept:
            made, _ = next(iter(self._kept.values()))
            if time.monotonic() - made < _SECONDS:
                return
            self._kept.popitem(last=False)
