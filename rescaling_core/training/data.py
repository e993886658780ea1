"""Random patches from images held in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.arrays import U8Array


class PatchSampler:
    """Square crops, flipped and rotated at random.

    All images are decoded beforehand and stay in memory as 8-bit pixels. An image is drawn with a
    probability proportional to its pixels.
    """

    def __init__(self, images: Sequence[U8Array], *, patch: int) -> None:
        """Keep the images that are large enough.

        Args:
            images: (H, W, 3) RGB each.
            patch: Pixels on a side.

        Raises:
            UsageError: No image is as large as a patch.
        """
        self._images = [torch.from_numpy(i) for i in images if min(i.shape[:2]) >= patch]
        if not self._images:
            raise UsageError(f"no training image of at least {patch}x{patch} pixels")
        self._patch = patch
        areas = np.array([image.shape[0] * image.shape[1] for image in self._images], np.float64)
        self._cumulative = torch.from_numpy(np.cumsum(areas / areas.sum()))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw a batch.

        Args:
            count: Patches.
            generator: Where all choices come from.

        Returns:
            (count, 3, patch, patch), float32 in [0, 1].
        """
        patches = [self._draw_one(generator) for _ in range(count)]
        return torch.stack(patches).permute(0, 3, 1, 2).float() / 255

    def _draw_one(self, generator: torch.Generator) -> Tensor:
        """One (patch, patch, 3) crop, 8 bits."""
        choice = torch.rand(3, generator=generator, dtype=torch.float64)
        last = len(self._images) - 1
        image = self._images[min(int(torch.searchsorted(self._cumulative, choice[0])), last)]
        top = int(choice[1] * (image.shape[0] - self._patch + 1))
        left = int(choice[2] * (image.shape[1] - self._patch + 1))
        crop = image[top : top + self._patch, left : left + self._patch]
        flip_rows, flip_columns, transpose = torch.randint(2, (3,), generator=generator).tolist()
        axes = [axis for axis, flip in enumerate((flip_rows, flip_columns)) if flip]
        crop = crop.flip(axes) if axes else crop
        return crop.transpose(0, 1) if transpose else crop
