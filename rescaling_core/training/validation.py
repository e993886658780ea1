"""Measuring a rescaler over a set of images, by the papers' protocol."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from rescaling_core.networks.filters import FilterRescaler
from rescaling_core.networks.latent import LatentPolicy
from rescaling_core.quality import metrics
from rescaling_core.rescale import downscale_pixels, restore_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rescaling_core.networks import Rescaler
    from rescaling_core.pixels.arrays import U8Array


_BICUBIC: Final = FilterRescaler(kernel="bicubic", latent_policy=LatentPolicy("none"))
_LATENT_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Means over the images of a set."""

    images: int
    psnr_y: float
    """PSNR-Y in dB of the restored image against the HR one; a border of the scale is cropped."""
    ssim_y: float
    psnr: float
    """PSNR over R, G and B in dB."""
    lr_psnr_y: float
    """PSNR-Y in dB of the LR image against the 8-bit bicubic one, nothing cropped."""
    bpp: float
    """Bits of the LR file per HR pixel; of the raw LR pixels where there is no codec."""


def measure_set(
    rescaler: Rescaler,
    images: Sequence[U8Array],
    scale: float,
    *,
    channel: Callable[[U8Array], tuple[U8Array, int]] | None = None,
) -> Quality:
    """Downscale, round to 8 bits, store, restore, round, compare.

    Args:
        rescaler: In evaluation mode.
        images: (H, W, 3) RGB, cropped here to multiples of a whole scale.
        scale: HR side / LR side.
        channel: What storing does to (h, w, 3) LR pixels: the pixels as decoded, and the bytes of
            the file. By default it does nothing.
    """
    rows = [_measure(rescaler, _mod_crop(image, scale), scale, channel) for image in images]
    psnr_y, ssim_y, psnr, lr_psnr_y, bpp = (
        float(np.mean(column)) for column in zip(*rows, strict=True)
    )
    return Quality(
        images=len(rows), psnr_y=psnr_y, ssim_y=ssim_y, psnr=psnr, lr_psnr_y=lr_psnr_y, bpp=bpp
    )


def _measure(
    rescaler: Rescaler,
    hr: U8Array,
    scale: float,
    channel: Callable[[U8Array], tuple[U8Array, int]] | None,
) -> tuple[float, float, float, float, float]:
    size = (hr.shape[0], hr.shape[1])
    lr = downscale_pixels(rescaler, hr, scale)
    decoded, nbytes = (lr, lr.nbytes) if channel is None else channel(lr)
    restored = restore_pixels(rescaler, decoded, size, scale, seed=_LATENT_SEED)
    border = ceil(scale)
    return (
        metrics.psnr_y(restored, hr, border=border),
        metrics.ssim_y(restored, hr, border=border),
        metrics.psnr(restored, hr, border=border),
        metrics.psnr_y(lr, _reference(hr, lr, scale)),
        8 * nbytes / (size[0] * size[1]),
    )


def _reference(hr: U8Array, lr: U8Array, scale: float) -> U8Array:
    """The bicubic LR image, grey if `lr` is."""
    bicubic = downscale_pixels(_BICUBIC, hr, scale)
    if lr.shape[2] == bicubic.shape[2]:
        return bicubic
    return np.asarray(Image.fromarray(bicubic).convert("L"))[..., None]


def _mod_crop(image: U8Array, scale: float) -> U8Array:
    """Crop right and bottom to multiples of the scale, where it is a whole number."""
    if scale != int(scale):
        return image
    height, width = (side - side % int(scale) for side in image.shape[:2])
    return image[:height, :width]
