"""Networks rearranged for inference: the same function, whatever it is made of."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from rescaling_core.engine.dense import DenseBranches, Fusion
from rescaling_core.engine.fused import fuse
from rescaling_core.networks import LatentPolicy, build
from rescaling_core.networks.base import BijectiveRescaler
from tests.unit.networks.examples import NETWORKS, example, photo, scale_of

FUSED = ("irn-x2", "irn-x4", "irn-x4-down-first", "irn-x8", "sain-x2", "sain-x4")


@pytest.mark.parametrize("fusion", ["separate", "grouped", "diagonal"])
@pytest.mark.parametrize("name", FUSED)
def test_fused_networks_compute_the_same(name: str, fusion: Fusion) -> None:
    network, scale = example(name), int(scale_of(name))
    assert isinstance(network, BijectiveRescaler)
    passes = fuse(network, partial(DenseBranches, fusion=fusion))
    assert passes is not None
    hr = torch.cat((photo(24, 32, 1), photo(24, 32, 2)))
    lr = network.downscale(hr, scale).lr
    assert torch.allclose(passes[0](hr), lr, atol=1e-5)
    latent = torch.randn(2, network.latent_channels, *lr.shape[-2:])
    for given in (latent, None):
        used = torch.zeros_like(latent) if given is None else given
        expected = network.upscale(lr, (24, 32), scale=scale, latent=used)
        assert torch.allclose(passes[1](lr, given), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(FUSED)))
def test_networks_of_other_parts_are_left_alone(name: str) -> None:
    assert fuse(example(name)) is None


def test_a_network_that_ends_in_a_transform_is_left_alone() -> None:
    config = {"scale": 2, "blocks": [0]}
    assert fuse(build("irn", config, LatentPolicy("zeros"))) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_triton_kernels_compute_the_same_up_to_their_precision(dtype: torch.dtype) -> None:
    from rescaling_core.engine.triton_dense import TritonDense

    torch.manual_seed(0)
    network = build("irn", {"scale": 2, "blocks": [2], "growth": 16}, LatentPolicy("zeros"))
    for parameter in network.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    network.cuda().requires_grad_(requires_grad=False)
    passes = fuse(network, partial(TritonDense, dtype=dtype))
    assert passes is not None
    hr = torch.cat((photo(38, 50, 1), photo(38, 50, 2))).cuda()
    lr = network.downscale(hr, 2).lr
    assert torch.allclose(passes[0].cuda()(hr), lr, atol=0.02)
    latent = torch.zeros(2, 9, *lr.shape[-2:], device="cuda")
    expected = network.upscale(lr, (38, 50), scale=2, latent=latent)
    assert torch.allclose(passes[1].cuda()(lr), expected, atol=0.02)
