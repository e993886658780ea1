"""Where the command and the libraries below it may write, found out before they are imported.

Outside the archive and the destination that is the temporary folder and the cache:
`$XDG_CACHE_HOME/refold`, by default `~/.cache/refold`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rescaling_core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Places:
    """What `prepare` found."""

    cache: Path
    warning: str | None
    """What is done without, and what to do about it; None where all is as it should be."""


def prepare() -> Places:
    """Tell the libraries to write into the cache, or do without one that cannot be written.

    A temporary cache that takes the place of one which cannot be written goes with the command.

    Raises:
        UsageError: No temporary folder can be written: nothing works without one.
    """
    temporary = temporary_folder()
    os.environ.setdefault("RAY_TMPDIR", "/tmp" if os.access("/tmp", os.W_OK) else temporary)  # noqa: S108
    cache, warning = cache_folder(), None
    if (refusal := _not_made(cache)) is not None:
        warning = (
            f"the cache {cache} cannot be written ({refusal}); a temporary one is used. "
            "Set XDG_CACHE_HOME to a folder that can be"
        )
        cache = Path(tempfile.mkdtemp(prefix="refold-cache-"))
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
    own = Path.home() / ".prefect"
    if not own.is_dir() or refused(own) is not None:  # else somebody who uses Prefect: as he does
        os.environ.setdefault("PREFECT_HOME", str(cache / "prefect"))
    os.environ.setdefault("MPLCONFIGDIR", str(cache / "matplotlib"))
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "torch"))
    return Places(cache, warning)


def _not_made(folder: Path) -> str | None:
    """Make a folder; returns why it cannot be made or written."""
    if (refusal := refused(folder)) is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return error.strerror or str(error)
    return refusal


def cache_folder() -> Path:
    """Where the cache is, whether or not it can be written."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "refold"


def temporary_folder() -> str:
    """The temporary folder.

    Raises:
        UsageError: None of the usual ones can be written.
    """
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"no temporary folder can be written: {reason}; set TMPDIR") from error


def refused(folder: Path) -> str | None:
    """Why a folder cannot be written or made, or None if it can.

    The nearest folder above that exists is asked, so that nothing is made.
    """
    there = folder
    while not os.path.exists(there):  # False also for what lies behind a locked door
        if there == there.parent:
            return "no such folder"
        there = there.parent
    if not there.is_dir():
        return f"{there} is not a folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there} is not writable"
