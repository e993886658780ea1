"""IRN-Color: a grey image from which the colours come back (Xiao et al., IJCV 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from rescaling_core.networks.bijective import SequentialRescaler
from rescaling_core.networks.coupling import InvBlock, dense_block_config
from rescaling_core.networks.family import Family
from rescaling_core.networks.latent import LatentPolicy

if TYPE_CHECKING:
    from rescaling_core.networks.family import StateDict
    from rescaling_core.networks.graph import Graph, Node


class IRNColor(SequentialRescaler):
    """IRN without a change of size: the "LR" image is one grey channel, the latent two.

    A learned 3×3 colour matrix, then coupling blocks split 1 | 2.

    Args:
        blocks: Coupling blocks.
        growth: Channels that each convolution of a dense block adds.
        depth: Convolutions in a dense block.
        latent_policy: What restoration receives for z; zeros in the released model.
    """

    family: ClassVar[str] = "irn-color"
    lr_channels: ClassVar[int] = 1

    def __init__(
        self, *, blocks: int, growth: int = 32, depth: int = 5, latent_policy: LatentPolicy
    ) -> None:
        super().__init__(scale=1, multiple=1, latent_policy=latent_policy)
        self._config = {"blocks": blocks, "growth": growth, "depth": depth}
        operations: list[nn.Module] = [ColorMatrix()]
        operations += [InvBlock(3, split=1, growth=growth, depth=depth) for _ in range(blocks)]
        self.operations = nn.ModuleList(operations)

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return dict(self._config)


class ColorMatrix(nn.Module):
    """A learned 3×3 matrix over the channels; it starts as RGB to YUV.

    Source: IRN `Conv1x1Grey`.
    """

    def __init__(self) -> None:
        super().__init__()
        yuv = [[0.299, 0.587, 0.114], [-0.147, -0.289, 0.436], [0.615, -0.515, -0.100]]
        self.conv_weights = nn.Parameter(torch.tensor(yuv))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → the same."""
        return torch.einsum("qp,bphw->bqhw", self.conv_weights, x)

    def inverse(self, y: Tensor) -> Tensor:
        """The inverse of `forward`."""
        return torch.einsum("pq,bqhw->bphw", torch.linalg.inv(self.conv_weights), y)

    def inverse_graph(self, g: Graph, y: Node, channels: int) -> Node:
        """`inverse` as nodes."""
        return g.conv(y, torch.linalg.inv(self.conv_weights.detach().cpu())[:, :, None, None])


def _deduce(state_dict: StateDict) -> dict[str, Any]:
    if state_dict["operations.0.conv_weights"].shape != (3, 3):
        raise ValueError("the first operation is not a colour matrix")
    indices = {int(key.split(".")[1]) for key in state_dict}
    return {"blocks": max(indices)} | dense_block_config(state_dict, "operations")


FAMILY = Family(
    rescaler=IRNColor,
    title="IRN-Color (IJCV 2022)",
    latent_policy=LatentPolicy("zeros"),
    deduce=_deduce,
)
