"""What a worker process does before it uses networks."""

from __future__ import annotations

import os

import torch

from tasks.models.lookup import Models as Models  # importable from here: what workers hold
from tasks.models.lookup import load_model as load_model


def use_share_of_cpus() -> None:
    """Let torch use as many threads as Ray gave this worker CPUs, which Ray states here."""
    if cpus := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(max(1, int(cpus)))
