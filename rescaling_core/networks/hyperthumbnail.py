"""HyperThumbnail: a heavy encoder and a light decoder (Qi et al., CVPR 2023): our reading of it.

Its LR image is a JPEG file. The encoder is not inverted: it may take its time, since an image is
archived once, and the decoder that restores is small and quick. With the official network (MIT)
this one shares that, the decoder over pixels (EDSR of 24 features and 16 blocks) with a branch over
the 8×8 DCT coefficients of the LR image, and its training through a codec with a price on bits.
What differs is Refold's, and no parity is claimed:

- Quantisation tables are the standard's at a quality. The official encoder predicts them for each
  image; a plan of Refold names a codec and a quality, and the choice of a quality for each image
  is what a floor does.
- The coefficients are taken of the decoded pixels, which is what a rescaler is given here. The
  branch sees each 8×8 block on its own, so that an image can be restored in tiles with little
  context; the official one sees hundreds of pixels far.
- The encoder works on one grid, where the official one is a U-Net of three.
- Both halves start as plain resampling and learn what to add to it.
- The decoder's pixels and the branch's features are each made by one convolution and a shuffle.
- Bits are estimated by a formula (`training.rate`), not by a learned entropy model.

Source: `AbnerVictor/HyperThumbnail` @ 4bbaba6, read, not copied.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any, ClassVar

from rescaling_core.networks.base import Downscaled, ResamplingRescaler, ScaleRange, Window
from rescaling_core.networks.bijective import pad_to_multiple
from rescaling_core.networks.family import Family
from rescaling_core.networks.hyperthumbnail_layers import Decoder, Encoder
from rescaling_core.networks.latent import LatentKind, LatentPolicy
from rescaling_core.networks.place_graph import Place

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from rescaling_core.networks.family import StateDict


class HyperThumbnail(ResamplingRescaler):
    """One network down, a much smaller one up; no bijection, no latent.

    Args:
        scale: HR side / LR side, from 2.
        features: Channels of the decoder.
        residual_blocks: Of the decoder, over pixels.
        coefficient_blocks: Of its branch over DCT coefficients; None where there is none.
        encoder_features: Channels of the encoder.
        encoder_blocks: Its dense blocks.
        growth: Channels that each convolution of a dense block adds.
        latent_policy: `none`.
    """

    family: ClassVar[str] = "hyperthumbnail"
    latent_kinds: ClassVar[tuple[LatentKind, ...]] = ("none",)

    def __init__(
        self,
        *,
        scale: int,
        features: int = 24,
        residual_blocks: int = 16,
        coefficient_blocks: int | None = 4,
        encoder_features: int = 64,
        encoder_blocks: int = 4,
        growth: int = 32,
        latent_policy: LatentPolicy,
    ) -> None:
        super().__init__(scales=ScaleRange(scale, scale), latent_policy=latent_policy)
        if scale < 2 or min(features, encoder_features, growth) < 1:
            raise ValueError("scale is at least 2; features and growth are at least 1")
        self.scale = scale
        self._config = {
            "scale": scale,
            "features": features,
            "residual_blocks": residual_blocks,
            "coefficient_blocks": coefficient_blocks,
            "encoder_features": encoder_features,
            "encoder_blocks": encoder_blocks,
            "growth": growth,
        }
        self.encoder = Encoder(
            scale, features=encoder_features, blocks=encoder_blocks, growth=growth
        )
        self.decoder = Decoder(
            scale, features=features, blocks=residual_blocks, coefficient_blocks=coefficient_blocks
        )

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return dict(self._config)

    def downscale(self, hr: Tensor, scale: float) -> Downscaled:
        """See `Rescaler.downscale`."""
        self.check_scale(scale)
        return Downscaled(self.encoder(pad_to_multiple(hr, self.scale)), None)

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
        hr: Tensor = self.decoder(lr, (0, 0))
        return hr[..., : size[0], : size[1]]

    def downscale_part(self, hr: Tensor, scale: float, part: tuple[Window, Window]) -> Tensor:
        """See `ResamplingRescaler.downscale_part`; what is given begins at a multiple of s."""
        self.check_scale(scale)
        lr: Tensor = self.encoder(pad_to_multiple(hr, self.scale))
        rows, columns = (_moved(axis.asked, -(axis.given.start // self.scale)) for axis in part)
        return lr[..., rows, columns]

    def upscale_part(self, lr: Tensor, scale: float, part: tuple[Window, Window]) -> Tensor:
        """See `ResamplingRescaler.upscale_part`."""
        self.check_scale(scale)
        first = (part[0].given.start, part[1].given.start)
        hr: Tensor = self.decoder(lr, first)
        rows, columns = (_moved(axis.asked, -axis.given.start * self.scale) for axis in part)
        return hr[..., rows, columns]

    def restoring_graph(self) -> bytes:
        """See `Rescaler.restoring_graph`; it is told where a part lies, on the grid of JPEG."""
        from rescaling_core.networks.graph import Graph  # `onnx` takes half a second

        g = Graph()
        lr = g.input("lr", [1, 3, None, None])
        sides = Place.inputs(g).sides
        hr = self.decoder.graph(g, lr, (sides[0]["given"], sides[1]["given"]))
        starts, stops = [], []
        for side in sides:
            origin = g.mul(side["given"], g.constant([self.scale], "int"))
            starts.append(g.sub(side["first"], origin))
            stops.append(g.sub(side["stop"], origin))
        ends = (g.op("Concat", *side, axis=0) for side in (starts, stops))
        asked = g.op("Slice", hr, *ends, g.constant([2, 3], "int"))
        return g.finish({"kind": "window", "lr_channels": 3}, hr=asked)


def _moved(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)


def _deduce(state_dict: StateDict) -> dict[str, Any]:
    def count(prefix: str) -> int:
        depth = prefix.count(".")
        found = {key.split(".")[depth] for key in state_dict if key.startswith(prefix)}
        return len(found)

    has_branch = "decoder.coefficients.head.weight" in state_dict
    growth = state_dict.get("encoder.body.0.conv1.weight")
    return {
        "scale": isqrt(state_dict["decoder.last.weight"].shape[0] // 3),
        "features": state_dict["decoder.head.weight"].shape[0],
        "residual_blocks": count("decoder.body."),
        "coefficient_blocks": count("decoder.coefficients.body.") if has_branch else None,
        "encoder_features": state_dict["encoder.head.weight"].shape[0],
        "encoder_blocks": count("encoder.body."),
        **({} if growth is None else {"growth": growth.shape[0]}),
    }


FAMILY = Family(
    rescaler=HyperThumbnail,
    title="HyperThumbnail (CVPR 2023), Refold's reading",
    latent_policy=LatentPolicy("none"),
    deduce=_deduce,
    notes=(
        "Refold's reading of the paper: a heavy encoder, a light decoder over pixels and DCT "
        "coefficients, trained through JPEG with a price on bits. Quantisation tables are not "
        "predicted, and official weights have another layout. No parity with the paper is claimed."
    ),
)
