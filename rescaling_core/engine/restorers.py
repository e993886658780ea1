"""Restorers as they are run: by OpenVINO on the CPU where it is installed, else by torch."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch

from rescaling_core.engine.forks import made_again_in_forks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.networks.restorer import Restorer
    from rescaling_core.pixels.arrays import U8Array

_ENGINES: WeakKeyDictionary[Restorer, tuple[object, RestorerEngine]] = WeakKeyDictionary()
made_again_in_forks(_ENGINES)


class RestorerEngine(Protocol):
    """Runs a restorer on one part of a picture."""

    def restore(self, pixels: U8Array, qualities: Sequence[float]) -> U8Array:
        """Restore a part.

        Args:
            pixels: (H, W, 3 · pictures), sides multiples of the restorer's fold.
            qualities: Of each picture.

        Returns:
            (scale · H, scale · W, 3), clamped and rounded half to even.
        """


class PlainRestorerEngine:
    """The network itself, where it lives."""

    def __init__(self, restorer: Restorer, device: torch.device) -> None:
        self._restorer, self._device = restorer, device

    def restore(self, pixels: U8Array, qualities: Sequence[float]) -> U8Array:
        """See `RestorerEngine.restore`."""
        given = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)
        told, gains = (one.to(self._device) for one in self._restorer.conditions([qualities]))
        with torch.inference_mode():
            image = self._restorer(given.permute(2, 0, 1)[None].float() / 255, told, gains)[0]
            levels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
        restored: U8Array = levels.permute(1, 2, 0).cpu().numpy()
        return restored


class OpenVinoRestorerEngine:
    """The network as one OpenVINO model between 8-bit pixels.

    In the precision of the network, except that one which enlarges always computes in float32.
    """

    def __init__(self, restorer: Restorer, *, threads: int) -> None:
        from rescaling_core.engine.openvino_engine import compiled
        from rescaling_core.engine.restorer_graph import restorer_graph

        self._conditions = restorer.conditions
        # One that enlarges does so in its graph as well, where bfloat16 would cost half a level.
        precision = restorer.precision if restorer.scale == 1 else "float32"
        graph = restorer_graph(restorer)
        self._request = compiled(graph, threads=threads, precision=precision)
        self._lock = Lock()

    def restore(self, pixels: U8Array, qualities: Sequence[float]) -> U8Array:
        """See `RestorerEngine.restore`."""
        told, gains = self._conditions([qualities])
        given = [np.ascontiguousarray(pixels)[None], told.numpy(), gains.numpy()]
        with self._lock:  # a request holds one pass at a time
            self._request.infer(given, share_inputs=True)
            restored: U8Array = self._request.get_output_tensor(0).data[0].copy()
        return restored


def restorer_engine_for(restorer: Restorer) -> RestorerEngine:
    """The engine that runs `restorer` where it lives.

    A restorer whose weights may still be trained is run as it is. Otherwise its weights are taken
    as final, and the engine is kept until the network moves, or its precision or torch's threads
    change.
    """
    device = restorer.head.weight.device
    if any(parameter.requires_grad for parameter in restorer.parameters()):
        return PlainRestorerEngine(restorer, device)
    place = (device, torch.get_num_threads(), restorer.precision)
    known = _ENGINES.get(restorer)
    if known is None or known[0] != place:
        known = (place, _make(restorer, device))
        _ENGINES[restorer] = known
    return known[1]


def _make(restorer: Restorer, device: torch.device) -> RestorerEngine:
    if device.type == "cpu":
        try:
            from rescaling_core.engine.openvino_engine import is_usable
        except ImportError:  # an optional extra
            return PlainRestorerEngine(restorer, device)
        if is_usable():
            return OpenVinoRestorerEngine(restorer, threads=torch.get_num_threads())
    return PlainRestorerEngine(restorer, device)
