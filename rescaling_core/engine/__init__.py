"""Networks as they are run: the same function as in `networks`, rearranged for speed.

`engine_for` picks the fastest that was measured to give equal output; docs/performance.md has the
figures. An engine is made once for a network and kept with it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch

from rescaling_core.engine.base import Engine, FusedEngine, PlainEngine
from rescaling_core.engine.forks import made_again_in_forks
from rescaling_core.engine.fused import fuse
from rescaling_core.engine.together import Together

if TYPE_CHECKING:
    from rescaling_core.networks.bijective import BijectiveRescaler

__all__ = ["Engine", "engine_for"]

# OpenVINO's telemetry sends a count as soon as `openvino` is imported, whatever DO_NOT_TRACK says,
# and leaves an id in the home folder. Where it cannot be imported, OpenVINO uses a stub instead.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

_ENGINES: WeakKeyDictionary[BijectiveRescaler, tuple[object, Together]] = WeakKeyDictionary()
made_again_in_forks(_ENGINES)


def engine_for(rescaler: BijectiveRescaler) -> Engine:
    """The engine that runs `rescaler` where it lives.

    A network whose weights may still be trained is run as it is. Otherwise its weights are taken
    as final; an engine is made again only if the network moves, or its precision or torch's threads
    change. Threads that restore at once share its passes.
    """
    parameters = list(rescaler.parameters())
    device = parameters[0].device if parameters else torch.device("cpu")
    if any(parameter.requires_grad for parameter in parameters):
        return PlainEngine(rescaler)
    place = (device, torch.get_num_threads(), rescaler.precision)
    known = _ENGINES.get(rescaler)
    if known is None or known[0] != place:
        known = (place, Together(_make(rescaler, device)))
        _ENGINES[rescaler] = known
    return known[1]


def _make(rescaler: BijectiveRescaler, device: torch.device) -> Engine:
    fused = fuse(rescaler)
    if fused is None:
        return PlainEngine(rescaler)
    if device.type == "cpu":
        try:
            from rescaling_core.engine.openvino_engine import OpenVinoEngine, is_usable
        except ImportError:  # an optional extra
            return FusedEngine(*fused)
        if is_usable():
            threads = torch.get_num_threads()
            return OpenVinoEngine(*fused, threads=threads, restores_in=rescaler.precision)
    return FusedEngine(*fused)
