"""The Ray cluster a run works on: the one that is there, or one of its own."""

from __future__ import annotations

import logging
import os
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
    ray.init(
        # Not None: that would join whatever cluster someone left running on this machine.
        address="local" if local else os.environ["RAY_ADDRESS"],
        include_dashboard=False if local else None,
        _system_config=LOCAL_SETTINGS if local else None,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        yield
    finally:
        ray.shutdown()
