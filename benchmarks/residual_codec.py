"""A codec for the luma that an enlarged picture misses: fixed transform, learnt probabilities.

```
 missing luma ─ lapped transform ─ / step ─ decide ─┬─ levels ─ × step ─ transform back ─ + ─ filter
 enlarged luma ─ lapped transform ─ convolutions ───┴─ probabilities              enlarged ┘
```
The transform is Malvar's lapped orthogonal one: 64 coefficients for every 8x8 pixels, no seams.
Levels are coded in four groups of coefficients, from low to high frequencies, and each group in
two halves, as on a chessboard: what is coded later sees what came before, in its own block and in
those around. All is told relative to the enlarged picture: how large its own coefficient is, and
whether a level points the same way. A decoder repeats eight passes of small convolutions at an
eighth of the size, and then runs the final filter of layered files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from rescaling_core.networks.restorer import Restorer

SIDE: Final = 8
"""Pixels between two blocks; a block sees twice as many."""
GROUPS: Final = (6, 15, 28, 64)
"""Coefficients up to which each group goes, from low to high frequencies."""
PARAMETERS: Final = 4
"""Of the distribution of a level: zero or not, its sign, one or more, each one more."""
FEATURES: Final = 96
HIDDEN: Final = 64
SLOPE: Final = 0.1
LN2: Final = float(np.log(2))


@dataclass(frozen=True, slots=True)
class Coded:
    """Levels and what they cost."""

    levels: Tensor
    """(B, 64, h, w), whole numbers."""
    bits: Tensor
    """(B, 64, h, w), of each level by cross entropy; gradients reach the probabilities."""


@cache
def lapped_basis() -> Tensor:
    """(8, 16): rows by rising frequency, even ones symmetric, odd ones antisymmetric."""
    places = np.arange(SIDE)
    dct = np.cos(np.pi * np.outer(places, 2 * places + 1) / (2 * SIDE)) * np.sqrt(2 / SIDE)
    dct[0] /= np.sqrt(2)
    half = (dct[::2] - dct[1::2]) / 2
    even, odd = np.hstack((half, half[:, ::-1])), np.hstack((half, -half[:, ::-1]))
    wide = np.arange(2 * SIDE)
    covariance = 0.95 ** np.abs(np.subtract.outer(wide, wide))
    _, vectors = np.linalg.eigh(odd @ covariance @ odd.T)
    odd = vectors[:, ::-1].T @ odd
    basis = np.empty((SIDE, 2 * SIDE))
    basis[::2], basis[1::2] = even, odd
    return torch.from_numpy(basis).float()


@cache
def order() -> list[tuple[int, int]]:
    """(row, column) frequencies of the 64 coefficients, as they are coded."""
    pairs = [(u, v) for u in range(SIDE) for v in range(SIDE)]
    return sorted(pairs, key=lambda pair: (sum(pair), abs(pair[0] - pair[1]), pair))


@cache
def kernels() -> Tensor:
    """(64, 1, 16, 16)."""
    basis = lapped_basis()
    return torch.stack([torch.outer(basis[u], basis[v]) for u, v in order()])[:, None]


def mirrored(plane: Tensor, border: int) -> Tensor:
    """(B, C, H, W) continued by its mirror image, the edge itself repeated."""
    rows, columns = (
        torch.cat(
            (
                torch.arange(border - 1, -1, -1),
                torch.arange(side),
                torch.arange(side - 1, side - 1 - border, -1),
            )
        )
        for side in plane.shape[2:]
    )
    return plane[:, :, rows][:, :, :, columns]


def transformed(plane: Tensor) -> Tensor:
    """(B, 1, H, W), sides multiples of 8 → (B, 64, H / 8, W / 8)."""
    return F.conv2d(mirrored(plane, SIDE // 2), kernels(), stride=SIDE)


def transformed_back(coefficients: Tensor) -> Tensor:
    """The inverse of `transformed`: blocks beyond the edge are mirror images too."""
    signs = torch.tensor([[(-1.0) ** u for u, _ in order()], [(-1.0) ** v for _, v in order()]])
    down, across = signs[:, None, :, None, None].to(coefficients)
    wide = torch.cat(
        (coefficients[:, :, :1] * down, coefficients, coefficients[:, :, -1:] * down), 2
    )
    wide = torch.cat((wide[..., :1] * across, wide, wide[..., -1:] * across), 3)
    plane = F.conv_transpose2d(wide, kernels(), stride=SIDE)
    cut = SIDE + SIDE // 2
    return plane[:, :, cut:-cut, cut:-cut]


def bits_of(levels: Tensor, told: Tensor) -> Tensor:
    """What levels cost.

    Args:
        levels: (…), whole numbers.
        told: (4, …), logits of: zero; pointing the base's way; no more than one; no more than
            this, for each level from two on.
    """
    zero, along, one, last = told
    size = levels.abs()
    further = F.softplus(-one)
    beyond = F.softplus(one) + (size - 2) * F.softplus(last) + F.softplus(-last)
    kept = F.softplus(zero) + F.softplus(-levels.sign() * along)
    kept = kept + torch.where(size > 1, beyond, further)
    return torch.where(size == 0, F.softplus(-zero), kept) / LN2


def decided(wanted: Tensor, told: Tensor, price: float) -> Tensor:
    """Levels that are near what is wanted and cheap: the nearest, or one nearer to zero.

    Args:
        wanted: (…) coefficients in steps.
        told: As for `bits_of`.
        price: Squared steps that a bit is worth.
    """
    nearest = wanted.round()
    lower = nearest - nearest.sign()
    gain = price * (bits_of(nearest, told) - bits_of(lower, told))
    loss = (wanted - lower) ** 2 - (wanted - nearest) ** 2
    return torch.where(gain > loss, lower, nearest)


class Group(nn.Module):
    """The probabilities of one group of coefficients."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.around = nn.Conv2d(2 * last + 1, HIDDEN, 3, padding=1)
        self.base = nn.Conv2d(FEATURES, HIDDEN, 1)
        self.middle = nn.Conv2d(HIDDEN, HIDDEN, 1)
        self.told = nn.Conv2d(HIDDEN, PARAMETERS * (last - first), 1)
        nn.init.zeros_(self.told.weight)
        assert self.told.bias is not None
        with torch.no_grad():
            self.told.bias.copy_(torch.tensor([3.0, 0.0, 1.5, 0.5]).repeat_interleave(last - first))

    def forward(self, features: Tensor, known: Tensor, second: Tensor) -> Tensor:
        """(4, B, n, h, w) from what the base says and (B, last, h, w) levels known by now."""
        sizes = torch.asinh(known)
        seen = torch.cat((sizes, sizes.abs(), second.expand(known.shape[0], -1, -1, -1)), 1)
        x = F.leaky_relu(self.around(seen) + self.base(features), SLOPE)
        x = x + F.leaky_relu(self.middle(x), SLOPE)
        told: Tensor = self.told(x)
        return torch.stack(told.chunk(PARAMETERS, dim=1))


class Probabilities(nn.Module):
    """What levels are to be expected where, by the enlarged picture and what is known already."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(SIDE**2 + 1, FEATURES, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(FEATURES, FEATURES, 3, padding=1) for _ in range(2))
        starts = (0, *GROUPS[:-1])
        self.groups = nn.ModuleList(Group(*ends) for ends in zip(starts, GROUPS, strict=True))

    def forward(self, base: Tensor, wanted: Tensor, step: Tensor, price: float) -> Coded:
        """Decide on levels, and price them, in the order in which a decoder learns them.

        Args:
            base: (B, 64, h, w), the enlarged picture's coefficients.
            wanted: The same shape, what it misses.
            step: (B, 1, 1, 1).
            price: See `decided`.
        """
        way = torch.where(base < 0, -1.0, 1.0)
        wanted = wanted / step * way
        sizes = torch.log1p(base.abs() / step)
        x = torch.cat((sizes, torch.log(step / 24).expand_as(sizes[:, :1])), 1)
        x = F.leaky_relu(self.head(x), SLOPE)
        for layer in self.body:
            x = x + F.leaky_relu(layer(x), SLOPE)
        height, width = base.shape[2:]
        odd = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 1
        levels, prices = torch.zeros_like(base), []
        for group in self.groups:
            assert isinstance(group, Group)
            part = slice(group.first, group.last)
            costs = torch.zeros_like(wanted[:, part])
            for second in (False, True):
                now = odd if second else ~odd
                plane = torch.full((1, 1, height, width), float(second))
                told = group(x, levels[:, : group.last].clone(), plane)
                with torch.no_grad():
                    chosen = decided(wanted[:, part], told, price)
                    levels[:, part] = torch.where(now, chosen, levels[:, part])
                costs = torch.where(now, bits_of(levels[:, part], told), costs)
            prices.append(costs)
        return Coded(levels * way, torch.cat(prices, 1))


class ResidualCodec(nn.Module):
    """Probabilities, and the filter behind the sum.

    Args:
        final: The final filter of layered files, where training starts.
        lr_quality: Of the small pictures.
    """

    def __init__(self, final: Restorer, lr_quality: int) -> None:
        super().__init__()
        self.probabilities = Probabilities()
        self.final = final
        self.lr_quality = lr_quality

    def code(self, base: Tensor, missing: Tensor, step: Tensor, price: float) -> Coded:
        """Luma planes (B, 1, H, W) in levels of 255, steps (B,)."""
        wide = step[:, None, None, None]
        coded: Coded = self.probabilities(transformed(base), transformed(missing), wide, price)
        return coded

    def sum_of(self, base: Tensor, levels: Tensor, step: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1]: the enlarged picture and what levels say it misses."""
        added = transformed_back(levels * step[:, None, None, None]) / 255
        return (base + added).clamp(0, 1)

    def restored(self, base: Tensor, levels: Tensor, step: Tensor) -> Tensor:
        """The same behind the final filter."""
        qualities = [(self.lr_quality, quality_of(float(one))) for one in step]
        told, gains = self.final.conditions(qualities)
        total = self.sum_of(base, levels, step)
        filtered: Tensor = self.final(torch.cat((base, total), 1), told, gains)
        return filtered


def quality_of(step: float) -> float:
    """The quality of AVIF whose error is about that of a step: what the final filter is told."""
    return float(np.interp(np.log(step), np.log([4, 60]), [85, 12]))


def macs_a_pixel(codec: ResidualCodec) -> dict[str, float]:
    """Multiplications that a decoder makes for a pixel, in thousands."""

    def weights(module: nn.Module) -> int:
        return sum(one.weight.numel() for one in module.modules() if isinstance(one, nn.Conv2d))

    probabilities = codec.probabilities
    groups = 2 * weights(probabilities.groups) / SIDE**2
    trunk = (weights(probabilities) - weights(probabilities.groups)) / SIDE**2
    transforms = 2 * 2 * 2 * 2 * SIDE * SIDE / SIDE  # separable, of the base and back
    final = weights(codec.final) / codec.final.fold**2
    parts = {"probabilities": groups + trunk, "transforms": transforms, "final filter": final}
    return {name: count / 1000 for name, count in parts.items()}
