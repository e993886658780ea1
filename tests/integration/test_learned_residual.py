"""The parts of `benchmarks.learned_residual`, on tiny pictures."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import learned_residual, residual_codec, residual_layers, residual_overfit
from benchmarks.residual_layers import Layers, Point


def _layers(side: int = 48) -> Layers:
    rows, columns = np.mgrid[:side, :side]
    plane = 128 + 60 * np.sin(columns / 2.0) * np.cos(rows / 3.0)
    original = np.repeat(plane[..., None], 3, axis=2).astype(np.uint8)
    enlarged = (original // 32 * 32).astype(np.uint8)
    return Layers("waves", original, enlarged, 100)


def test_the_transform_is_orthogonal_and_goes_back() -> None:
    plane = torch.randn(2, 1, 32, 48, generator=torch.Generator().manual_seed(1))
    coefficients = residual_codec.transformed(plane)
    assert coefficients.shape == (2, 64, 4, 6)
    assert torch.allclose(residual_codec.transformed_back(coefficients), plane, atol=1e-5)
    gram = residual_codec.lapped_basis() @ residual_codec.lapped_basis().T
    assert torch.allclose(gram, torch.eye(8), atol=1e-6)


def test_probabilities_of_a_level_sum_to_one() -> None:
    told = torch.tensor([0.3, -0.8, 0.4, 1.1])[:, None].expand(-1, 401)
    shares = 2 ** -residual_codec.bits_of(torch.arange(-200.0, 201.0), told)
    assert abs(float(shares.sum()) - 1) < 1e-5
    offsets = torch.arange(-60.0, 61.0) - 0.3
    shares = 2 ** -residual_overfit.laplace_bits(offsets, torch.tensor(2.0))
    assert abs(float(shares.sum()) - 1) < 1e-3


def test_prices_depend_on_nothing_that_is_coded_later() -> None:
    torch.manual_seed(1)
    network = residual_codec.Probabilities()
    for group in network.groups:
        assert isinstance(group, residual_codec.Group)
        torch.nn.init.normal_(group.told.weight, std=0.2)
    base, wanted = 100 * torch.randn(1, 64, 4, 4), 60 * torch.randn(1, 64, 4, 4)
    step = torch.full((1, 1, 1, 1), 24.0)
    changed = wanted.clone()
    changed[:, 15, 0, 1] += 200  # the first of the third group, of its second half
    with torch.inference_mode():
        first, second = (network(base, one, step, 0.15) for one in (wanted, changed))
    even = (torch.arange(4)[:, None] + torch.arange(4)) % 2 == 0
    assert torch.equal(first.bits[:, :15], second.bits[:, :15])
    assert torch.equal(first.bits[:, 15:28, even], second.bits[:, 15:28, even])
    assert not torch.equal(first.bits[:, 28:], second.bits[:, 28:])


def test_a_latent_costs_by_those_before_it() -> None:
    torch.manual_seed(1)
    model = residual_overfit.Overfitted(torch.rand(1, 1, 16, 16) * 255)
    torch.nn.init.normal_(model.told.weight)
    latents = [torch.randn_like(one).round().requires_grad_() for one in model.latents]
    x = model.before
    seen = torch.zeros(1, 1, 5, 5)
    seen[0, 0, 2, 2:] = seen[0, 0, 3:] = 1
    before = torch.nn.functional.conv2d(seen, x.weight * model.mask)
    assert not before.any()
    assert float(model.bits(latents).detach()) > 0


def test_a_picture_is_coded_and_measured_in_both_ways() -> None:
    one = _layers()
    codec = learned_residual.new_codec()
    fine, coarse = learned_residual.coded_points(codec, one, (8.0, 40.0))
    assert fine.nbytes > coarse.nbytes > 0
    assert fine.sum_psnr_y > coarse.sum_psnr_y
    theirs = residual_layers.avif_points(one, (20, 60))
    assert 0 < theirs[0].container < theirs[0].nbytes
    generator = np.random.default_rng(1)
    rate, error = learned_residual.losses(codec, *learned_residual.draw([one], 2, 32, generator))
    (rate + error).backward()
    weights = codec.probabilities.head.weight
    assert weights.grad is not None
    assert codec.final.head.weight.grad is not None


def test_a_fit_gains_and_pays_for_its_weights() -> None:
    one = _layers(32)
    base = 255 * learned_residual.luma_of(learned_residual.as_planes(one.enlarged))
    missing = 255 * learned_residual.luma_of(learned_residual.as_planes(one.original)) - base
    early, late = residual_overfit.fit(base, missing, 5.0, 40, [2, 40])
    assert float((late.added - missing).square().sum()) < float(missing.square().sum())
    assert late.latent_bits > 0
    assert early.weight_bits > 0


def test_bytes_are_compared_at_equal_psnr() -> None:
    def points(factor: float) -> list[Point]:
        return [Point("a", factor * 2**n, 0, 30 + n, 31 + n, 10) for n in range(8)]

    found = residual_layers.compared(points(9), points(10), filtered=False, counted="residual")
    assert all(abs(ours / theirs - 0.9) < 1e-6 for _, ours, theirs in found.values())
    assert "-10.0 % (1)" in residual_layers.table(points(9), points(10))
