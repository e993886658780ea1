"""Ways to run a network on tensors, from the plain one to everything that may make it fast."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from rescaling_core.engine.dense import DenseBranches, Fusion
from rescaling_core.engine.fused import fuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.engine.fused import FusedDown, FusedUp
    from rescaling_core.networks.bijective import BijectiveRescaler
    from rescaling_core.precision import Precision

    Pass = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way; the defaults are the baseline: fp32, eager, one image at a time."""

    name: str
    fusion: Fusion | None = None
    """None: the network as it is."""
    channels_last: bool = False
    dtype: torch.dtype = torch.float32
    """Of the convolutions; what flows between the blocks stays float32 where they are fused."""
    batch: int = 1
    compiled: bool = False
    """By `torch.compile`, for the one shape."""
    graph: bool = False
    """Recorded once as a CUDA graph, then replayed."""
    tf32: bool = True
    """Whether convolutions may round to TF32, as is torch's default. Without effect on CPUs."""
    openvino: bool = False
    restores_in: Precision = "float32"
    """By OpenVINO alone."""


def variants(device: torch.device) -> list[Variant]:
    """Those worth comparing on a device; the first is the baseline."""
    plain = Variant(name="eager fp32, one image (baseline)")
    fused = Variant(name="fused", fusion="separate")
    if device.type != "cuda":
        return [
            plain,
            Variant(name="eager, channels-last", channels_last=True),
            Variant(name="eager, bf16 autocast", channels_last=True, dtype=torch.bfloat16),
            fused,
            Variant(name="fused, channels-last", fusion="separate", channels_last=True),
            Variant(name="fused, bf16", fusion="separate", channels_last=True,
                    dtype=torch.bfloat16),
            Variant(name="fused, compiled", fusion="separate", compiled=True),
            Variant(name="fused, OpenVINO", openvino=True),
            Variant(name="fused, OpenVINO, restoring in bf16", openvino=True,
                    restores_in="bfloat16"),
        ]  # fmt: skip
    return [plain, Variant(name="eager, TF32 off", tf32=False), *_cuda()]


def _cuda() -> list[Variant]:
    """Most promising first, and compiled last, so that a run cut short has measured much."""
    separate: dict[str, Any] = {"fusion": "separate", "channels_last": True}
    diagonal: dict[str, Any] = separate | {"fusion": "diagonal"}
    half: dict[str, Any] = {"dtype": torch.bfloat16}
    captured: dict[str, Any] = {"graph": True, "batch": 4}
    found = [
        Variant(name="eager, bf16 autocast", channels_last=True, **half),
        Variant(name="fused, bf16", **separate, **half),
        Variant(name="fused, bf16, graph, batch 4", **separate, **half, **captured),
        Variant(name="fused, bf16, compiled, graph", compiled=True, graph=True, **separate, **half),
        Variant(
            name="fused, bf16, compiled, graph, batch 4",
            compiled=True,
            **separate,
            **half,
            **captured,
        ),
        Variant(
            name="fused diagonal, bf16, compiled, graph, batch 4",
            compiled=True,
            **diagonal,
            **half,
            **captured,
        ),
        Variant(name="fused, fp16", dtype=torch.float16, **separate),
        Variant(name="fused diagonal, bf16", **diagonal, **half),
        Variant(name="fused grouped, bf16", fusion="grouped", channels_last=True, **half),
        Variant(name="eager, fp16 autocast", channels_last=True, dtype=torch.float16),
        Variant(name="eager, channels-last", channels_last=True),
        Variant(name="fused, fp32 (TF32)", **separate),
    ]
    return sorted(found, key=lambda variant: variant.compiled)


def make_passes(
    variant: Variant, rescaler: BijectiveRescaler, hr: Tensor, lr: Tensor
) -> tuple[Pass, Pass]:
    """Downscaling and restoring as a variant does them.

    Args:
        variant: Which.
        rescaler: In float32, on the device of the tensors.
        hr: (B, 3, H, W), of the shape that the first is to be called with.
        lr: (B, 3, h, w), likewise for the second.
    """
    if variant.openvino:
        from rescaling_core.engine.openvino_engine import OpenVinoEngine

        engine = OpenVinoEngine(
            *_fused(rescaler, None),
            threads=torch.get_num_threads(),
            restores_in=variant.restores_in,
        )
        return engine.downscale, lambda x: engine.upscale(x, None)
    modules = _modules(variant, rescaler)
    passes = [_tuned(variant, module) for module in modules]
    if variant.graph:
        passes = [_Graph(run, given) for run, given in zip(passes, (hr, lr), strict=True)]
    return passes[0], passes[1]


def _modules(variant: Variant, rescaler: BijectiveRescaler) -> tuple[nn.Module, nn.Module]:
    if variant.fusion is None:
        own = deepcopy(rescaler)  # a layout of weights is not to stay with the others
        return _Down(own), _Up(own)
    fused = _fused(rescaler, partial(DenseBranches, fusion=variant.fusion))
    device = next(rescaler.parameters()).device
    return cast("Any", tuple(module.to(device=device, dtype=variant.dtype) for module in fused))


def _fused(
    rescaler: BijectiveRescaler, join: Callable[..., nn.Module] | None
) -> tuple[FusedDown, FusedUp]:
    fused = fuse(rescaler, join)
    if fused is None:
        raise ValueError(f"{rescaler.family} is not made of blocks that can be fused")
    return fused


def _tuned(variant: Variant, module: nn.Module) -> Pass:
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    run: Any = module.to(memory_format=layout)
    if variant.compiled:
        run = torch.compile(module, dynamic=False)

    def call(x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=layout)
        if variant.fusion is None and variant.dtype != torch.float32:
            with torch.autocast(x.device.type, variant.dtype):
                return cast("Tensor", run(x).float())
        return cast("Tensor", run(x))

    return call


class _Down(nn.Module):
    """The network's own forward pass, LR half."""

    def __init__(self, rescaler: BijectiveRescaler) -> None:
        super().__init__()
        self.rescaler = rescaler

    def forward(self, hr: Tensor) -> Tensor:
        return self.rescaler.downscale(hr, self.rescaler.scale).lr


class _Up(nn.Module):
    """The network's own inverse with z = 0."""

    def __init__(self, rescaler: BijectiveRescaler) -> None:
        super().__init__()
        self.rescaler = rescaler

    def forward(self, lr: Tensor) -> Tensor:
        latent = torch.zeros_like(lr[:, :1]).expand(-1, self.rescaler.latent_channels, -1, -1)
        return self.rescaler.decode(torch.cat((lr, latent), dim=1))


class _Graph:
    """A pass as a CUDA graph for one shape; the input is copied in, the output is its own."""

    def __init__(self, run: Pass, given: Tensor) -> None:
        self._given = given.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run(self._given)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._result = run(self._given)

    def __call__(self, x: Tensor) -> Tensor:
        self._given.copy_(x)
        self._graph.replay()
        return self._result
