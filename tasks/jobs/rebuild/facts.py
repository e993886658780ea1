"""What a row needs to know of an LR file, and where that waits until its turn comes.

Packs are read whole to see what is in them, long before it is known which of their files are the
newest of their sources. What was read of each then waits on the disk of this machine, not in
memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from rescaling_core.errors import RefoldError
from rescaling_core.metadata import read_metadata

_LENGTH: Final = 8
"""Bytes that say how long what follows is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the bytes of an LR file say."""

    nbytes: int
    sha256: str
    metadata_json: str
    """The restoration metadata that it holds."""


def facts_of(data: bytes) -> Facts:
    """Look into an LR file.

    Raises:
        MetadataError: It holds no restoration metadata that can be read.
    """
    metadata = read_metadata(data)
    return Facts(len(data), hashlib.sha256(data).hexdigest(), metadata.to_json())


class Waiting:
    """Facts in a temporary file, half a kilobyte each, that goes when nobody has it open.

    Where there is no room for it, files are read again: nothing else depends on it.
    """

    def __init__(self) -> None:
        """Open the file, in the folder that `TMPDIR` names."""
        self._end = 0
        self._file = None
        with suppress(OSError):
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as this is

    def add(self, data: bytes) -> int | None:
        """Look into an LR file and keep what it says.

        Returns:
            Where to find it; None where it says nothing, or there is no room.
        """
        if self._file is None:
            return None
        try:
            facts = json.dumps(asdict(facts_of(data))).encode()
        except RefoldError:  # told when the file is read again, if it is its turn
            return None
        packed = zlib.compress(facts, 1)
        record = len(packed).to_bytes(_LENGTH) + packed
        at = self._end
        try:
            written = os.pwrite(self._file.fileno(), record, at)
        except OSError:
            written = 0
        if written != len(record):
            return None
        self._end += written
        return at

    def get(self, at: int) -> Facts:
        """What was kept at a place that `add` gave; safe to use from several threads."""
        assert self._file is not None
        descriptor = self._file.fileno()
        length = int.from_bytes(os.pread(descriptor, _LENGTH, at))
        packed = os.pread(descriptor, length, at + _LENGTH)
        return Facts(**json.loads(zlib.decompress(packed)))
