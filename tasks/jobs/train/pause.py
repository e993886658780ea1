"""Training that waits while somebody else needs the machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LOOKS_EVERY: Final = 1.0
"""Seconds between two looks at the file."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A file named by the user: while it exists, training waits before its next step."""

    file: Path | None = None

    def wait(self) -> float:
        """Return when the file does not exist.

        Returns:
            Seconds waited.
        """
        if self.file is None or not self.file.exists():
            return 0.0
        began = time.monotonic()
        while self.file.exists():
            time.sleep(_LOOKS_EVERY)
        return time.monotonic() - began


NEVER: Final = Pause()
