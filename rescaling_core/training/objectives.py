"""What a training step minimises: one function per objective, all of the same shape."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

import torch
from torch import Tensor

from rescaling_core.errors import UsageError
from rescaling_core.networks.aidn import AIDN
from rescaling_core.networks.quantise import quantise
from rescaling_core.networks.resampling import resize
from rescaling_core.networks.sain import SAIN
from rescaling_core.training.channel import draw_codec, through_codec, transmit
from rescaling_core.training.losses import Loss, aidn_loss, irn_loss, sain_loss
from rescaling_core.training.rate import estimated_rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.networks import Rescaler
    from rescaling_core.training.recipe import Distance, ObjectiveName, Recipe

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
_CHARBONNIER_EPSILON: Final = 1e-6


class StepLoss(Protocol):
    """The loss of one step."""

    def __call__(
        self,
        rescaler: Rescaler,
        hr: Tensor,
        scale: float,
        recipe: Recipe,
        generator: torch.Generator,
    ) -> Loss:
        """Down, through 8 bits and the channel, up again, and compare.

        Args:
            rescaler: The network in training.
            hr: (B, 3, P, P) RGB in [0, 1].
            scale: HR side / LR side.
            recipe: The objective's weights, and the compression.
            generator: Where latents, codecs and qualities are drawn from.
        """


def plain_loss(
    rescaler: Rescaler, hr: Tensor, scale: float, recipe: Recipe, generator: torch.Generator
) -> Loss:
    """Means over samples: distance of the restored patch, and a weak pull of the LR image.

    What Refold's own weights are trained with.
    """
    objective = recipe.objective
    codec = draw_codec(recipe.compression, generator)
    down = rescaler.downscale(hr, scale)
    rounded = quantise(down.lr)
    decoded = transmit(rounded, codec, recipe.compression)
    restored = rescaler.upscale(decoded, _size(hr), scale=scale, generator=generator)
    terms = {
        "restoration": distance(restored, hr, objective.restoration),
        "guidance": objective.guidance * torch.mean((down.lr - bicubic(hr, down.lr, scale)) ** 2),
    }
    if objective.luma:
        terms["luma"] = objective.luma * distance(_luma(restored), _luma(hr), objective.restoration)
    if objective.rate and codec is not None:
        # The gradient of a logarithm, in proportion to the distances it competes with.
        rate = estimated_rate(rounded, decoded, codec)
        missed = (terms["restoration"] + terms.get("luma", 0)).detach()
        terms["rate"] = objective.rate * missed * rate / rate.detach().clamp(min=0.01)
    return Loss(torch.stack(list(terms.values())).sum(), MappingProxyType(terms))


def paper_irn_loss(
    rescaler: Rescaler, hr: Tensor, scale: float, recipe: Recipe, generator: torch.Generator
) -> Loss:
    """IRN as published; the latent is penalised only if restoration draws one."""
    codec = draw_codec(recipe.compression, generator)
    down = rescaler.downscale(hr, scale)
    decoded = transmit(quantise(down.lr), codec, recipe.compression)
    restored = rescaler.upscale(decoded, _size(hr), scale=scale, generator=generator)
    return irn_loss(
        hr=hr,
        restored=restored,
        lr=down.lr,
        lr_reference=bicubic(hr, down.lr, scale),
        latent=down.latent if rescaler.latent_policy.is_random else None,
        scale=scale,
        guidance=recipe.objective.guidance,
    )


def paper_sain_loss(
    rescaler: Rescaler, hr: Tensor, scale: float, recipe: Recipe, generator: torch.Generator
) -> Loss:
    """SAIN as published, but for the codec and quality, which the recipe may sample."""
    if not isinstance(rescaler, SAIN):
        raise UsageError(f"recipe {recipe.id}: the objective sain is made for family sain")
    codec = draw_codec(recipe.compression, generator)
    if codec is None:
        raise UsageError(f"recipe {recipe.id}: the objective sain needs a codec at every step")
    y, q = rescaler.encode_with_lr(hr)
    rounded = quantise(q)
    decoded = through_codec(rounded, codec)
    received = transmit(rounded, codec, recipe.compression)
    latent = rescaler.draw_latent(tuple(y[:, 3:].shape), generator).to(y)
    restored, q_restored = rescaler.decode_with_lr(torch.cat((received, latent), dim=1))
    guide = bicubic(hr, q, scale)
    return sain_loss(
        hr=hr,
        restored=restored,
        lr=q,
        lr_quantised=rounded,
        lr_restored=q_restored,
        lr_compressed=y[:, :3],
        lr_reference=guide,
        lr_reference_decoded=through_codec(guide, codec),
        lr_decoded=decoded,
        scale=scale,
    )


def paper_aidn_loss(
    rescaler: Rescaler, hr: Tensor, scale: float, recipe: Recipe, generator: torch.Generator
) -> Loss:
    """AIDN and AIDN+ as published; the latter has its codec simulator built in."""
    codec = draw_codec(recipe.compression, generator)
    down = rescaler.downscale(hr, scale)
    decoded = transmit(quantise(down.lr, "soft"), codec, recipe.compression)
    if isinstance(rescaler, AIDN):
        decoded = rescaler.simulate_codec(decoded)
    restored = rescaler.upscale(decoded, _size(hr), scale=scale, generator=generator)
    return aidn_loss(hr=hr, restored=restored, lr=down.lr, lr_reference=bicubic(hr, down.lr, scale))


OBJECTIVES: Final[Mapping[ObjectiveName, StepLoss]] = MappingProxyType(
    {
        "plain": plain_loss,
        "irn": paper_irn_loss,
        "sain": paper_sain_loss,
        "aidn": paper_aidn_loss,
    }
)


def bicubic(hr: Tensor, lr: Tensor, scale: float) -> Tensor:
    """The bicubic image of the size of `lr`, neither clamped nor rounded; grey if `lr` is."""
    guide = resize(hr, _size(lr), scale=1 / scale)
    return guide if lr.shape[1] == guide.shape[1] else _luma(guide)


def distance(a: Tensor, b: Tensor, kind: Distance) -> Tensor:
    """A mean distance of two (B, C, H, W) batches in [0, 1]."""
    difference = a - b
    if kind == "l1":
        return difference.abs().mean()
    if kind == "l2":
        return torch.mean(difference**2)
    if kind == "charbonnier":
        return torch.sqrt(difference**2 + _CHARBONNIER_EPSILON).mean()
    # Mean over the batch of each patch's level: what a mean of PSNRs asks for.
    return torch.log10(torch.mean(difference**2, dim=(1, 2, 3)) + _CHARBONNIER_EPSILON).mean()


def _luma(image: Tensor) -> Tensor:
    """(B, 3, H, W) → (B, 1, H, W), BT.601."""
    return _RED * image[:, :1] + _GREEN * image[:, 1:2] + _BLUE * image[:, 2:]


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]
