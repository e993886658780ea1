"""How the cluster is divided among workers, as the settings say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import psutil

from rescaling_core.errors import UsageError
from tasks.settings import current

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

    The setting `workers` says how many instead: those that do not fit join as the cluster grows.

    Args:
        cpus_per_worker: CPUs, where there is no GPU; by default what the settings say.
        gpus_per_worker: GPUs, whole or a fraction, where there are any; likewise.
        encoders: CPUs that are not for workers.

    Raises:
        UsageError: A variable is not such a number, or no CPU is left for a worker.
    """
    import ray  # slow to import, and a small run does without

    settings = current()
    cpus_per_worker = cpus_per_worker or settings.cpus_per_worker
    gpus_per_worker = gpus_per_worker or settings.gpus_per_worker
    asked = settings.workers
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


def process_slots() -> WorkerSlots:
    """Divide the CPUs that this process may use among worker processes, without a cluster.

    Raises:
        UsageError: A variable is not such a number.
    """
    settings = current()
    cpus = len(psutil.Process().cpu_affinity() or [0])
    count = max(1, int(cpus / settings.cpus_per_worker))
    return WorkerSlots(min(count, settings.workers or count), settings.cpus_per_worker, 0)


def encoder_cpus() -> int:
    """CPUs that are set aside for encoding; by default none, and workers encode themselves.

    Raises:
        UsageError: A variable of the environment has a value it cannot have.
    """
    return current().encoders


def photos_at_once(slots: WorkerSlots) -> int:
    """Photos that a worker has under way together.

    Raises:
        UsageError: A variable of the environment has a value it cannot have.
    """
    usual = PHOTOS_AT_ONCE_BESIDE_A_GPU if slots.gpus else PHOTOS_AT_ONCE
    return current().photos_at_once or usual
