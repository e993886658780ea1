"""The one interface of all rescalers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from rescaling_core.errors import UsageError
from rescaling_core.networks.haar import Haar
from rescaling_core.networks.latent import LatentKind, LatentPolicy, gaussian_latent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.precision import Precision


@dataclass(frozen=True, slots=True)
class ScaleRange:
    """The scales (HR side / LR side) a rescaler was made for."""

    minimum: float
    maximum: float

    def __contains__(self, scale: float) -> bool:
        return self.minimum <= scale <= self.maximum

    def __str__(self) -> str:
        if self.minimum == self.maximum:
            return f"x{self.minimum:g}"
        if self.maximum == inf:
            return f"x{self.minimum:g}+"
        return f"x{self.minimum:g}-x{self.maximum:g}"


@dataclass(frozen=True, slots=True)
class Downscaled:
    """What the forward pass of a rescaler gives."""

    lr: Tensor
    """(B, 3, h, w), near [0, 1], neither clamped nor rounded."""
    latent: Tensor | None
    """(B, C, h, w), what downscaling discards; None where the network has no latent."""
    lr_compressed: Tensor | None = None
    """SAIN only: (B, 3, h, w), its prediction of the LR image after a lossy codec. With SAIN it is
    this image, not `lr`, that restores exactly together with the latent."""


class Rescaler(nn.Module, ABC):
    """A pair of maps trained together: HR → LR and LR → HR."""

    family: ClassVar[str]
    """The key under which `networks.FAMILIES` knows the class."""
    latent_kinds: ClassVar[tuple[LatentKind, ...]] = ("zeros", "gaussian")
    """The latent policies it can restore with."""
    precision: Precision = "float32"
    """In which engines restore with it."""

    def __init__(self, *, scales: ScaleRange, latent_policy: LatentPolicy) -> None:
        super().__init__()
        if latent_policy.kind not in self.latent_kinds:
            kinds = ", ".join(self.latent_kinds)
            raise ValueError(f"latents are {kinds}, not {latent_policy.kind}")
        self.scales = scales
        self.latent_policy = latent_policy

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """JSON-able keyword arguments that build the same network again."""

    @abstractmethod
    def downscale(self, hr: Tensor, scale: float) -> Downscaled:
        """Downscale a batch.

        Args:
            hr: (B, 3, H, W) RGB in [0, 1], any H, W ≥ 1.
            scale: HR side / LR side, within `scales`.

        Returns:
            The LR image of `lr_size((H, W), scale)` and the latent.
        """

    @abstractmethod
    def upscale(
        self,
        lr: Tensor,
        size: tuple[int, int],
        *,
        scale: float,
        latent: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Restore a batch.

        Args:
            lr: (B, 3, h, w) RGB in [0, 1], as decoded from the stored file.
            size: (H, W) of the HR image to return.
            scale: The scale it was downscaled by.
            latent: The latent to use; by default one drawn as `latent_policy` says.
            generator: Where a random draw comes from; needed if the policy is random.

        Returns:
            (B, 3, H, W), near [0, 1], neither clamped nor rounded.
        """

    @abstractmethod
    def restoring_graph(self) -> bytes:
        """Restoration as an ONNX file; docs/formats.md says how it is run.

        It takes an LR image of any size, or a part of one, as `rescale.restore_pixels` cuts it.
        """

    def check_constants(self, state_dict: Mapping[str, Tensor]) -> None:
        """Refuse weights whose fixed tensors differ from those the network computes with.

        Raises:
            CheckpointError: They differ.
        """
        for name, module in self.named_modules():
            if isinstance(module, Haar):
                module.check_constants(state_dict[f"{name}.haar_weights"])

    def check_scale(self, scale: float) -> None:
        """Refuse a scale the network was not made for.

        Raises:
            UsageError: `scale` is outside `scales`.
        """
        if scale not in self.scales:
            raise UsageError(f"{self.family}: made for {self.scales}, asked for x{scale:g}")

    def lr_size(self, size: tuple[int, int], scale: float) -> tuple[int, int]:
        """(h, w) of the LR image of an (H, W) image; partial blocks count as whole ones."""
        return ceil(size[0] / scale), ceil(size[1] / scale)

    def draw_latent(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        """Draw a latent of `shape` as the policy says, on the CPU.

        Raises:
            ValueError: The policy is random and there is no generator, or the network has
                no latent.
        """
        policy = self.latent_policy
        if policy.kind == "zeros":
            return torch.zeros(shape)
        if policy.kind == "gaussian":
            return gaussian_latent(shape, policy.std, self.need(generator))
        raise ValueError(f"{self.family}: no latent can be drawn for policy {policy.kind!r}")

    def need(self, generator: torch.Generator | None) -> torch.Generator:
        """The generator.

        Raises:
            ValueError: It is None.
        """
        if generator is None:
            raise ValueError(f"{self.family}: latents are drawn, so a generator is needed")
        return generator


@dataclass(frozen=True, slots=True)
class Window:
    """A part of one axis: what of the input is given, and what of the output is asked for."""

    given: slice
    """Input pixels."""
    asked: slice
    """Output pixels."""
    length: int
    """Input pixels of the whole axis."""
    result: int
    """Output pixels of the whole axis."""


class ResamplingRescaler(Rescaler):
    """A rescaler without a bijection, which can make a part of an image out of a part.

    What a part lacks is context: the more is given around it, the nearer it is to the whole.
    """

    @abstractmethod
    def downscale_part(self, hr: Tensor, scale: float, part: tuple[Window, Window]) -> Tensor:
        """The pixels `part` asks for of the LR image, from those it gives of the HR image.

        Args:
            hr: (B, 3, rows given, columns given).
            scale: HR side / LR side.
            part: Of rows and of columns.

        Returns:
            (B, 3, rows asked for, columns asked for).
        """

    @abstractmethod
    def upscale_part(self, lr: Tensor, scale: float, part: tuple[Window, Window]) -> Tensor:
        """The pixels `part` asks for of the HR image, from those it gives of the LR image."""
