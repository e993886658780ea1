"""Lifting: a wavelet whose predict and update steps are small convolutions (Sweldens, 1996)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from rescaling_core.networks.bijective import SequentialRescaler
from rescaling_core.networks.family import Family
from rescaling_core.networks.haar import Haar
from rescaling_core.networks.latent import LatentPolicy

if TYPE_CHECKING:
    from rescaling_core.networks.family import StateDict
    from rescaling_core.networks.graph import Graph, Node


class LiftingStep(nn.Module):
    """Predicts the details from the LR image; what is left of them is the latent.

    Any function of the part that stays unchanged can be taken away and added back exactly.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.predict = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 9, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 12, h, w), LR first → the same, less what the LR image predicts of the details."""
        lr, details = x[:, :3], x[:, 3:]
        return torch.cat((lr, details - self.predict(lr)), dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        """The inverse of `forward`."""
        lr, latent = y[:, :3], y[:, 3:]
        return torch.cat((lr, latent + self.predict(lr)), dim=1)

    def inverse_graph(self, g: Graph, y: Node, channels: int) -> Node:
        """`inverse` once more, as the nodes of the ONNX file that an archive keeps."""
        lr, latent = g.split(y, 3, channels - 3)
        first, _, last = self.predict
        predicted = g.conv2d(g.op("Relu", g.conv2d(lr, first)), last)
        return g.join(lr, g.add(latent, predicted))


class Lifting(SequentialRescaler):
    """Haar at x2, then one lifting step.

    Args:
        width: Channels between the two convolutions of the step.
        latent_policy: What restoration receives for z.
    """

    family: ClassVar[str] = "lifting"

    def __init__(self, *, width: int, latent_policy: LatentPolicy) -> None:
        super().__init__(scale=2, multiple=2, latent_policy=latent_policy)
        self.width = width
        self.operations = nn.ModuleList([Haar(3), LiftingStep(width)])

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return {"width": self.width}


def _deduce(state_dict: StateDict) -> dict[str, Any]:
    return {"width": state_dict["operations.1.predict.0.weight"].shape[0]}


FAMILY = Family(
    rescaler=Lifting,
    title="Lifting steps (Sweldens, 1996)",
    latent_policy=LatentPolicy("zeros"),
    deduce=_deduce,
)
