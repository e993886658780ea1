from dataclasses import replace

import pytest
import torch

from rescaling_core import codecs, networks
from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.networks import LatentPolicy
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.networks.resampling import resize
from rescaling_core.training.channel import through_codec
from rescaling_core.training.objectives import OBJECTIVES, bicubic, distance
from rescaling_core.training.rate import estimated_rate
from rescaling_core.training.recipe import Compression, Objective, Optimisation, Recipe

RECIPE = Recipe(
    id="t",
    title="t",
    family="irn",
    network={"scale": 2, "blocks": (1,), "growth": 4, "depth": 3},
    latent=LatentPolicy("zeros"),
    scales=(2.0,),
    optimisation=Optimisation(steps=1),
)


@pytest.fixture
def hr():
    return torch.rand(2, 3, 32, 32, generator=seeded_generator(0))


def loss_of(recipe, hr, **network):
    rescaler = networks.build(recipe.family, dict(recipe.network) | network, recipe.latent)
    return OBJECTIVES[recipe.objective.name](rescaler, hr, 2.0, recipe, seeded_generator(0))


def test_an_untrained_irn_loses_exactly_the_details(hr):
    """Its last convolutions are zero: LR is the rounded box mean, restored is that enlarged."""
    box = (torch.nn.functional.avg_pool2d(hr, 2) * 255).round() / 255
    restored = torch.nn.functional.interpolate(box, scale_factor=2, mode="nearest")
    loss = loss_of(replace(RECIPE, objective=Objective(restoration="l1")), hr)
    assert loss.terms["restoration"].item() == pytest.approx((restored - hr).abs().mean().item())


def test_the_total_is_the_sum_of_the_plain_terms(hr):
    loss = loss_of(replace(RECIPE, objective=Objective(luma=0.5, guidance=2.0)), hr)
    assert set(loss.terms) == {"restoration", "guidance", "luma"}
    assert loss.total.item() == pytest.approx(sum(t.item() for t in loss.terms.values()))


def test_the_lr_image_is_pulled_towards_the_bicubic_one(hr):
    lr = torch.zeros(2, 3, 16, 16)
    assert torch.allclose(bicubic(hr, lr, 2.0), resize(hr, (16, 16)))
    grey = bicubic(hr, torch.zeros(2, 1, 16, 16), 2.0)
    assert grey.shape == (2, 1, 16, 16)


@pytest.mark.parametrize("kind", ["l1", "l2", "charbonnier", "log-l2"])
def test_every_distance_grows_with_the_difference(hr, kind):
    near, far = (distance(hr, hr + offset, kind) for offset in (0.01, 0.1))
    assert distance(hr, hr, kind) < near < far


def test_compression_makes_restoration_worse(hr):
    coarse = Compression(codecs=("jpeg-420",), quality=(5, 5))
    clean = loss_of(RECIPE, hr).terms["restoration"]
    assert loss_of(replace(RECIPE, compression=coarse), hr).terms["restoration"] > clean


def test_the_sain_objective_names_what_it_needs(hr):
    sain = Objective(name="sain")
    with pytest.raises(UsageError, match="family sain"):
        loss_of(replace(RECIPE, objective=sain), hr)
    network = {"scale": 2, "enhanced_blocks": 1, "blocks": 1, "growth": 4, "depth": 3}
    recipe = replace(RECIPE, family="sain", network=network, objective=sain)
    with pytest.raises(UsageError, match="codec"):
        loss_of(recipe, hr)


def test_only_a_latent_that_is_drawn_is_pulled_towards_nothing(hr):
    paper = replace(RECIPE, objective=Objective(name="irn"))
    assert "latent" not in loss_of(paper, hr).terms
    assert "latent" in loss_of(replace(paper, latent=LatentPolicy("gaussian")), hr).terms


def test_aidn_plus_is_trained_through_its_own_simulator(hr):
    tiny = {"features": 8, "residual_blocks": 2, "adapt_every": 1, "kernel_experts": 2}
    recipe = replace(
        RECIPE,
        family="aidn",
        latent=LatentPolicy("none"),
        network=tiny | {"sample_experts": 2},
        objective=Objective(name="aidn"),
    )
    torch.manual_seed(0)
    loss = loss_of(recipe, hr, codec_quality=20)
    torch.manual_seed(0)
    assert loss_of(recipe, hr).terms["guidance"].item() == loss.terms["guidance"].item()
    torch.manual_seed(0)
    assert loss_of(recipe, hr).terms["restoration"].item() != loss.terms["restoration"].item()


def test_a_price_on_bits_makes_the_lr_image_cheaper(hr):
    """One gradient step on the LR image along the rate term alone shrinks the real file."""
    spec = CodecSpec.parse("avif", 60)
    lr = hr.clone().requires_grad_()
    before = estimated_rate(lr, through_codec(lr, spec), spec)
    before.backward()
    step = 0.02 * lr.grad / lr.grad.abs().max()
    cheaper = (lr - step).detach().clamp(0, 1)
    assert estimated_rate(cheaper, through_codec(cheaper, spec), spec) < before

    def coded(batch):
        images = (batch.detach() * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
        return sum(len(codecs.encode(image, spec)) for image in images)

    assert coded(cheaper) < coded(lr)


def test_the_rate_weighs_as_much_of_the_distance_as_asked(hr):
    compression = Compression(codecs=("avif",), quality=(60, 60))
    recipe = replace(RECIPE, compression=compression, objective=Objective(luma=0.5, rate=0.3))
    terms = loss_of(recipe, hr).terms
    missed = terms["restoration"].item() + terms["luma"].item()
    assert terms["rate"].item() == pytest.approx(0.3 * missed)
