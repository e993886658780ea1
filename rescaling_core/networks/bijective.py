"""Rescalers made of one bijection between the HR image and the LR image with its latent."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rescaling_core.networks.base import Downscaled, Rescaler, ScaleRange
from rescaling_core.networks.haar import ConvDownsampling, Haar

if TYPE_CHECKING:
    from rescaling_core.networks.graph import Graph, Node
    from rescaling_core.networks.latent import LatentPolicy


class BijectiveRescaler(Rescaler):
    """A rescaler made of one bijection x ↔ (LR, z) between HR pixels and 3·s² LR channels.

    HR sides that are not a multiple of `multiple` are padded on the right and at the bottom by
    repeating the edge ("replicate"); restoration crops back.
    """

    lr_channels: ClassVar[int] = 3

    def __init__(self, *, scale: int, multiple: int, latent_policy: LatentPolicy) -> None:
        super().__init__(scales=ScaleRange(scale, scale), latent_policy=latent_policy)
        self.scale = scale
        self.multiple = multiple

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) with H, W multiples of `multiple` → (B, 3·s², H/s, W/s), LR first."""

    @abstractmethod
    def decode(self, y: Tensor) -> Tensor:
        """The inverse of `encode`."""

    def downscale(self, hr: Tensor, scale: float) -> Downscaled:
        """See `Rescaler.downscale`."""
        self.check_scale(scale)
        y = self.encode(pad_to_multiple(hr, self.multiple))
        return Downscaled(lr=y[:, : self.lr_channels], latent=y[:, self.lr_channels :])

    def upscale(
        self,
        lr: Tensor,
        size: tuple[int, int],
        *,
        scale: float,
        latent: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """See `Rescaler.upscale`."""
        self.check_scale(scale)
        if latent is None:
            b, _, h, w = lr.shape
            shape = (b, self.latent_channels, h, w)
            if self.latent_policy.kind == "zeros":  # made where they are needed
                latent = lr.new_zeros(shape)
            else:
                latent = self.draw_latent(shape, generator)
        latent = latent.to(lr)
        return self.decode(torch.cat((lr, latent), dim=1))[..., : size[0], : size[1]]

    def restoring_graph(self) -> bytes:
        """See `Rescaler.restoring_graph`; the latent is an input where the policy draws one."""
        from rescaling_core.networks.graph import Graph  # `onnx` takes half a second

        g = Graph()
        given = g.input("lr", [1, self.lr_channels, None, None])
        lr = self.lr_graph(g, given)
        if self.latent_policy.is_random:
            latent = g.input("latent", [1, self.latent_channels, None, None])
            y = g.join(lr, latent)
        else:
            y = g.zeros_behind(lr, self.latent_channels)
        note = {
            "kind": "tiles",
            "scale": self.scale,
            "lr_channels": self.lr_channels,
            "latent_channels": self.latent_channels,
            **self.latent_note(),
        }
        return g.finish(note, hr=self.decode_graph(g, y))

    def lr_graph(self, g: Graph, lr: Node) -> Node:
        """What is done to a decoded LR image first, as nodes: nothing."""
        return lr

    @abstractmethod
    def decode_graph(self, g: Graph, y: Node) -> Node:
        """`decode` as nodes."""

    def latent_note(self) -> dict[str, Any]:
        """What a draw of the latent needs beyond its policy."""
        return {}

    @property
    def latent_channels(self) -> int:
        """Channels of the latent at LR resolution."""
        return 3 * self.scale**2 - self.lr_channels


class Invertible(Protocol):
    """A module with an inverse."""

    def inverse_graph(self, g: Graph, y: Node, channels: int) -> Node:
        """`inverse` as nodes, of `channels` channels."""

    def inverse(self, y: Tensor) -> Tensor:
        """The inverse of `forward`."""


class SequentialRescaler(BijectiveRescaler):
    """A bijection that is a chain of operations with a `forward` and an `inverse` each."""

    operations: nn.ModuleList

    def encode(self, x: Tensor) -> Tensor:
        """See `BijectiveRescaler.encode`."""
        for operation in self.operations:
            x = operation(x)
        return x

    def decode(self, y: Tensor) -> Tensor:
        """See `BijectiveRescaler.decode`."""
        for operation in reversed(self.operations):
            y = cast("Invertible", operation).inverse(y)
        return y

    def decode_graph(self, g: Graph, y: Node) -> Node:
        """See `BijectiveRescaler.decode_graph`."""
        channels = self.lr_channels + self.latent_channels
        for operation in reversed(self.operations):
            y = cast("Invertible", operation).inverse_graph(g, y, channels)
            if isinstance(operation, Haar | ConvDownsampling):
                channels //= operation.factor
        return y


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the right and bottom edge of (B, C, H, W) until both sides are multiples."""
    bottom = -x.shape[-2] % multiple
    right = -x.shape[-1] % multiple
    if not bottom and not right:
        return x
    return F.pad(x, (0, right, 0, bottom), mode="replicate")
