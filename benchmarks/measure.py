"""What the benchmarks measure with: time, peak memory, peak arithmetic, and the machine."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_SECONDS = 1.0
MIN_RUNS = 3


@dataclass(frozen=True, slots=True)
class Timed:
    """The best of several runs, which other work on the machine disturbs least."""

    seconds: float
    median: float
    runs: int
    peak_bytes: int
    """Of device memory allocated, or on a CPU of the process's resident memory."""


def best_of(
    action: Callable[[], Any], device: torch.device, *, warm_up: int = 2, cpu_time: bool = False
) -> Timed:
    """Run `action` at least three times and a second long.

    `cpu_time` counts the seconds that the process had a CPU: with one thread, on a machine that
    others use too, they say what an idle one would take.
    """
    clock = time.process_time if cpu_time else time.perf_counter
    for _ in range(warm_up):
        action()
    _synchronise(device)
    reset_peak(device)
    seconds: list[float] = []
    while len(seconds) < MIN_RUNS or sum(seconds) < MIN_SECONDS:
        started = clock()
        action()
        _synchronise(device)
        seconds.append(clock() - started)
    median = sorted(seconds)[len(seconds) // 2]
    return Timed(min(seconds), median, len(seconds), peak_bytes(device))


def peak_flops(
    device: torch.device, dtype: torch.dtype, *, tf32: bool = False, cpu_time: bool = False
) -> float:
    """FLOP/s that the hardware was seen to give in `dtype`.

    The better of a large matrix product and a wide convolution, since libraries are not equally
    good at both on every machine.
    """
    side, channels, pixels = (8192, 512, 256) if device.type == "cuda" else (2048, 256, 64)
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        a = torch.randn(side, side, device=device).to(dtype)
        product = 2 * side**3 / best_of(lambda: a @ a, device, cpu_time=cpu_time).seconds
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    x = torch.randn(1, channels, pixels, pixels, device=device).to(dtype)
    weight = torch.randn(channels, channels, 3, 3, device=device).to(dtype)
    x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))
    timed = best_of(lambda: F.conv2d(x, weight, padding=1), device, cpu_time=cpu_time)
    return max(product, 2 * 9 * channels**2 * pixels**2 / timed.seconds)


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures depend on; no name of the machine."""
    facts: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
    return facts


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    """Begin to measure peak memory anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak_bytes(device: torch.device) -> int:
    """The peak since then, as in `Timed`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status").read_text("ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
