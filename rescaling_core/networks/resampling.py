"""Resampling filters: the papers' MATLAB-like bicubic, and Lanczos."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

Kernel = Literal["bicubic", "lanczos"]


def resize(
    image: Tensor,
    size: tuple[int, int],
    *,
    scale: float | tuple[float, float] | None = None,
    kernel: Kernel = "bicubic",
) -> Tensor:
    """Resample a batch as MATLAB's `imresize` does, with antialiasing.

    Output pixel i lies at input coordinate (i + ½)/scale − ½. Where the image shrinks, the kernel
    is stretched by 1/scale; weights are normalised to sum 1; beyond the border the image is
    mirrored with the edge pixel repeated ("symmetric").

    Args:
        image: (B, C, H, W), floating point, any range.
        size: (H', W') of the result.
        scale: Output side / input side, for both axes or each; by default what `size` implies.
            Give it where the size was rounded, so that pixels keep their places.
        kernel: `bicubic` (Keys, a = −½) or `lanczos` (3 lobes).

    Returns:
        (B, C, H', W'), neither clamped nor rounded: it may leave the input's range slightly.

    Source:
        IRN `codes/data/util.py` `imresize` and AIDN `torch_bicubic.imresize`, which agree.
    """
    scales = scale if isinstance(scale, tuple) else (scale, scale)
    for axis, (length, ratio) in enumerate(zip(size, scales, strict=True), start=-2):
        image = _resize_axis(image, axis, length, ratio, kernel)
    return image


def resize_part(
    image: Tensor,
    spans: tuple[tuple[slice, slice, int], tuple[slice, slice, int]],
    ratio: float,
    *,
    kernel: Kernel = "bicubic",
) -> Tensor:
    """As `resize`, for a part of the result out of a part of the image.

    Args:
        image: (B, C, rows given, columns given).
        spans: Of rows and of columns: the input pixels given, the output pixels asked for, the
            input pixels of the whole axis. Given has to be all that the kernel reaches.
        ratio: Output side / input side.
        kernel: As for `resize`.

    Returns:
        (B, C, rows asked for, columns asked for).
    """
    for axis, (given, asked, length) in enumerate(spans, start=-2):
        if ratio == 1:
            start = asked.start - given.start
            image = image.narrow(axis, start, asked.stop - asked.start)
            continue
        positions, weights = _taps(length, asked.stop, ratio, kernel)
        positions = positions[:, asked] - given.start
        # At the border a tap of weight 0 may be mirrored from beyond what is given.
        positions = positions.clamp(0, image.shape[axis] - 1)
        image = _weighted_sum(image, axis, positions, weights[:, asked])
    return image


def resize_to_scale(image: Tensor, scale: float, *, kernel: Kernel = "bicubic") -> Tensor:
    """Resample so that both sides shrink `scale` times; partial pixels count as whole ones.

    Args:
        image: (B, C, H, W), floating point.
        scale: Input side / output side; below 1 enlarges.
        kernel: As for `resize`.

    Returns:
        (B, C, ⌈H·(1/scale)⌉, ⌈W·(1/scale)⌉). The reciprocal is taken first, as the official codes
        do: its rounding gives x2.3, x2.9 and x3.9 one pixel more for some sizes.
    """
    ratio = 1.0 / scale
    size = (ceil(image.shape[-2] * ratio), ceil(image.shape[-1] * ratio))
    return resize(image, size, scale=ratio, kernel=kernel)


def _resize_axis(
    image: Tensor, axis: int, length: int, ratio: float | None, name: Kernel
) -> Tensor:
    """Resample one axis to `length`: a weighted sum of shifted selections, in bounded memory."""
    old = image.shape[axis]
    ratio = length / old if ratio is None else ratio
    if length == old and ratio == 1:
        return image
    taps = _taps_on(old, length, ratio, name, image.device, image.dtype)
    return _weighted_sum(image, axis, *taps)


@lru_cache(maxsize=16)
def _taps_on(
    old: int, new: int, ratio: float, name: Kernel, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """`_taps` where they are used: a step of training needs the same ones each time.

    To copy them to a GPU would wait for all it is at, and cannot be recorded in a graph.
    """
    with torch.inference_mode(mode=False):  # whoever asks first, training can use them too
        positions, weights = _taps(old, new, ratio, name)
        return positions.to(device), weights.to(device, dtype)


def _weighted_sum(image: Tensor, axis: int, positions: Tensor, weights: Tensor) -> Tensor:
    positions, weights = positions.to(image.device), weights.to(image)
    shape = [1] * image.dim()
    shape[axis] = positions.shape[1]
    result = image.index_select(axis, positions[0]) * weights[0].view(shape)
    for position, weight in zip(positions[1:], weights[1:], strict=True):
        result = result + image.index_select(axis, position) * weight.view(shape)
    return result


def _taps(old: int, new: int, ratio: float, name: Kernel) -> tuple[Tensor, Tensor]:
    """Input positions and float64 weights of each output pixel, both (taps, new)."""
    kernel, width = _KERNELS[name]
    stretch = min(ratio, 1.0)
    width /= stretch
    centre = (torch.arange(new, dtype=torch.float64) + 0.5) / ratio - 0.5
    first = torch.floor(centre - width / 2)
    index = first + torch.arange(ceil(width) + 2, dtype=torch.float64)[:, None]
    weights = kernel((centre - index) * stretch)
    weights /= weights.sum(dim=0)
    used = weights.abs().amax(dim=1) > 0
    mirrored = index[used].long() % (2 * old)
    return torch.where(mirrored < old, mirrored, 2 * old - 1 - mirrored), weights[used]


def cubic(x: Tensor) -> Tensor:
    """Keys' cubic with a = −½, zero beyond 2."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


def _lanczos(x: Tensor) -> Tensor:
    """sinc(x)·sinc(x/3), zero from 3 on."""
    window = torch.where(x.abs() < 3, torch.sinc(x / 3), torch.zeros_like(x))
    return torch.sinc(x) * window


_KERNELS: Final[dict[str, tuple[Callable[[Tensor], Tensor], float]]] = {
    "bicubic": (cubic, 4.0),
    "lanczos": (_lanczos, 6.0),
}
