"""A worker that does little, so that its processes start quickly."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from rescaling_core.errors import UsageError
from tasks.cluster.watchdog import WATCHDOG
from tasks.storage import StorageError


class Squarer:
    """Squares numbers; some numbers are trouble."""

    def __init__(self, marks: str) -> None:
        if not Path(marks).is_dir():
            raise UsageError(f"{marks}: no such folder")
        self._marks = Path(marks)

    def work(self, number: int) -> int:
        if number == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 7 and not (self._marks / "died").exists():
            (self._marks / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 66:  # native code that never ends, and holds Python's lock
            with WATCHDOG.watching(1):
                re.match(r"(a+)+$", "a" * 60 + "b")
        if number == 99:
            raise StorageError("store: slow down", retryable=True)
        if number == 98:
            raise UsageError("wrong")
        return number * number

    def where(self, _number: int) -> int:
        time.sleep(0.1)
        return os.getpid()
