"""Rescalers as a worker process holds them."""

from __future__ import annotations

import os
from functools import cache
from threading import Lock

import torch

from rescaling_core.zoo import LoadedRescaler
from tasks.models.weights import load_rescaler

_LOADING = Lock()


def load_model(rescaler: str) -> LoadedRescaler:
    """Load a rescaler once per process, on the GPU if this process was given one.

    Raises:
        UsageError: There is no such rescaler.
    """
    with _LOADING:  # or two threads would each load it
        return _load(rescaler)


@cache
def _load(rescaler: str) -> LoadedRescaler:
    loaded = load_rescaler(rescaler)
    if torch.cuda.is_available():
        loaded.rescaler.cuda()
    return loaded


def use_share_of_cpus() -> None:
    """Let torch use as many threads as Ray gave this worker CPUs, which Ray states here."""
    if cpus := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(max(1, int(cpus)))
