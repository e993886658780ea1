"""Restorers: small networks behind a decoder that put back what its codec took.

A restorer sees a decoded picture and the quality it was coded at, and adds a correction. It is
trained on the errors of one codec at one set of encoder settings, and is worth nothing on others.
With `scale=2` the same network enlarges a decoded LR image; with `pictures=2` it is the last filter
of a layered file, which sees the restored base beside the sum that it corrects.

```
 RGB ─ YCbCr ─ Haar ─┬─ conv ─ [ + conv ─ conv ] × pairs ─┬─ conv: luma ────┬─ × error ─ RGB ─ + RGB
           quality ──┘                                    └─ conv: colours ─┘
```
All that is not a mean of pixels is divided by the error to expect at this quality, and the
correction is multiplied by it: with plain pixels the same network learnt nothing in the time in
which this one gained 0.06 dB. The colours' convolution sends no gradient back into the features,
which their larger and easier errors would take for themselves.

Ours, after the in-loop filters of low complexity that were proposed for VVC (JVET's "LOP").
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.precision import Precision

    Knots = Sequence[Sequence[float]]
    """(quality, root mean squared error of luma in levels) of a codec, by rising quality."""

TO_YCBCR: Final = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)
"""JFIF's matrix: luma and colour differences of RGB, all in [0, 1] or [-½, ½]."""

BLOCK: Final = 2
"""Pixels on a side that a restorer at scale 1 folds into channels. Tiles start at multiples."""

AROUND: Final = 5
"""Side of the window whose mean is subtracted, in folded pixels."""

CONTRAST: Final = 0.25
"""Factor on differences of pixels in units of the expected error: most then lie within [-1, 1]."""

SLOPE: Final = 0.1
"""Of the leaky rectifiers below zero."""

_CUBIC: Final = (-0.0234375, 0.2265625, 0.8671875, -0.0703125)
"""Keys' cubic (a = -½) a quarter of a pixel off its second tap."""


class Restorer(nn.Module):
    """A correction of decoded pictures that depends on the quality they were coded at.

    Args:
        features: Channels between the convolutions.
        pairs: Residual pairs of convolutions.
        scale: 1 corrects, 2 enlarges.
        pictures: How many aligned pictures it sees; it corrects the last.
        colours: Whether it corrects colour differences too, or luma alone.
        errors: Of each picture, how large its coding error is at some qualities, by rising
            quality: the scale on which the network is told the quality.
    """

    family: ClassVar[str] = "restorer"
    precision: Precision = "float32"
    """In which engines restore with it."""

    def __init__(
        self,
        *,
        features: int = 24,
        pairs: int = 2,
        scale: int = 1,
        pictures: int = 1,
        colours: bool = True,
        errors: Sequence[Knots],
    ) -> None:
        super().__init__()
        if scale not in (1, 2) or pictures < 1 or features < 1 or pairs < 1:
            raise ValueError("scale is 1 or 2; features, pairs and pictures are at least 1")
        if len(errors) != pictures:
            raise ValueError(f"errors: {len(errors)} tables for {pictures} pictures")
        for table in errors:
            _check(table)
        self.features, self.pairs, self.scale, self.pictures = features, pairs, scale, pictures
        self.errors = [[(float(q), float(e)) for q, e in table] for table in errors]
        self.fold = BLOCK if scale == 1 else 1
        seen = pictures * (3 * self.fold**2 + 3 + 2)
        self.head = nn.Conv2d(seen, features, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Conv2d(features, features, 3, padding=1) for _ in range(2 * pairs)
        )
        self.luma = nn.Conv2d(features, BLOCK**2, 3, padding=1)
        self.colours = nn.Conv2d(features, 2 * BLOCK**2, 3, padding=1) if colours else None
        for last in filter(None, (self.luma, self.colours)):
            nn.init.zeros_(last.weight)  # it starts as the identity, or as cubic enlargement
            nn.init.zeros_(cast("Tensor", last.bias))
        to_ycbcr = torch.tensor(TO_YCBCR, dtype=torch.float64)
        self.register_buffer("to_ycbcr", to_ycbcr.float(), persistent=False)
        self.register_buffer("to_rgb", torch.linalg.inv(to_ycbcr).float(), persistent=False)
        self.register_buffer("haar", haar_kernels(), persistent=False)
        self.register_buffer("cubic", cubic_kernels(), persistent=False)

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able keyword arguments that build the same network again."""
        return {
            "features": self.features,
            "pairs": self.pairs,
            "scale": self.scale,
            "pictures": self.pictures,
            "colours": self.colours is not None,
            "errors": [[list(knot) for knot in table] for table in self.errors],
        }

    @property
    def halo(self) -> int:
        """Given pixels around a tile on which its own pixels depend; a multiple of the block."""
        convolutions = 2 + 2 * self.pairs
        return (convolutions + AROUND // 2) * self.fold

    def conditions(self, qualities: Sequence[Sequence[float]]) -> tuple[Tensor, Tensor]:
        """What the network is told of the qualities.

        Args:
            qualities: (B, pictures): of each picture of each element of a batch.

        Returns:
            (B, 2 · pictures): the logarithm of each picture's expected error, centred and scaled
            to [-1, 1] over the qualities of its table, and its square. And (B,): the expected
            error of the last picture, in [0, 1], by which the correction is scaled.
        """
        rows, gains = [], []
        for row in qualities:
            told: list[float] = []
            for quality, table in zip(row, self.errors, strict=True):
                level = _log_error(quality, table)
                high, low = np.log(table[0][1]), np.log(table[-1][1])
                place = float((2 * level - high - low) / (high - low))
                told += [place, place * place]
            rows.append(told)
            gains.append(float(np.exp(_log_error(row[-1], self.errors[-1]))) / 255)
        return torch.tensor(rows), torch.tensor(gains)

    def forward(self, pictures: Tensor, told: Tensor, gains: Tensor) -> Tensor:
        """Restore a batch.

        Args:
            pictures: (B, 3 · pictures, H, W) RGB in [0, 1], one picture's channels after another's;
                H and W even at scale 1.
            told: (B, 2 · pictures), see `conditions`.
            gains: (B,), see `conditions`.

        Returns:
            (B, 3, scale · H, scale · W), near [0, 1], neither clamped nor rounded.
        """
        correction = self.correction(pictures, told, gains) * gains[:, None, None, None]
        if self.colours is not None:
            correction = mixed(correction, cast("Tensor", self.to_rgb))
        return self.base(pictures) + correction  # luma alone is added to R, G and B alike

    def base(self, pictures: Tensor) -> Tensor:
        """What is corrected: the last picture, at scale 2 enlarged by a cubic filter."""
        base = pictures[:, -3:]
        return base if self.scale == 1 else self._enlarged(base)

    def correction(self, pictures: Tensor, told: Tensor, gains: Tensor) -> Tensor:
        """Corrections (B, 3, scale · H, scale · W) in units of the expected error.

        Of luma and both colour differences; (B, 1, …), of luma alone, without `colours`.
        """
        parts = []
        for one in torch.split(pictures, 3, dim=1):
            means, details = self._analysed(mixed(one - 0.5, cast("Tensor", self.to_ycbcr)))
            parts += [means, details * (CONTRAST / gains[:, None, None, None])]
        told = told[:, :, None, None].expand(-1, -1, *parts[0].shape[2:])
        x = F.leaky_relu(self.head(torch.cat((*parts, told), dim=1)), SLOPE)
        for first, second in by_pairs(self.body):
            x = x + second(F.leaky_relu(first(x), SLOPE))
        last = self.luma(x)
        if self.colours is not None:
            last = torch.cat((last, self.colours(x.detach())), dim=1)
        return F.pixel_shuffle(last, BLOCK)

    def _analysed(self, ycbcr: Tensor) -> tuple[Tensor, Tensor]:
        """Means of blocks, and all differences: within blocks, and of blocks from those around."""
        means, details = ycbcr, []
        if self.fold > 1:
            b, c, h, w = ycbcr.shape
            planes = ycbcr.reshape(b * c, 1, h, w)
            bands = F.conv2d(planes, cast("Tensor", self.haar), stride=BLOCK)
            bands = bands.reshape(b, c, BLOCK**2, h // BLOCK, w // BLOCK)
            means, details = bands[:, :, 0], [bands[:, :, 1:].flatten(1, 2)]
        around = F.avg_pool2d(means, AROUND, 1, AROUND // 2, count_include_pad=False)
        return means, torch.cat((means - around, *details), dim=1)

    def _enlarged(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 3, 2H, 2W), cubic, edges repeated."""
        b, c, h, w = picture.shape
        padded = F.pad(picture.reshape(b * c, 1, h, w), (2, 2, 2, 2), mode="replicate")
        out = F.pixel_shuffle(F.conv2d(padded, cast("Tensor", self.cubic)), BLOCK)
        return out.reshape(b, c, 2 * h, 2 * w)


def by_pairs(body: nn.ModuleList) -> list[tuple[nn.Conv2d, nn.Conv2d]]:
    """The convolutions of the residual pairs, two by two."""
    convolutions = [cast("nn.Conv2d", module) for module in body]
    return list(zip(convolutions[::2], convolutions[1::2], strict=True))


def mixed(image: Tensor, matrix: Tensor) -> Tensor:
    """A 3x3 matrix applied to the channels of (B, 3, H, W)."""
    return F.conv2d(image, matrix[:, :, None, None].to(image))


def haar_kernels() -> Tensor:
    """(4, 1, 2, 2): the mean of a block of pixels, and three differences within it."""
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    return signs.reshape(4, 1, BLOCK, BLOCK) / 4


def cubic_kernels() -> Tensor:
    """(4, 1, 5, 5): the four pixels that x2 enlargement makes of one, from those around it."""
    before = torch.tensor([*_CUBIC, 0.0])
    rows = torch.stack((before, before.flip(0)))
    kernels = torch.einsum("ai,bj->abij", rows, rows)
    return kernels.reshape(BLOCK**2, 1, 5, 5)


def _log_error(quality: float, table: Sequence[tuple[float, float]]) -> float:
    """Logarithm of the expected error in levels, linear between the table's qualities."""
    qualities = [q for q, _ in table]
    return float(np.interp(quality, qualities, np.log([error for _, error in table])))


def _check(table: Knots) -> None:
    if len(table) < 2 or any(len(knot) != 2 for knot in table):
        raise ValueError("errors: at least two pairs of a quality and an error")
    for (below, larger), (above, smaller) in pairwise(table):
        if not below < above or not larger > smaller > 0:
            raise ValueError("errors: qualities rise, errors fall and stay above 0")
