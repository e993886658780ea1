"""Fused networks run by OpenVINO on the CPU, in float32."""

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


class OpenVinoEngine:
    """Both directions as OpenVINO models of any size, each compiled when it is first needed.

    Args:
        down: The downscaling half.
        up: The restoring half.
        threads: Of the CPU.
    """

    batch = 1

    def __init__(self, down: FusedDown, up: FusedUp, *, threads: int) -> None:
        self._lock = Lock()
        graphs: dict[str, Callable[[], openvino.Model]] = {
            "down": partial(down_graph, down),
            "up": partial(up_graph, up, with_latent=False),
            "up with latent": partial(up_graph, up, with_latent=True),
        }
        self._request = cache(lambda name: compiled(graphs[name](), threads=threads))

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


def compiled(graph: openvino.Model, *, threads: int) -> Any:
    """A request that runs `graph` on the CPU, one pass at a time."""
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
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


def is_usable() -> bool:
    """Whether OpenVINO can compute in this process.

    It cannot where a process that had used it already was forked: it waits for its threads forever.
    """
    return _Started.process in (None, os.getpid())


@cache
def _core() -> openvino.Core:
    _Started.process = os.getpid()
    return openvino.Core()
