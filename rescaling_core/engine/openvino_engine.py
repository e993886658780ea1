"""Fused networks run by OpenVINO on the CPU; what downscales, always in float32."""

from __future__ import annotations

import os
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import openvino
import torch

from rescaling_core.engine.openvino_graph import down_graph, up_graph

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from rescaling_core.engine.fused import FusedDown, FusedUp
    from rescaling_core.precision import Precision


class OpenVinoEngine:
    """Both directions as OpenVINO models of any size, each compiled when it is first needed.

    Args:
        down: The downscaling half.
        up: The restoring half.
        threads: Of the CPU.
        restores_in: The precision of the restoring half.
    """

    batch = 1

    def __init__(
        self, down: FusedDown, up: FusedUp, *, threads: int, restores_in: Precision = "float32"
    ) -> None:
        self._lock = Lock()
        graphs: dict[str, tuple[Callable[[], openvino.Model], Precision]] = {
            "down": (partial(down_graph, down), "float32"),
            "up": (partial(up_graph, up, with_latent=False), restores_in),
            "up with latent": (partial(up_graph, up, with_latent=True), restores_in),
        }

        def request(name: str) -> Any:
            graph, precision = graphs[name]
            return compiled(graph(), threads=threads, precision=precision)

        self._request = cache(request)

    def downscale(self, hr: Tensor) -> Tensor:
        """See `Engine.downscale`."""
        return self._run("down", hr)

    def upscale(self, lr: Tensor, latent: Tensor | None) -> Tensor:
        """See `Engine.upscale`; None is z = 0."""
        if latent is None:
            return self._run("up", lr)
        return self._run("up with latent", lr, latent)

    def _run(self, name: str, *given: Tensor) -> Tensor:
        with self._lock:  # a request holds one pass at a time
            request = self._request(name)
            request.infer([one.contiguous().numpy() for one in given], share_inputs=True)
            return torch.from_numpy(request.get_output_tensor(0).data.copy())


def compiled(graph: openvino.Model, *, threads: int, precision: Precision = "float32") -> Any:
    """A request that runs `graph` on the CPU, one pass at a time.

    It computes in float32 where the processor has no instructions for the precision asked for.
    """
    narrow = precision == "bfloat16" and has_bfloat16()
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if narrow else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # Several workers on a machine would all be pinned to its first cores.
        "ENABLE_CPU_PINNING": False,
        # Kernels are kept for every shape seen; by default 5000, hundreds of MiB.
        "CPU_RUNTIME_CACHE_CAPACITY": 256,
    }
    return _core().compile_model(graph, "CPU", settings).create_infer_request()


class _Started:
    """OpenVINO's threads, which a process that is forked off does not have."""

    process: int | None = None
    """Id of the process that started them; None before the first network is compiled."""


def has_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16 (AVX-512 BF16 or AMX on x86-64)."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def is_usable() -> bool:
    """Whether OpenVINO can compute in this process.

    It cannot where a process that had used it already was forked: it waits for its threads forever.
    """
    return _Started.process in (None, os.getpid())


@cache
def _core() -> openvino.Core:
    _Started.process = os.getpid()
    return openvino.Core()
