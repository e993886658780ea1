"""Random patches from images held in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.pixels.arrays import U8Array


class PatchSampler:
    """Square crops, flipped and rotated at random.

    All images are decoded beforehand and stay on the device as 8-bit pixels, one after the other
    in a single tensor, so that a batch is one gather. An image is drawn with a probability
    proportional to its pixels. What is drawn depends on the generator alone, not on the device.
    """

    def __init__(
        self, images: Sequence[U8Array], *, patch: int, device: torch.device | str = "cpu"
    ) -> None:
        """Keep the images that are large enough.

        Args:
            images: (H, W, 3) RGB each.
            patch: Pixels on a side.
            device: Where patches are wanted.

        Raises:
            UsageError: No image is as large as a patch.
        """
        kept = [image for image in images if min(image.shape[:2]) >= patch]
        if not kept:
            raise UsageError(f"no training image of at least {patch}x{patch} pixels")
        self._patch = patch
        self._sizes = [image.shape[:2] for image in kept]
        areas = np.array([height * width for height, width in self._sizes], np.int64)
        ends = np.cumsum(areas)
        self._starts = (ends - areas).tolist()
        self._cumulative = ends / ends[-1]
        self._pixels = torch.from_numpy(np.concatenate([i.reshape(-1, 3) for i in kept])).to(device)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw a batch.

        Args:
            count: Patches.
            generator: On the CPU; where all choices come from.

        Returns:
            (count, 3, patch, patch), float32 in [0, 1], on the device.
        """
        device = self._pixels.device
        chosen = torch.tensor([self._choose(generator) for _ in range(count)], device=device)
        first, row, column = chosen.T[:, :, None, None]
        side = torch.arange(self._patch, device=device)
        patches = self._pixels[first + row * side[:, None] + column * side]
        return patches.permute(0, 3, 1, 2).float() / 255

    def _choose(self, generator: torch.Generator) -> tuple[int, int, int]:
        """The index of a patch's first pixel, and the steps to its next row and column."""
        place = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        last = len(self._sizes) - 1
        image = min(int(np.searchsorted(self._cumulative, place[0])), last)
        height, width = self._sizes[image]
        top = int(place[1] * (height - self._patch + 1))
        left = int(place[2] * (width - self._patch + 1))
        row, column = width, 1
        flip_rows, flip_columns, transpose = torch.randint(2, (3,), generator=generator).tolist()
        if flip_rows:
            top, row = top + self._patch - 1, -row
        if flip_columns:
            left, column = left + self._patch - 1, -column
        first = self._starts[image] + top * width + left
        return (first, column, row) if transpose else (first, row, column)
