"""A codec fitted to one picture: what its luma misses, as latents of four sizes and tiny networks.

After Cool-chic: nothing is trained beforehand; latents, the network that makes a picture of them
and the one that tells their probabilities are all found by descent on this very picture, and all
are paid for. Both networks see the enlarged picture too, which Cool-chic does not have.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES: Final = 4
"""Latents at full size, a half, a quarter and an eighth."""
WIDTH: Final = 16
RADIUS: Final = 2
GAIN: Final = 12.0
"""Levels of 255 that a latent of 1 stands for at the start."""
ROUNDED_FROM: Final = 0.7
"""Part of the iterations from which latents are rounded; before, noise stands for rounding."""
GRIDS: Final = (16, 32, 64, 128, 256)
"""Weights are written as whole numbers of one over one of these."""
RATES: Final = (0.1, 5e-3)
"""Learning rates of latents and of networks."""
SMALLEST: Final = 0.05
"""Scale of the distributions, at least."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fit at one iteration, everything rounded."""

    iteration: int
    seconds: float
    """CPU time until then."""
    latent_bits: float
    weight_bits: float
    added: Tensor
    """(1, 1, H, W) in levels of 255."""


class Overfitted(nn.Module):
    """Latents of a picture and the networks that belong to it.

    Args:
        base: (1, 1, H, W), luma of the enlarged picture in levels of 255, sides multiples of 8.
    """

    def __init__(self, base: Tensor) -> None:
        super().__init__()
        height, width = base.shape[2:]
        self.latents = nn.ParameterList(
            torch.zeros(1, 1, height >> size, width >> size) for size in range(SIZES)
        )
        self.before = nn.Conv2d(1, WIDTH, 2 * RADIUS + 1, padding=RADIUS)
        self.beside = nn.Conv2d(4, WIDTH, 1)
        self.middle = nn.Conv2d(WIDTH, WIDTH, 1)
        self.told = nn.Conv2d(WIDTH, 2, 1)
        self.first = nn.Conv2d(SIZES + 2, WIDTH, 1)
        self.second = nn.Conv2d(WIDTH, WIDTH, 1)
        self.third = nn.Conv2d(WIDTH, 1, 3, padding=1)
        for layer in (self.told, self.third):
            nn.init.zeros_(layer.weight)
        self.gain = nn.Parameter(torch.ones(SIZES))
        around = F.avg_pool2d(base, 5, 1, 2, count_include_pad=False)
        detail = (base - around) / 8
        self.seen: Tensor
        self.register_buffer("seen", torch.cat((base / 128 - 1, detail), 1), persistent=False)
        mask = torch.zeros(2 * RADIUS + 1, 2 * RADIUS + 1)
        mask[:RADIUS], mask[RADIUS, :RADIUS] = 1, 1
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)

    def networks(self) -> list[nn.Parameter]:
        """All that is no latent."""
        return [one for name, one in self.named_parameters() if not name.startswith("latents")]

    def bits(self, latents: Sequence[Tensor]) -> Tensor:
        """What latents cost, from the smallest to the largest, in raster order."""
        total = torch.zeros(())
        for size in reversed(range(SIZES)):
            latent = latents[size]
            shape = latent.shape[2], latent.shape[3]
            detail = self.seen[:, 1:]
            activity = torch.log1p(F.adaptive_avg_pool2d(detail.abs(), shape))
            smaller = torch.zeros_like(latent)
            if size + 1 < SIZES:
                smaller = F.interpolate(latents[size + 1], size=shape, mode="nearest")
            place = torch.full_like(latent, size / SIZES)
            beside = torch.cat(
                (activity, F.adaptive_avg_pool2d(detail, shape), smaller, place), dim=1
            )
            before = F.conv2d(
                latent, self.before.weight * self.mask, self.before.bias, padding=RADIUS
            )
            x = F.relu(before + self.beside(beside))
            x = x + F.relu(self.middle(x))
            mean, scale = self.told(x).split(1, dim=1)
            total = total + laplace_bits(latent - mean, torch.exp(scale - 1) + SMALLEST).sum()
        return total

    def added(self, latents: Sequence[Tensor]) -> Tensor:
        """(1, 1, H, W) in levels of 255: what latents say the enlarged picture misses."""
        shape = latents[0].shape[2:]
        wide = [
            one * gain
            if one.shape[2:] == shape
            else F.interpolate(one * gain, size=shape, mode="bilinear", align_corners=False)
            for one, gain in zip(latents, self.gain, strict=True)
        ]
        x = F.relu(self.first(torch.cat((*wide, self.seen), 1)))
        x = x + F.relu(self.second(x))
        correction: Tensor = self.third(x)
        return GAIN * (torch.stack(wide).sum(0) + correction)


def laplace_bits(offset: Tensor, scale: Tensor) -> Tensor:
    """Bits of a step of 1 around an offset from the mean of a Laplace distribution."""

    def below(at: Tensor) -> Tensor:
        return 0.5 + 0.5 * at.sign() * -torch.expm1(-at.abs() / scale)

    away = offset.abs()  # by symmetry, for the smaller loss of digits
    return -torch.log2((below(0.5 - away) - below(-0.5 - away)).clamp(min=1e-6))


def fit(
    base: Tensor, missing: Tensor, price: float, iterations: int, reports: Sequence[int]
) -> list[Fitted]:
    """Fit latents and networks to a picture.

    Args:
        base: (1, 1, H, W), luma of the enlarged picture in levels of 255.
        missing: The same shape.
        price: Squared levels that a bit is worth.
        iterations: In all; learning rates fall over the last part, when latents are rounded.
        reports: Iterations at which the state is kept.
    """
    torch.manual_seed(1)
    begun = time.process_time()
    model = Overfitted(base)
    descent = torch.optim.Adam(
        [
            {"params": list(model.latents), "lr": RATES[0]},
            {"params": model.networks(), "lr": RATES[1]},
        ]
    )
    found = []
    for done in range(1, iterations + 1):
        share = done / iterations
        late = max(0.0, (share - ROUNDED_FROM) / (1 - ROUNDED_FROM))
        for group, rate in zip(descent.param_groups, RATES, strict=True):
            group["lr"] = rate * (1 - 0.95 * late)
        if late:
            seen = [one + (one.round() - one).detach() for one in model.latents]
        else:
            seen = [one + torch.rand_like(one) - 0.5 for one in model.latents]
        error = (model.added(seen) - missing).square().sum()
        loss = (error + price * model.bits(seen)) / missing.numel()
        descent.zero_grad()
        loss.backward()
        descent.step()
        if done in reports:
            spent = time.process_time() - begun
            found.append(written(model, missing, price, done, spent))
            begun = time.process_time() - spent
    return found


def written(
    model: Overfitted, missing: Tensor, price: float, iteration: int, seconds: float
) -> Fitted:
    """The fit as a file would hold it: latents rounded, weights on the grid that pays best."""
    best, least = None, float("inf")
    for grid in GRIDS:
        rounded = copy.deepcopy(model)
        with torch.no_grad():
            weight_bits = 0.0
            for one in rounded.networks():
                whole = (one * grid).round()
                scale = whole.abs().mean().clamp(min=0.1)
                weight_bits += float(laplace_bits(whole, scale).sum())
                one.copy_(whole / grid)
            latents = [one.round() for one in rounded.latents]
            latent_bits, added = float(rounded.bits(latents)), rounded.added(latents)
        cost = float((added - missing).square().sum()) + price * (weight_bits + latent_bits)
        if cost < least:
            least = cost
            best = Fitted(iteration, seconds, latent_bits, weight_bits, added)
    assert best is not None
    return best
