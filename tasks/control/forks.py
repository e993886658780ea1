"""Forked processes end as they should in a program that has run flows."""

from __future__ import annotations

import os
import threading
from typing import Final

_PRIVATE: Final = "_threading_atexits"
"""What Python calls in `threading._shutdown`, last one first: partial functions."""


def end_forks_well() -> None:
    """Let a process that is forked from this one end with its own exit code.

    Prefect's services (seen with 3.8.8) have themselves drained when Python ends. A forked process
    inherits this wish, but neither their threads nor their loops: the wish then raises, and
    `multiprocessing` ends the process with code 1, silently, after all of its work was done.
    Workers of torch's `DataLoader` are such processes.
    """
    os.register_at_fork(after_in_child=_drain_nothing_of_the_parent)


def _drain_nothing_of_the_parent() -> None:
    wishes = getattr(threading, _PRIVATE, None)
    if wishes is None:
        return
    wishes[:] = [wish for wish in wishes if not _is_of_prefect(getattr(wish, "func", wish))]


def _is_of_prefect(function: object) -> bool:
    owner = getattr(function, "__self__", None)
    return any(base.__module__.startswith("prefect.") for base in type(owner).__mro__)
