"""IRN: invertible image rescaling (Xiao et al., ECCV 2020; IJCV 2022)."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from rescaling_core.networks.bijective import SequentialRescaler
from rescaling_core.networks.coupling import InvBlock, dense_block_config
from rescaling_core.networks.family import Family
from rescaling_core.networks.haar import ConvDownsampling, Haar
from rescaling_core.networks.latent import LatentPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rescaling_core.networks.family import StateDict


class IRN(SequentialRescaler):
    """Downsampling transforms, each followed by coupling blocks.

    x2: Haar, 8 blocks. x4: Haar, 8 blocks at 12 channels, Haar over all 12, 8 blocks at 48. x8:
    one stage more. x3: one learned space-to-depth transform, 12 blocks at 27 channels. The first
    three channels are the LR image at every stage. IRN+ is the same network, trained otherwise.

    Args:
        scale: 2, 4 or 8 by Haar transforms; any other by one learned transform.
        blocks: Coupling blocks after each transform.
        growth: Channels that each convolution of a dense block adds.
        depth: Convolutions in a dense block.
        down_first: All Haar transforms come first; `blocks` then has one entry.
        latent_policy: What restoration receives for z.
    """

    family: ClassVar[str] = "irn"

    def __init__(
        self,
        *,
        scale: int,
        blocks: tuple[int, ...],
        growth: int = 32,
        depth: int = 5,
        down_first: bool = False,
        latent_policy: LatentPolicy,
    ) -> None:
        super().__init__(scale=scale, multiple=scale, latent_policy=latent_policy)
        self.blocks, self.growth, self.depth = tuple(blocks), growth, depth
        self.down_first = down_first
        transforms = (
            [Haar(3 * 4**k) for k in range(scale.bit_length() - 1)]
            if scale.bit_count() == 1
            else [ConvDownsampling(3, scale)]
        )
        self.operations = chain_operations(
            transforms,
            self.blocks,
            lambda channels: InvBlock(channels, growth=growth, depth=depth),
            down_first=down_first,
        )

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return {
            "scale": self.scale,
            "blocks": list(self.blocks),
            "growth": self.growth,
            "depth": self.depth,
            "down_first": self.down_first,
        }


def chain_operations(
    transforms: Sequence[Haar | ConvDownsampling],
    blocks: tuple[int, ...],
    make_block: Callable[[int], nn.Module],
    *,
    down_first: bool = False,
) -> nn.ModuleList:
    """Transforms, each followed by as many blocks as `blocks` says; or all, then the blocks.

    Raises:
        ValueError: `blocks` has not one entry for each stage.
    """
    stages = [transforms] if down_first else [[transform] for transform in transforms]
    if len(blocks) != len(stages):
        raise ValueError(f"{len(stages)} stages need as many numbers of blocks, not {len(blocks)}")
    operations: list[nn.Module] = []
    for stage, count in zip(stages, blocks, strict=True):
        operations.extend(stage)
        operations.extend(make_block(stage[-1].out_channels) for _ in range(count))
    return nn.ModuleList(operations)


def deduce_stages(state_dict: StateDict) -> dict[str, Any]:
    """Read scale, blocks and their order off the keys `operations.…`."""
    indices = {int(key.split(".")[1]) for key in state_dict if key.startswith("operations.")}
    scale, transforms, blocks, in_transforms = 1, 0, [0], False
    for k in range(max(indices) + 1):
        if f"operations.{k}.haar_weights" in state_dict:
            scale *= 2
        elif f"operations.{k}.conv_weights" in state_dict:
            scale *= isqrt(state_dict[f"operations.{k}.conv_weights"].shape[0])
        else:
            blocks[-1] += 1
            in_transforms = False
            continue
        if transforms and not in_transforms:
            blocks.append(0)
        transforms, in_transforms = transforms + 1, True
    return {
        "scale": scale,
        "blocks": blocks,
        "down_first": transforms > 1 and len(blocks) == 1,
    }


def deduce(state_dict: StateDict) -> dict[str, Any]:
    """See `Family.deduce`."""
    return deduce_stages(state_dict) | dense_block_config(state_dict, "operations")


FAMILY = Family(
    rescaler=IRN,
    title="IRN (ECCV 2020; IJCV 2022)",
    latent_policy=LatentPolicy("gaussian"),
    deduce=deduce,
)
