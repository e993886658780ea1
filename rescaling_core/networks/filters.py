"""Plain filters behind the rescalers' interface: the baselines everything is compared with."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from rescaling_core.networks.base import Downscaled, ResamplingRescaler, ScaleRange, Window
from rescaling_core.networks.family import Family
from rescaling_core.networks.latent import LatentKind, LatentPolicy
from rescaling_core.networks.resampling import Kernel, resize, resize_part

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from rescaling_core.networks.family import StateDict


class FilterRescaler(ResamplingRescaler):
    """Bicubic or Lanczos, both ways. No weights, no latent, any scale."""

    family: ClassVar[str] = "filter"
    latent_kinds: ClassVar[tuple[LatentKind, ...]] = ("none",)

    def __init__(self, *, kernel: Kernel, latent_policy: LatentPolicy) -> None:
        super().__init__(scales=ScaleRange(1.0, inf), latent_policy=latent_policy)
        if kernel not in ("bicubic", "lanczos"):
            raise ValueError(f"no kernel named {kernel!r}; bicubic or lanczos")
        self.kernel: Kernel = kernel

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return {"kernel": self.kernel}

    def downscale(self, hr: Tensor, scale: float) -> Downscaled:
        """See `Rescaler.downscale`."""
        self.check_scale(scale)
        size = self.lr_size((hr.shape[-2], hr.shape[-1]), scale)
        return Downscaled(resize(hr, size, scale=1.0 / scale, kernel=self.kernel), None)

    def upscale(
        self,
        lr: Tensor,
        size: tuple[int, int],
        *,
        scale: float,
        latent: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """See `Rescaler.upscale`; `latent` and `generator` have no effect."""
        self.check_scale(scale)
        return resize(lr, size, scale=float(scale), kernel=self.kernel)

    def restoring_graph(self) -> bytes:
        """See `Rescaler.restoring_graph`.

        Raises:
            ValueError: Always: a filter is a formula, which docs/formats.md states.
        """
        raise ValueError(f"{self.kernel} has no weights, and no graph is kept of it")

    def downscale_part(self, hr: Tensor, scale: float, part: tuple[Window, Window]) -> Tensor:
        """See `ResamplingRescaler.downscale_part`."""
        return self._part(hr, 1.0 / scale, part)

    def upscale_part(self, lr: Tensor, scale: float, part: tuple[Window, Window]) -> Tensor:
        """See `ResamplingRescaler.upscale_part`."""
        return self._part(lr, float(scale), part)

    def _part(self, image: Tensor, ratio: float, part: tuple[Window, Window]) -> Tensor:
        rows, columns = ((axis.given, axis.asked, axis.length) for axis in part)
        return resize_part(image, (rows, columns), ratio, kernel=self.kernel)


def _deduce(state_dict: StateDict) -> dict[str, Any]:
    raise ValueError("a filter has no weights")


FAMILY = Family(
    rescaler=FilterRescaler,
    title="Bicubic and Lanczos filters",
    latent_policy=LatentPolicy("none"),
    deduce=_deduce,
)
