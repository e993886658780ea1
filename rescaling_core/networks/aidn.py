"""AIDN: rescaling by any real scale with two trained CNNs (Xing et al., TIP 2023)."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import torch
from torch import Tensor

from rescaling_core.errors import CheckpointError
from rescaling_core.networks.aidn_half import Half
from rescaling_core.networks.aidn_layers import JpegTables
from rescaling_core.networks.base import Downscaled, ResamplingRescaler, ScaleRange, Window
from rescaling_core.networks.bijective import pad_to_multiple
from rescaling_core.networks.diffjpeg import jpeg
from rescaling_core.networks.family import Family
from rescaling_core.networks.latent import LatentKind, LatentPolicy
from rescaling_core.networks.place_graph import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.networks.family import StateDict

_ANY_SCALE: Final = ScaleRange(1.0, 4.0)


class AIDN(ResamplingRescaler):
    """One network down, one up; no bijection, no latent. With a codec simulator it is AIDN+.

    Args:
        features: Channels throughout.
        residual_blocks: In each of the two networks.
        adapt_every: Residual blocks from one scale adapter to the next.
        kernel_experts: Kernels that a scale adapter mixes.
        sample_experts: Matrices that the resampling mixes, per pixel.
        fixed_scale: A power of two: the pre-training variant, without adapters.
        aligned: Sample where output pixels are, not on the distorted grid of the published
            weights; ours are trained so.
        codec_quality: AIDN+: the JPEG quality of the simulator between the two, with tables of
            its own that official training moved away from the standard's.
        latent_policy: `none`.
    """

    family: ClassVar[str] = "aidn"
    latent_kinds: ClassVar[tuple[LatentKind, ...]] = ("none",)

    def __init__(
        self,
        *,
        features: int = 64,
        residual_blocks: int = 16,
        adapt_every: int = 4,
        kernel_experts: int = 4,
        sample_experts: int = 8,
        fixed_scale: int | None = None,
        aligned: bool = False,
        codec_quality: int | None = None,
        latent_policy: LatentPolicy,
    ) -> None:
        scales = _ANY_SCALE if fixed_scale is None else ScaleRange(fixed_scale, fixed_scale)
        super().__init__(scales=scales, latent_policy=latent_policy)
        if fixed_scale is not None and (fixed_scale < 2 or fixed_scale & (fixed_scale - 1)):
            raise ValueError(f"a fixed scale is a power of two, not {fixed_scale}")
        self.fixed_scale, self.codec_quality = fixed_scale, codec_quality
        self._config = {
            "features": features,
            "residual_blocks": residual_blocks,
            "adapt_every": adapt_every,
            "kernel_experts": kernel_experts,
            "sample_experts": sample_experts,
            "fixed_scale": fixed_scale,
            "aligned": aligned,
            "codec_quality": codec_quality,
        }
        shape = (features, residual_blocks, adapt_every, kernel_experts, sample_experts)
        self.down_net, self.up_net = (
            Half(*shape, fixed_scale=fixed_scale, aligned=aligned, up=up) for up in (False, True)
        )
        if codec_quality is not None:
            self.jpeg = JpegTables()

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return dict(self._config)

    def lr_size(self, size: tuple[int, int], scale: float) -> tuple[int, int]:
        """See `Rescaler.lr_size`; rounding as in the official code, which multiplies by 1/s."""
        ratio = 1.0 / scale
        return ceil(size[0] * ratio), ceil(size[1] * ratio)

    def downscale(self, hr: Tensor, scale: float) -> Downscaled:
        """See `Rescaler.downscale`."""
        self.check_scale(scale)
        size = self.lr_size((hr.shape[-2], hr.shape[-1]), scale)
        if self.fixed_scale is not None:
            hr = pad_to_multiple(hr, self.fixed_scale)
        return Downscaled(self.down_net(hr, 1.0 / scale, size), None)

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
        hr: Tensor = self.up_net(lr, float(scale), size)
        return hr[..., : size[0], : size[1]]

    def downscale_part(self, hr: Tensor, scale: float, part: tuple[Window, Window]) -> Tensor:
        """See `ResamplingRescaler.downscale_part`."""
        self.check_scale(scale)
        if self.fixed_scale is not None:
            hr = pad_to_multiple(hr, self.fixed_scale)
        return self._part(self.down_net, hr, 1.0 / scale, part)

    def upscale_part(self, lr: Tensor, scale: float, part: tuple[Window, Window]) -> Tensor:
        """See `ResamplingRescaler.upscale_part`."""
        self.check_scale(scale)
        return self._part(self.up_net, lr, float(scale), part)

    def _part(self, network: Half, x: Tensor, sigma: float, part: tuple[Window, Window]) -> Tensor:
        rows, columns = part
        if self.fixed_scale is None:
            # The last convolution sees one pixel more on each side, where there is one.
            wide = tuple(
                replace(axis, asked=slice(max(0, axis.asked.start - 1),
                                          min(axis.result, axis.asked.stop + 1)))
                for axis in part
            )  # fmt: skip
            origin = wide[0].asked.start, wide[1].asked.start
            size = wide[0].asked.stop - origin[0], wide[1].asked.stop - origin[1]
            y = network(x, sigma, size, (wide[0], wide[1]))
        else:
            # Without a grid, what is given is mapped as a whole.
            origin = round(rows.given.start * sigma), round(columns.given.start * sigma)
            y = network(x, sigma, (0, 0))
        top, left = rows.asked.start - origin[0], columns.asked.start - origin[1]
        bottom, right = rows.asked.stop - origin[0], columns.asked.stop - origin[1]
        return cast("Tensor", y[..., top:bottom, left:right])

    def restoring_graph(self) -> bytes:
        """See `Rescaler.restoring_graph`; scale and place are inputs where the scale is free."""
        from rescaling_core.networks.graph import Graph  # `onnx` takes half a second

        g = Graph()
        lr = g.input("lr", [1, 3, None, None])
        if self.fixed_scale is not None:
            note = {"kind": "tiles", "scale": self.fixed_scale, "lr_channels": 3}
            return g.finish(note, hr=self.up_net.graph(g, lr, None))
        place = Place.inputs(g)
        note = {"kind": "window", "lr_channels": 3}
        return g.finish(note, hr=self.up_net.graph(g, lr, place))

    def simulate_codec(self, lr: Tensor) -> Tensor:
        """AIDN+: what training and the official benchmark put between the two networks.

        Args:
            lr: (B, 3, h, w), quantised.

        Returns:
            The same shape; `lr` itself for AIDN.
        """
        if self.codec_quality is None:
            return lr
        return jpeg(lr, self.codec_quality, tables=self.jpeg.tables, rounding="exact")

    @torch.no_grad()
    def start_as_resampling(self) -> None:
        """Set new weights so that both halves begin as plain resampling, bicubic where `aligned`.

        RGB travels through the first three features, and nothing is added to it yet. The published
        initialisation has to find the way of the colours through thirty layers first.
        """
        for half in (self.down_net, self.up_net):
            half.start_as_resampling()

    def check_constants(self, state_dict: Mapping[str, Tensor]) -> None:
        """See `Rescaler.check_constants`: both directions of the simulator share their tables."""
        for plane in "yc" if self.codec_quality is not None else "":
            to = state_dict[f"jpeg.compress.{plane}_quantize.{plane}_table"]
            back = state_dict[f"jpeg.decompress.{plane}_dequantize.{plane}_table"]
            if not torch.equal(to, back):
                raise CheckpointError(f"aidn: the two {plane}_table differ")


def _deduce(state_dict: StateDict) -> dict[str, Any]:
    def highest(prefix: str, position: int) -> int:
        found = (key.split(".")[position] for key in state_dict if key.startswith(prefix))
        return max((int(part) for part in found), default=-1)

    blocks = highest("down_net.body.", 2)
    config: dict[str, Any] = {
        "features": state_dict["down_net.head.0.weight"].shape[0],
        "residual_blocks": blocks,
        "codec_quality": 90 if any(key.startswith("jpeg.") for key in state_dict) else None,
    }
    if "down_net.sa_sample.weight_compress" not in state_dict:
        return config | {"fixed_scale": 2 ** ((highest("down_net.tail.0.", 3) + 1) // 2)}
    return config | {
        "adapt_every": blocks // (highest("down_net.sa_adapt.", 2) + 1),
        "kernel_experts": state_dict["down_net.sa_adapt.0.adapt.weight_pool"].shape[0],
        "sample_experts": state_dict["down_net.sa_sample.weight_compress"].shape[0],
    }


FAMILY = Family(
    rescaler=AIDN,
    title="AIDN, AIDN+ (TIP 2023)",
    latent_policy=LatentPolicy("none"),
    deduce=_deduce,
)
