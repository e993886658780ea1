"""IRN: invertible image rescaling (Xiao et al., ECCV 2020; IJCV 2022)."""

from __future__ import annotations

from math import log2
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from rescaling_core.networks.base import BijectiveRescaler
from rescaling_core.networks.coupling import InvBlock
from rescaling_core.networks.haar import Haar
from rescaling_core.networks.latent import LatentPolicy


class IRN(BijectiveRescaler):
    """Haar transforms, each followed by coupling blocks.

    x2: Haar, 8 blocks. x4: Haar, 8 blocks at 12 channels, Haar over all 12, 8 blocks at 48.
    The first three channels are the LR image at every stage.
    """

    family: ClassVar[str] = "irn"

    def __init__(
        self,
        *,
        scale: int,
        blocks: tuple[int, ...],
        growth: int = 32,
        depth: int = 5,
        latent_policy: LatentPolicy,
    ) -> None:
        super().__init__(scale=scale, multiple=scale, latent_policy=latent_policy)
        self.blocks, self.growth, self.depth = tuple(blocks), growth, depth
        if 2 ** len(self.blocks) != scale:
            raise ValueError(f"irn: x{scale} has {log2(scale):g} stages, not {len(self.blocks)}")
        operations: list[nn.Module] = []
        channels = 3
        for count in self.blocks:
            operations.append(Haar(channels))
            channels *= 4
            operations.extend(
                InvBlock(channels, growth=growth, depth=depth) for _ in range(count)
            )
        self.operations = nn.ModuleList(operations)

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return {
            "scale": self.scale,
            "blocks": list(self.blocks),
            "growth": self.growth,
            "depth": self.depth,
        }

    def encode(self, x: Tensor) -> Tensor:
        """See `BijectiveRescaler.encode`."""
        for operation in self.operations:
            x = operation(x)
        return x

    def decode(self, y: Tensor) -> Tensor:
        """See `BijectiveRescaler.decode`."""
        for operation in reversed(self.operations):
            y = cast("Haar | InvBlock", operation).inverse(y)
        return y
