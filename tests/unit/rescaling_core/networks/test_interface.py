"""What every rescaler promises, whatever its family."""

from __future__ import annotations

from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.errors import CheckpointError, UsageError
from rescaling_core.networks import FAMILIES, LatentPolicy, Rescaler, build, family, load_strictly
from rescaling_core.networks.latent import seeded_generator
from tests.unit.rescaling_core.networks.examples import NETWORKS, example, photo, scale_of

sides = st.integers(1, 40)
each = pytest.mark.parametrize("name", NETWORKS)
each_with_weights = pytest.mark.parametrize(
    "name", [name for name in NETWORKS if NETWORKS[name][0] != "filter"]
)


@each
@settings(max_examples=8, deadline=None)
@given(height=sides, width=sides)
def test_any_size_comes_back_at_its_own_size(name: str, height: int, width: int) -> None:
    rescaler, scale = example(name), scale_of(name)
    down = rescaler.downscale(photo(height, width), scale)
    assert tuple(down.lr.shape[-2:]) == rescaler.lr_size((height, width), scale)
    restored = rescaler.upscale(
        down.lr, (height, width), scale=scale, generator=seeded_generator(0)
    )
    assert restored.shape == (1, 3, height, width)
    assert torch.isfinite(restored).all()


@each
def test_images_of_a_batch_do_not_see_each_other(name: str) -> None:
    rescaler, scale = example(name), scale_of(name)
    batch = torch.cat((photo(16, 24, 1), photo(16, 24, 2)))
    alone = rescaler.downscale(batch[1:], scale).lr
    assert torch.allclose(rescaler.downscale(batch, scale).lr[1:], alone, atol=1e-5)


@each
def test_a_scale_it_was_not_made_for_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"made for .*, asked for x0\.5"):
        example(name).downscale(photo(16, 16), 0.5)


@each
def test_equal_seeds_restore_equal_pixels(name: str) -> None:
    rescaler, scale = example(name), scale_of(name)
    lr = rescaler.downscale(photo(16, 16), scale).lr
    one, two, other = (
        rescaler.upscale(lr, (16, 16), scale=scale, generator=seeded_generator(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert torch.equal(one, other) != rescaler.latent_policy.is_random


@each
def test_a_random_policy_without_a_generator_is_an_error(name: str) -> None:
    rescaler, scale = example(name), scale_of(name)
    lr = rescaler.downscale(photo(8, 8), scale).lr
    if rescaler.latent_policy.is_random:
        with pytest.raises(ValueError, match="a generator is needed"):
            rescaler.upscale(lr, (8, 8), scale=scale)
    else:
        rescaler.upscale(lr, (8, 8), scale=scale)


@each
def test_gradients_reach_the_hr_image_through_the_round_trip(name: str) -> None:
    rescaler, scale = example(name), scale_of(name)
    x = photo(16, 16).requires_grad_()
    lr = rescaler.downscale(x, scale).lr
    rescaler.upscale(lr, (16, 16), scale=scale, generator=seeded_generator(0)).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@each
def test_the_config_builds_the_same_network(name: str) -> None:
    rescaler = example(name)
    twin = build(rescaler.family, rescaler.config, rescaler.latent_policy)
    assert twin.config == rescaler.config
    assert _shapes(twin) == _shapes(rescaler)


@each_with_weights
def test_the_state_dict_tells_the_config(name: str) -> None:
    rescaler = example(name)
    record = FAMILIES[rescaler.family]
    twin = record.build(record.config_of(rescaler.state_dict()), rescaler.latent_policy)
    assert _shapes(twin) == _shapes(rescaler)
    load_strictly(twin, rescaler.state_dict())
    x, scale = photo(16, 16), scale_of(name)
    twin.eval()
    assert torch.equal(twin.downscale(x, scale).lr, rescaler.downscale(x, scale).lr)


@each_with_weights
def test_a_missing_and_an_unexpected_key_are_named(name: str) -> None:
    rescaler = example(name)
    weights = dict(rescaler.state_dict())
    gone = next(iter(weights))
    weights["stranger"] = weights.pop(gone)
    with pytest.raises(CheckpointError, match=rf"missing keys: {gone}.*unexpected keys: stranger"):
        load_strictly(rescaler, weights)


@each
def test_a_latent_policy_it_has_no_use_for_is_refused(name: str) -> None:
    kind, config = NETWORKS[name]
    without = ("filter", "aidn", "irn", "firn", "hyperthumbnail")
    refused = "mixture" if kind in without else "none"
    with pytest.raises(CheckpointError, match="latents are"):
        build(kind, config, LatentPolicy(refused))


def test_an_unknown_family_is_refused_with_those_there_are() -> None:
    with pytest.raises(CheckpointError, match=r"unknown family 'esrgan'; one of .*irn.*sain"):
        family("esrgan")


def test_a_config_of_another_family_is_refused() -> None:
    with pytest.raises(CheckpointError, match="irn: no such network"):
        build("irn", {"kernel": "bicubic"}, LatentPolicy("zeros"))
    with pytest.raises(CheckpointError, match="irn: no such network"):
        build("irn", {"scale": 4, "blocks": [8]}, LatentPolicy("zeros"))


def test_haar_constants_that_are_none_are_refused() -> None:
    rescaler = example("irn-x2")
    weights = dict(rescaler.state_dict())
    weights["operations.0.haar_weights"] = weights["operations.0.haar_weights"] * 0.5
    with pytest.raises(CheckpointError, match="not the ±1 constants"):
        load_strictly(rescaler, weights)


def test_jpeg_tables_that_differ_between_the_directions_are_refused() -> None:
    rescaler = example("aidn-plus")
    weights = dict(rescaler.state_dict())
    key = "jpeg.decompress.y_dequantize.y_table"
    weights[key] = weights[key] + 1
    with pytest.raises(CheckpointError, match="y_table differ"):
        load_strictly(rescaler, weights)


@settings(max_examples=200, deadline=None)
@given(side=st.integers(1, 5000), tenths=st.integers(11, 40))
def test_aidn_rounds_lr_sizes_as_its_official_code(side: int, tenths: int) -> None:
    scale = tenths / 10
    assert example("aidn").lr_size((side, side), scale) == (ceil(side * (1.0 / scale)),) * 2


def test_known_aidn_sizes_have_the_extra_pixel() -> None:
    assert example("aidn").lr_size((46, 156), 2.3)[0] == 21
    assert example("aidn").lr_size((46, 156), 3.9)[1] == 41


def _shapes(rescaler: Rescaler) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in rescaler.state_dict().items()}
