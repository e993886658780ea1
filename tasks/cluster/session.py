"""The Ray cluster a run works on: the one that is there, or one of its own."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

LOCAL_SETTINGS = {"worker_niceness": 0}
"""Ray's own is 15: beside anything else that is busy, a run would hardly advance. Workers are as
nice as the command itself, so `nice` is the owner's to say."""


@contextmanager
def ray_session() -> Iterator[None]:
    """Use the running Ray, the one `RAY_ADDRESS` names, or a local one for the time being.

    Only what was started here is shut down.
    """
    if ray.is_initialized():
        yield
        return
    local = "RAY_ADDRESS" not in os.environ
    try:
        with _keeping_handlers():
            _start(local=local)
        yield
    finally:
        ray.shutdown()


def _start(*, local: bool) -> None:
    if local:
        # One for this session, in memory. Ray would leave one in the home folder for ever.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray.init(
        # Not None: that would join whatever cluster someone left running on this machine.
        address="local" if local else os.environ["RAY_ADDRESS"],
        include_dashboard=False if local else None,
        _system_config=LOCAL_SETTINGS if local else None,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


@contextmanager
def _keeping_handlers() -> Iterator[None]:
    """Leave SIGTERM to whoever handled it before.

    Ray's own handler would end its processes at once, under the feet of the driver, which then
    aborts with a native stack.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set handlers, Ray's neither
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
