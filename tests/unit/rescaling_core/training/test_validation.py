from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core import zoo
from rescaling_core.quality import metrics
from rescaling_core.rescale import downscale_pixels, restore_pixels
from rescaling_core.training.validation import measure_set

BICUBIC = zoo.load("bicubic").rescaler


def photo(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(128, 40, (height, width, 3)), 0, 255).astype(np.uint8)


def test_a_set_s_figure_is_the_mean_of_its_images_figures():
    one, two = photo(24, 32), np.full((16, 16, 3), 90, np.uint8)
    two[4:12, 4:12] = 160
    alone = [measure_set(BICUBIC, [image], 2).psnr_y for image in (one, two)]
    together = measure_set(BICUBIC, [one, two], 2)
    assert together.images == 2
    assert together.psnr_y == pytest.approx(np.mean(alone))


@settings(max_examples=10, deadline=None)
@given(st.integers(12, 40), st.integers(12, 40), st.sampled_from([2, 4]))
def test_images_are_cropped_to_multiples_and_by_the_scale(height, width, scale):
    image = photo(height, width)
    measured = measure_set(BICUBIC, [image], scale)
    cropped = image[: height // scale * scale, : width // scale * scale]
    lr = downscale_pixels(BICUBIC, cropped, scale)
    restored = restore_pixels(BICUBIC, lr, cropped.shape[:2], scale)
    assert measured.psnr_y == metrics.psnr_y(restored, cropped, border=scale)
    assert measured.ssim_y == metrics.ssim_y(restored, cropped, border=scale)
    assert measured.lr_psnr_y == inf
    assert measured.bpp == pytest.approx(24 / scale**2)


def test_what_storing_does_to_the_lr_image_reaches_the_restored_one():
    image = photo(32, 32)

    def grey(lr):
        return np.full_like(lr, 128), 100

    stored = measure_set(BICUBIC, [image], 2, channel=grey)
    assert stored.psnr_y < measure_set(BICUBIC, [image], 2).psnr_y - 1
    assert stored.bpp == pytest.approx(800 / 1024)
    assert stored.lr_psnr_y == inf
