"""Restored tiles on a disk: what was made once is there after a restart, and for other processes.

A file holds a digest of its pixels, so that one that was cut off or damaged is made again and
never shown. Its name holds the LR file's digest and the release, as another may round otherwise.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np

from rescaling_core import SOFTWARE
from rescaling_core.errors import UsageError
from rescaling_core.pixels.arrays import U8Array

logger: Final = logging.getLogger("refold.serve")

_DIGEST_BYTES: Final = 32
_ENDING: Final = ".tile"


class TileFolder:
    """A folder that holds tiles up to a number of bytes; safe to use from several threads.

    Several processes may share one. Each keeps to the bound by what it knows of, so that together
    they may hold a little more until one of them starts again.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Look at what is there.

        Args:
            folder: It is made if it is not there, and should hold nothing else.
            max_bytes: Of all files together; those not asked for longest are deleted first.

        Raises:
            UsageError: The folder cannot be made or read.
        """
        self._folder, self._max_bytes = folder, max_bytes
        self._lock = Lock()
        self.hits = 0
        """Times that a tile was there."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            known = sorted(
                (entry.stat().st_mtime, entry.name, entry.stat().st_size)
                for entry in os.scandir(folder)
                if entry.name.endswith(_ENDING)
            )
        except OSError as error:
            raise UsageError(f"{folder}: tiles cannot be kept there: {error.strerror}") from error
        self._sizes: OrderedDict[str, int] = OrderedDict((name, size) for _, name, size in known)
        self._make_room()

    @property
    def nbytes(self) -> int:
        """Bytes that the files take."""
        with self._lock:
            return sum(self._sizes.values())

    def get(self, key: str, make: Callable[[], U8Array]) -> U8Array:
        """The pixels that are kept under a key, else what `make` gives.

        A disk that is full or fails only costs time: it is told in the log.
        """
        name = _name(key)
        kept = self._read(name)
        if kept is not None:
            return kept
        pixels = make()
        try:
            self._write(name, pixels)
        except OSError as error:
            logger.warning("%s: a tile could not be kept: %s", self._folder, error)
        return pixels

    def kept(self, key: str) -> U8Array | None:
        """The pixels that are kept under a key; None if none are."""
        return self._read(_name(key))

    def _read(self, name: str) -> U8Array | None:
        path = self._folder / name
        try:
            data = path.read_bytes()
            os.utime(path)  # so that it is known after a restart what was asked for last
        except OSError:
            return None
        digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            return None
        pixels: U8Array = np.load(io.BytesIO(body), allow_pickle=False)
        with self._lock:  # another process may have written it
            self._sizes[name] = len(data)
            self._sizes.move_to_end(name)
            self.hits += 1
        return pixels

    def _write(self, name: str, pixels: U8Array) -> None:
        body = io.BytesIO()
        np.save(body, pixels, allow_pickle=False)
        data = hashlib.sha256(body.getvalue()).digest() + body.getvalue()
        if len(data) > self._max_bytes:
            return
        new = self._folder / f"{name}.{secrets.token_hex(8)}"
        try:
            new.write_bytes(data)
            new.replace(self._folder / name)
        finally:
            new.unlink(missing_ok=True)
        with self._lock:
            self._sizes[name] = len(data)
            self._sizes.move_to_end(name)
        self._make_room()

    def _make_room(self) -> None:
        with self._lock:
            while sum(self._sizes.values()) > self._max_bytes:
                name, _ = self._sizes.popitem(last=False)
                (self._folder / name).unlink(missing_ok=True)


def _name(key: str) -> str:
    return hashlib.sha256(f"{SOFTWARE}\0{key}".encode()).hexdigest() + _ENDING
