"""Rescalers as a worker process holds them."""

from __future__ import annotations

import os
from functools import lru_cache

import torch

from rescaling_core.zoo import LoadedRescaler
from tasks.weights import load_rescaler


@lru_cache(maxsize=8)
def load_model(rescaler: str) -> LoadedRescaler:
    """Load a rescaler once per process, on the GPU if this process was given one.

    Raises:
        UsageError: There is no such rescaler.
    """
    loaded = load_rescaler(rescaler)
    if torch.cuda.is_available():
        loaded.rescaler.cuda()
    return loaded


def use_share_of_cpus() -> None:
    """Let torch use as many threads as Ray gave this worker CPUs, which Ray states here."""
    if cpus := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(max(1, int(cpus)))
