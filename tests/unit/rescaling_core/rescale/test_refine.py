from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch

from rescaling_core import zoo
from rescaling_core.networks import LatentPolicy, Rescaler, build
from rescaling_core.networks.hcd import HCDOptions, hcd
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.quality import metrics
from rescaling_core.rescale import downscale_pixels, restore_pixels
from rescaling_core.rescale.refine import Refinement, refine, refine_pixels
from tests.unit.rescaling_core.networks.examples import example, photo, scale_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def lite() -> Rescaler:
    """The bundled rescaler."""
    return zoo.load("irn-x2-lite").rescaler


def _gain(rescaler: Rescaler, pixels: U8Array, refinement: Refinement) -> tuple[float, U8Array]:
    """PSNR-Y gained in dB, and how far each LR sample moved, in levels."""
    lr = downscale_pixels(rescaler, pixels, 2)
    refined = refine_pixels(rescaler, lr, pixels, 2, refinement=refinement)
    before, after = (
        metrics.psnr_y(restore_pixels(rescaler, image, pixels.shape[:2], 2), pixels, border=2)
        for image in (lr, refined)
    )
    return after - before, np.abs(refined.astype(np.int16) - lr).astype(np.uint8)


def test_a_bundled_rescaler_restores_better_from_a_refined_lr_image(lite: Rescaler) -> None:
    pixels = skimage.data.astronaut()[80:175, 180:281]
    gain, moved = _gain(lite, pixels, Refinement(steps=4, max_change=2))
    assert gain > 0.5
    assert moved.max() <= 2
    assert moved.any()


def test_refinement_gains_a_fifth_of_a_decibel_on_photographs(lite: Rescaler) -> None:
    gains = []
    for sample, top, left in (("astronaut", 60, 190), ("chelsea", 90, 130), ("coffee", 150, 220)):
        pixels = getattr(skimage.data, sample)()[top : top + 64, left : left + 64]
        gain, moved = _gain(lite, pixels, Refinement(steps=3, max_change=2))
        assert moved.max() <= 2
        gains.append(gain)
    assert np.mean(gains) > 0.2


def test_more_steps_never_hurt_and_none_change_nothing(lite: Rescaler) -> None:
    pixels = skimage.data.chelsea()[100:148, 100:150]
    gains = [_gain(lite, pixels, Refinement(steps=steps))[0] for steps in (0, 2, 8)]
    assert gains[0] == 0
    assert gains == sorted(gains)


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_no_sample_leaves_the_stated_distance(lite: Rescaler, limit: int) -> None:
    pixels = skimage.data.chelsea()[100:140, 100:150]
    _, moved = _gain(lite, pixels, Refinement(steps=6, max_change=limit, rate=2))
    assert moved.max() == limit


def test_grey_images_and_odd_sizes_are_refined_too(lite: Rescaler) -> None:
    pixels = skimage.data.astronaut()[80:161, 180:261, 1:2]
    gain, moved = _gain(lite, pixels, Refinement(steps=4))
    assert gain > 0
    assert moved.shape == (41, 41, 1)


def test_blocks_of_a_large_image_fit_together(
    lite: Rescaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = skimage.data.astronaut()[80:175, 180:281]
    whole, _ = _gain(lite, pixels, Refinement(steps=4))
    monkeypatch.setattr("rescaling_core.rescale.refine._BLOCK", 20)
    monkeypatch.setattr("rescaling_core.rescale.refine._CONTEXT", 8)
    blocks, moved = _gain(lite, pixels, Refinement(steps=4))
    assert blocks == pytest.approx(whole, abs=0.5)
    assert moved.max() <= 2


@pytest.mark.parametrize("name", ["irn-x4", "sain-x2", "aidn", "t-irn-x2", "firn-x2", "bicubic"])
def test_any_differentiable_rescaler_can_be_refined(name: str) -> None:
    rescaler, scale = example(name), scale_of(name)
    pixels = (photo(29, 34)[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    lr = downscale_pixels(rescaler, pixels, scale)
    refined = refine_pixels(
        rescaler, lr, pixels, scale, refinement=Refinement(steps=5, max_change=4), seed=3
    )
    errors = [
        np.mean(
            (restore_pixels(rescaler, image, (29, 34), scale, seed=3).astype(float) - pixels) ** 2
        )
        for image in (lr, refined)
    ]
    assert errors[1] < errors[0]
    assert np.abs(refined.astype(int) - lr).max() <= 4


def test_a_random_latent_has_to_be_named() -> None:
    rescaler = example("irn-x2")
    x = photo(8, 8)
    lr = rescaler.downscale(x, 2).lr
    with pytest.raises(ValueError, match="a generator is needed"):
        refine(rescaler, lr, x, 2, refinement=Refinement(steps=1))


def test_images_of_a_batch_are_refined_independently() -> None:
    rescaler = build("irn", {"scale": 2, "blocks": [1], "growth": 8}, LatentPolicy("zeros")).eval()
    x = torch.cat((photo(16, 16, 1), photo(16, 16, 2)))
    lr = rescaler.downscale(x, 2).lr.detach()
    both = refine(rescaler, lr, x, 2, refinement=Refinement(steps=3))
    alone = refine(rescaler, lr[1:], x[1:], 2, refinement=Refinement(steps=3))
    assert torch.allclose(both[1:], alone, atol=1e-6)


def test_weights_are_left_as_they_are() -> None:
    rescaler = build("irn", {"scale": 2, "blocks": [1], "growth": 8}, LatentPolicy("zeros")).eval()
    before = {key: tensor.clone() for key, tensor in rescaler.state_dict().items()}
    x = photo(8, 8)
    refine(rescaler, rescaler.downscale(x, 2).lr, x, 2, refinement=Refinement(steps=2))
    assert all(parameter.grad is None for parameter in rescaler.parameters())
    assert all(torch.equal(before[key], value) for key, value in rescaler.state_dict().items())


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"max_change": -1}, {"rate": 0.0}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="refinement"):
        Refinement(**wrong)


def test_published_hcd_stays_within_its_ball(lite: Rescaler) -> None:
    x = photo(32, 40)
    options = HCDOptions(hr_steps=2, lr_steps=2)
    found = hcd(lite, x, 2, generator=seeded_generator(0), options=options)
    assert (found.hr - x).norm() <= options.radius + 1e-5
    assert found.hr.min() >= 0
    assert found.hr.max() <= 1
    again = hcd(lite, x, 2, generator=seeded_generator(0), options=options)
    assert torch.equal(found.lr, again.lr)
