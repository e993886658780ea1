"""Whole images through a rescaler: sizes, tiles, grey, latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.networks.base import Rescaler
from rescaling_core.networks.irn import IRN
from rescaling_core.networks.irn_color import IRNColor
from rescaling_core.networks.latent import LatentPolicy
from rescaling_core.pixels.tiles import Tiling
from rescaling_core.rescale import downscale_pixels, restore_pixels


def _network(scale: int, kind: str = "zeros") -> Rescaler:
    """A small IRN whose weights are not the trivial ones."""
    torch.manual_seed(scale)
    blocks = (1,) * {2: 1, 4: 2}[scale]
    policy = LatentPolicy(kind)  # type: ignore[arg-type]
    network = IRN(scale=scale, blocks=blocks, growth=4, depth=3, latent_policy=policy)
    for parameter in network.parameters():
        parameter.data += 0.03 * torch.randn_like(parameter)
    return network.eval()


def _pixels(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 20, (height, width, channels))
    ramp = np.linspace(0, 255, width)[None, :, None]
    return np.clip(ramp + noise, 0, 255).astype(np.uint8)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from([1, 3]), st.sampled_from([2, 4]))
def test_any_size_comes_back_at_its_size(h: int, w: int, channels: int, scale: int) -> None:
    network = _network(scale)
    lr = downscale_pixels(network, _pixels(h, w, channels), scale)
    assert lr.shape == (-(-h // scale), -(-w // scale), channels)
    assert restore_pixels(network, lr, (h, w), scale).shape == (h, w, channels)


@settings(deadline=None, max_examples=20)
@given(
    st.integers(40, 90), st.integers(40, 90), st.sampled_from([2, 4]), st.sampled_from([16, 24, 40])
)
def test_tiles_change_nothing_when_they_see_far_enough(
    h: int, w: int, scale: int, tile: int
) -> None:
    network = _network(scale)
    pixels = _pixels(h, w, 3)
    whole, tiled = Tiling(tile=4096, overlap=0), Tiling(tile=tile, overlap=24)
    lr = downscale_pixels(network, pixels, scale, tiling=whole)
    lr_tiled = downscale_pixels(network, pixels, scale, tiling=tiled)
    # Other shapes sum in another order: a value next to a rounding tie may fall the other way.
    assert np.abs(lr.astype(int) - lr_tiled).max() <= 1
    assert (lr != lr_tiled).mean() < 0.001
    hr = restore_pixels(network, lr, (h, w), scale, tiling=whole).astype(int)
    hr_tiled = restore_pixels(network, lr, (h, w), scale, tiling=tiled)
    assert np.abs(hr - hr_tiled).max() <= 1


def test_a_drawn_latent_is_the_same_for_the_same_seed_and_across_tiles() -> None:
    network = _network(2, "gaussian")
    lr = downscale_pixels(network, _pixels(60, 60, 3), 2)
    first = restore_pixels(network, lr, (60, 60), 2, seed=7)
    assert np.array_equal(first, restore_pixels(network, lr, (60, 60), 2, seed=7))
    assert not np.array_equal(first, restore_pixels(network, lr, (60, 60), 2, seed=8))
    tiled = restore_pixels(network, lr, (60, 60), 2, seed=7, tiling=Tiling(tile=32, overlap=16))
    assert np.abs(first.astype(int) - tiled).max() <= 1


def test_a_network_that_hides_colours_gives_grey_and_takes_it_back() -> None:
    network = IRNColor(blocks=1, latent_policy=LatentPolicy("zeros")).eval()
    tiling = Tiling(tile=32, overlap=8)
    lr = downscale_pixels(network, _pixels(40, 50, 3), 1, tiling=tiling)
    assert lr.shape == (40, 50, 1)
    assert restore_pixels(network, lr, (40, 50), 1, tiling=tiling).shape == (40, 50, 3)


def test_a_drawn_latent_needs_a_seed() -> None:
    network = _network(2, "gaussian")
    with pytest.raises(ValueError, match="generator"):
        restore_pixels(network, np.zeros((4, 4, 3), np.uint8), (8, 8), 2)


def test_sizes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="does not restore"):
        restore_pixels(_network(2), np.zeros((4, 4, 3), np.uint8), (9, 8), 2)
