"""The Haar layer that every bijective family starts from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rescaling_core.errors import CheckpointError

_SIGNS = torch.tensor(
    [[[1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [1.0, -1.0]], [[1.0, 1.0], [-1.0, -1.0]],
     [[1.0, -1.0], [-1.0, 1.0]]]
)  # fmt: skip


class Haar(nn.Module):
    """2×2 Haar analysis, band-major, not orthonormal: ÷4 forward, ×1 backward.

    Source: IRN `HaarDownsampling`; for the block [[a, b], [c, d]] the bands are
    A=(a+b+c+d)/4, B=(a−b+c−d)/4, C=(a+b−c−d)/4, D=(a−b−c+d)/4, and the output holds A of all
    input channels, then B of all, C of all, D of all. The first channels are the box mean.
    """

    haar_weights: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        # A buffer, not a parameter: constants, kept in the state dict as official files have them.
        self.register_buffer("haar_weights", _SIGNS.repeat(channels, 1, 1)[:, None].clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 2h, 2w) → (B, 4C, h, w)."""
        a, b = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
        c, d = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
        top, bottom, top_diff, bottom_diff = a + b, c + d, a - b, c - d
        bands = (top + bottom, top_diff + bottom_diff, top - bottom, top_diff - bottom_diff)
        return torch.cat(bands, dim=1) / 4

    def inverse(self, y: Tensor) -> Tensor:
        """(B, 4C, h, w) → (B, C, 2h, 2w)."""
        mean, horizontal, vertical, diagonal = y.chunk(4, dim=1)
        b, c, h, w = mean.shape
        top, top_diff = mean + vertical, horizontal + diagonal
        bottom, bottom_diff = mean - vertical, horizontal - diagonal
        pixels = (top + top_diff, top - top_diff, bottom + bottom_diff, bottom - bottom_diff)
        blocks = torch.stack(pixels, dim=2).view(b, c, 2, 2, h, w)
        return blocks.permute(0, 1, 4, 2, 5, 3).reshape(b, c, 2 * h, 2 * w)

    def check_constants(self) -> None:
        """Refuse a checkpoint whose Haar constants are not the Haar ones.

        Raises:
            CheckpointError: They differ.
        """
        expected = _SIGNS.repeat(self.channels, 1, 1)[:, None]
        if not torch.equal(self.haar_weights.cpu().float(), expected):
            raise CheckpointError("haar_weights: not the Haar transform's ±1 constants")
