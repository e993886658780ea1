"""HyperThumbnail as Refold reads it: where it starts, what each half costs, what a part sees."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from rescaling_core.errors import CheckpointError
from rescaling_core.networks import FAMILIES, LatentPolicy, build
from rescaling_core.networks.base import Window
from rescaling_core.networks.diffjpeg import block_dct, dct_kernels, to_ycc
from rescaling_core.networks.hyperthumbnail import HyperThumbnail
from rescaling_core.networks.resampling import resize
from rescaling_core.zoo.card import count_macs
from tests.unit.rescaling_core.networks.examples import example, photo


def _untrained(scale: int) -> HyperThumbnail:
    network = build("hyperthumbnail", {"scale": scale}, LatentPolicy("none"))
    assert isinstance(network, HyperThumbnail)
    return network.requires_grad_(requires_grad=False)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_starts_as_block_means_and_cubic_enlargement(scale: int) -> None:
    network, hr = _untrained(scale), photo(24, 36)
    lr = network.downscale(hr, scale).lr
    assert torch.allclose(lr, F.avg_pool2d(hr, scale), atol=1e-6)
    cubic = resize(lr, (24, 36), scale=float(scale))
    inner = slice(2 * scale, -2 * scale)  # at the edge one mirrors, the other repeats
    restored = network.upscale(lr, (24, 36), scale=scale)
    assert torch.allclose(restored[..., inner, inner], cubic[..., inner, inner], atol=1e-5)


def test_dct_coefficients_are_those_that_jpeg_codes() -> None:
    rgb = photo(16, 24)
    found = F.conv2d(rgb, dct_kernels(), stride=8)
    wanted = block_dct(to_ycc(rgb)).permute(0, 1, 4, 5, 2, 3).flatten(1, 3)
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("start", [0, 8, 11, 13])
def test_a_part_sees_the_blocks_of_the_whole_wherever_it_begins(start: int) -> None:
    network = example("hyperthumbnail-x2")
    assert isinstance(network, HyperThumbnail)
    lr = photo(40, 48)
    whole = network.upscale(lr, (80, 96), scale=2)
    asked = slice(48, 72)
    sides = [
        Window(given=slice(start, n), asked=asked, length=n, result=2 * n) for n in lr.shape[-2:]
    ]
    part = network.upscale_part(lr[..., start:, start:], 2, (sides[0], sides[1]))
    assert torch.allclose(part, whole[..., asked, asked], atol=1e-6)
    elsewhere = [
        Window(given=slice(0, n - start), asked=slice(48 - 2 * start, 72 - 2 * start),
               length=n - start, result=2 * (n - start))
        for n in lr.shape[-2:]
    ]  # fmt: skip
    moved = network.upscale_part(lr[..., start:, start:], 2, (elsewhere[0], elsewhere[1]))
    assert torch.allclose(moved, part, atol=1e-6) == (start % 8 == 0)


def test_the_encoder_is_heavy_and_the_decoder_light() -> None:
    for scale, most in ((2, 46_000), (4, 12_500)):
        down, up = count_macs(_untrained(scale))
        assert down > 5 * up
        assert up < most
    irn_x2 = build("irn", {"scale": 2, "blocks": [8]}, LatentPolicy("zeros"))
    assert count_macs(irn_x2)[1] > 8 * count_macs(_untrained(2))[1]


def test_a_file_with_the_official_names_is_refused() -> None:
    record = FAMILIES["hyperthumbnail"]
    official = {"decoder.conv_first.weight": torch.zeros(24, 27, 3, 3)}
    with pytest.raises(CheckpointError, match="not a checkpoint of family hyperthumbnail"):
        record.config_of(official)


@pytest.mark.parametrize("wrong", [{"scale": 1}, {"scale": 2, "features": 0}])
def test_what_is_no_such_network_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(CheckpointError, match="hyperthumbnail: no such network"):
        build("hyperthumbnail", wrong, LatentPolicy("none"))
