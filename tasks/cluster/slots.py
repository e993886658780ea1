"""How the cluster is divided among workers, and the variables that say so."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

import ray

from rescaling_core.errors import UsageError

PHOTOS_AT_ONCE_BESIDE_A_GPU = 8
PHOTOS_AT_ONCE = 2
"""Of a worker without GPU: its network takes its CPU, its store's answers do not."""


@dataclass(frozen=True, slots=True)
class WorkerSlots:
    """How the cluster is divided among workers."""

    count: int
    """Number of workers that fit now."""
    cpus: float
    """CPUs of one worker."""
    gpus: float
    """GPUs of one worker; below 1, several workers share a device."""
    more: int = 0
    """Workers that join when Ray has room for them, as a cluster that scales itself makes it."""

    @property
    def most(self) -> int:
        """Workers there may be in the end."""
        return self.count + self.more

    def at_most(self, count: int) -> WorkerSlots:
        """The same workers, but no more than there are jobs for."""
        fewer = max(1, min(self.count, count))
        return replace(self, count=fewer, more=max(0, min(self.more, count - fewer)))


def worker_slots(
    *,
    cpus_per_worker: float | None = None,
    gpus_per_worker: float | None = None,
    encoders: int = 0,
) -> WorkerSlots:
    """Divide what the cluster has: one worker a GPU where there are GPUs, else one a CPU slice.

    `REFOLD_WORKERS` sets their number instead: those that do not fit join as the cluster grows.

    Args:
        cpus_per_worker: CPUs, where there is no GPU; by default what `REFOLD_CPUS_PER_WORKER`
            says, or 1.
        gpus_per_worker: GPUs, whole or a fraction, where there are any; by default what
            `REFOLD_GPUS_PER_WORKER` says, or 1.
        encoders: CPUs that are not for workers.

    Raises:
        UsageError: A variable is no such number, or no CPU is left for a worker.
    """
    cpus_per_worker = cpus_per_worker or _share("REFOLD_CPUS_PER_WORKER")
    gpus_per_worker = gpus_per_worker or _share("REFOLD_GPUS_PER_WORKER")
    asked = _number("REFOLD_WORKERS", 0, least=1)
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = resources.get("GPU", 0)
    cpus = resources.get("CPU", 1) - encoders
    if cpus < 1:
        raise UsageError(f"REFOLD_ENCODERS={encoders}: no CPU of the cluster would be left")
    if gpus:
        count = max(1, min(int(gpus / gpus_per_worker), int(cpus)))
        slots = WorkerSlots(count, cpus // count, gpus_per_worker)
    else:
        count = max(1, int(cpus / cpus_per_worker))
        slots = WorkerSlots(count, min(cpus, cpus_per_worker), 0)
    if not asked:
        return slots
    return replace(slots, count=min(asked, count), more=max(0, asked - count))


def encoder_cpus() -> int:
    """CPUs that are set aside for encoding; by default none, and workers encode themselves.

    Raises:
        UsageError: `REFOLD_ENCODERS` is no number of CPUs.
    """
    return _number("REFOLD_ENCODERS", 0, least=0)


def photos_at_once(slots: WorkerSlots) -> int:
    """Photos that a worker has under way together.

    Raises:
        UsageError: `REFOLD_PHOTOS_AT_ONCE` is no number of photos.
    """
    usual = PHOTOS_AT_ONCE_BESIDE_A_GPU if slots.gpus else PHOTOS_AT_ONCE
    return _number("REFOLD_PHOTOS_AT_ONCE", usual, least=1)


def check_variables() -> None:
    """Refuse what the variables say before anything is started.

    Raises:
        UsageError: One is no such number.
    """
    for variable in ("REFOLD_CPUS_PER_WORKER", "REFOLD_GPUS_PER_WORKER"):
        _share(variable)
    for variable in ("REFOLD_WORKERS", "REFOLD_PHOTOS_AT_ONCE"):
        _number(variable, 1, least=1)
    encoder_cpus()


def _number(variable: str, usual: int, *, least: int) -> int:
    text = os.environ.get(variable)
    if text is None:
        return usual
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < least:
        raise UsageError(f"{variable}={text!r:.80}: a whole number from {least} is expected")
    return int(text)


def _share(variable: str) -> float:
    text = os.environ.get(variable, "1")
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < float("inf"):
        raise UsageError(f"{variable}={text!r}: a number above 0 is expected")
    return share
