"""Decoded pictures beside what they were made of: what restorers are trained and measured on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from math import gcd
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from rescaling_core import codecs
from rescaling_core.errors import UsageError
from rescaling_core.networks.filters import FilterRescaler
from rescaling_core.networks.latent import LatentPolicy
from rescaling_core.networks.restorer import BLOCK
from rescaling_core.pixels import differences
from rescaling_core.rescale.decoded import restore_decoded
from rescaling_core.rescale.whole import downscale_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.training.restorer_recipe import CodedPictures
    from rescaling_core.zoo.restorers import LoadedRestorer

_LANCZOS: Final = FilterRescaler(kernel="lanczos", latent_policy=LatentPolicy("none"))
_APART: Final = (7, 3)
"""Steps by which qualities move on from image to image, at least, and from one part of the range
to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A decoded picture and what it should have been."""

    decoded: U8Array
    """(H, W, 3)."""
    original: U8Array
    """(scale · H, scale · W, 3)."""
    quality: int
    beside: U8Array | None = None
    """(H, W, 3): what a final filter sees beside it, the enlarged picture without what it
    missed."""
    beside_quality: int | None = None
    """Of the small image that was enlarged."""


@dataclass(frozen=True, slots=True)
class Beneath:
    """What a final filter stands behind."""

    enlargement: LoadedRestorer
    lr_quality: tuple[int, int]
    """The lowest and the highest of the small images."""

    def quality_for(self, quality: int) -> int:
        """Of the small image whose residual has some quality: all within the range come up."""
        lowest, highest = self.lr_quality
        return lowest + quality * _APART[0] % (highest - lowest + 1)


def code(original: U8Array, pictures: CodedPictures, quality: int, scale: int) -> U8Array:
    """What a decoder gives of an image: coded as the recipe says, for `scale=2` at half size.

    Args:
        original: (H, W, 3), sides multiples of the scale.
        pictures: The codec and its settings.
        quality: Of the codec.
        scale: 1, or 2 for an enlargement: the image is then reduced by a Lanczos filter first.

    Returns:
        (H / scale, W / scale, 3).
    """
    given = original if scale == 1 else downscale_pixels(_LANCZOS, original, scale)
    return codecs.decode(codecs.encode(given, pictures.spec(quality)))


def code_layers(
    original: U8Array, pictures: CodedPictures, quality: int, beneath: Beneath
) -> tuple[U8Array, U8Array]:
    """What a layered file gives before its final filter: the enlarged picture, and the sum.

    Args:
        original: (H, W, 3), sides multiples of 4.
        pictures: How what the enlargement misses of luma is coded.
        quality: Of that.
        beneath: What enlarges, and the quality of the small image.

    Returns:
        Both (H, W, 3).
    """
    restorer, lr_quality = beneath.enlargement, beneath.quality_for(quality)
    small = downscale_pixels(_LANCZOS, original, restorer.network.scale)
    decoded = codecs.decode(codecs.encode(small, restorer.coding.spec(lr_quality)))
    enlarged = restore_decoded(decoded, lr_quality, restorer.network)
    missing = differences.difference(original, enlarged, luma=True)
    coded = codecs.encode(missing, pictures.spec(quality))
    return enlarged, differences.add(enlarged, codecs.decode(coded, channels=1))


def fitting(image: U8Array, scale: int) -> U8Array:
    """The image, cropped right and bottom so that it and its decoded picture fold evenly."""
    step = BLOCK * scale
    height, width = (side - side % step for side in image.shape[:2])
    return image[:height, :width]


def qualities_of(index: int, pictures: CodedPictures) -> list[int]:
    """At which qualities one training image is coded.

    The range is divided into as many parts as an image has qualities. Each image has one of each
    part, and images one after another have different ones: of 10 to 90 with four an image, every
    fourth quality has its turn. What lies between is the network's to interpolate.

    Args:
        index: Of the image.
        pictures: The range, and how many.
    """
    lowest, highest = pictures.quality
    parts = pictures.per_image
    starts = [lowest + part * (highest - lowest) // parts for part in range(parts + 1)]
    chosen = []
    for k in range(parts):
        part = (k + index) % parts
        width = max(1, starts[part + 1] - starts[part])
        # Without a common divisor, or few qualities of a part would have their turn.
        step = next(step for step in count(_APART[0]) if gcd(step, width) == 1)
        place = (step * index + _APART[1] * k) % width
        chosen.append(starts[part] + place)
    return chosen


class PairSampler:
    """Square crops of pairs, neither flipped nor turned: a codec's errors have a direction."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        patch: int,
        scale: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """Keep the pairs that are large enough.

        Args:
            pairs: Their arrays may be memory-mapped: only what is drawn is read.
            patch: Decoded pixels on a side.
            scale: Of the restorer.
            device: Where patches are wanted.

        Raises:
            UsageError: No picture is as large as a patch.
        """
        self._device = device
        self._pairs = [pair for pair in pairs if min(pair.decoded.shape[:2]) >= patch]
        if not self._pairs:
            raise UsageError(f"no training image of at least {scale * patch} pixels on a side")
        self._patch, self._scale = patch, scale

    def draw(
        self, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, list[list[int]]]:
        """Draw a batch, pairs with equal probability, places at multiples of two pixels.

        Args:
            count: Patches.
            generator: On the CPU; where all choices come from.

        Returns:
            Decoded (count, 3 · pictures, patch, patch) and original patches (count, 3,
            scale · patch, scale · patch), float32 in [0, 1], on the device, and for each the
            qualities of its pictures. What a final filter sees beside the decoded one comes first.
        """
        decoded, original = [], []
        qualities: list[list[int]] = []
        for _ in range(count):
            chance = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
            pair = self._pairs[int(chance[0] * len(self._pairs))]
            top, left = (
                BLOCK * int(one * ((side - self._patch) // BLOCK + 1))
                for one, side in zip(chance[1:], pair.decoded.shape[:2], strict=True)
            )
            seen = _crop(pair.decoded, top, left, self._patch)
            told = [pair.quality]
            if pair.beside is not None and pair.beside_quality is not None:
                beside = _crop(pair.beside, top, left, self._patch)
                seen = np.concatenate((beside, seen), axis=2)
                told.insert(0, pair.beside_quality)
            decoded.append(seen)
            s = self._scale
            original.append(_crop(pair.original, s * top, s * left, s * self._patch))
            qualities.append(told)
        return self._batch(decoded), self._batch(original), qualities

    def _batch(self, patches: list[U8Array]) -> Tensor:
        pixels = torch.from_numpy(np.stack(patches)).to(self._device)
        return pixels.permute(0, 3, 1, 2).float() / 255


def _crop(image: U8Array, top: int, left: int, side: int) -> U8Array:
    return image[top : top + side, left : left + side]
