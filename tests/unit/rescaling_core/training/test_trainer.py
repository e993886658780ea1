"""Training, family by family: it runs, it learns, and it continues exactly where it was killed."""

import tomllib
from dataclasses import replace

import numpy as np
import pytest
import torch

from rescaling_core import networks, zoo
from rescaling_core.errors import UsageError
from rescaling_core.networks import LatentPolicy
from rescaling_core.networks.restorer import Restorer
from rescaling_core.training.acceleration import accelerate
from rescaling_core.training.recipe import Compression, Objective, Optimisation
from rescaling_core.training.trainer import Team, Trainer, new_rescaler
from rescaling_core.training.validation import measure_set
from tasks.jobs.train.data import RECIPES_DIR, load_recipe
from tests.unit.rescaling_core.training.families import STEPS, TINY, tiny_recipe, training_images


@pytest.fixture(scope="module")
def images():
    return training_images()


def test_every_family_with_weights_is_tested_here():
    assert TINY.keys() == networks.FAMILIES.keys() - {"filter"}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["irn", "t-irn", "sain", "aidn"])
def test_training_lowers_the_loss(family, images):
    plan = Optimisation(steps=80, batch=4, patch=32, warmup=2, learning_rate=5e-3)
    gain = 1.0 if family == "aidn" else 10.0
    recipe = tiny_recipe(family, scales=(2.0,), optimisation=plan, init_gain=gain)
    trainer = Trainer(recipe, new_rescaler(recipe), images)
    losses = [trainer.step().loss for _ in range(80)]
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:10])


@pytest.mark.slow
def test_training_lowers_the_loss_of_a_network_that_starts_as_a_filter(images):
    """HyperThumbnail's start is a good one, and JPEG's noise would hide what is gained at first."""
    plan = Optimisation(steps=300, batch=4, patch=32, warmup=2, learning_rate=5e-3)
    recipe = tiny_recipe("hyperthumbnail", optimisation=plan, compression=Compression())
    trainer = Trainer(recipe, new_rescaler(recipe), images)
    losses = [trainer.step().loss for _ in range(300)]
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:10])


def test_bfloat16_trains_and_ends_in_float32(images):
    plan = Optimisation(
        steps=STEPS, batch=2, patch=32, precision="bfloat16", float32_from=0.5, warmup=2
    )
    recipe = tiny_recipe("irn", optimisation=plan)
    trainer = Trainer(recipe, new_rescaler(recipe), images)
    assert all(np.isfinite(trainer.step().loss) for _ in range(STEPS))
    assert all(t.dtype == torch.float32 for t in trainer.rescaler.state_dict().values())


def test_a_step_without_a_finite_gradient_changes_nothing(images):
    recipe = tiny_recipe("irn", objective=Objective())
    trainer = Trainer(recipe, new_rescaler(recipe), images)
    trainer.step()
    weight = trainer.rescaler.operations[1].F.conv3.weight
    before = trainer.averaged().state_dict()
    with torch.no_grad():
        weight[0, 0, 0, 0] = torch.inf
    report = trainer.step()
    assert not np.isfinite(report.gradient_norm)
    after = trainer.averaged().state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_trained_weights_keep_their_quality_in_the_file(images, tmp_path):
    recipe = tiny_recipe("irn", latent=LatentPolicy("zeros"), objective=Objective())
    trainer = Trainer(recipe, new_rescaler(recipe), images)
    for _ in range(STEPS):
        trainer.step()
    rescaler = trainer.averaged()
    card = zoo.describe(rescaler, model_id="t", title="t")
    zoo.save(tmp_path / "t.safetensors", rescaler, card, dtype=torch.float16)
    stored = zoo.load(tmp_path / "t.safetensors").rescaler
    there, here = (measure_set(network, images, 2).psnr_y for network in (stored, rescaler))
    assert there == pytest.approx(here, abs=0.02)


def test_equal_seeds_give_equal_networks_and_leave_torch_s_own_generator_alone():
    recipe = tiny_recipe("irn")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two = new_rescaler(recipe), new_rescaler(recipe)
    assert torch.equal(torch.rand(3), expected)
    assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))
    other = new_rescaler(replace(recipe, seed=4))
    assert not torch.equal(one.operations[1].F.conv1.weight, other.operations[1].F.conv1.weight)


@pytest.mark.parametrize("path", sorted(RECIPES_DIR.glob("*.toml")), ids=lambda path: path.stem)
def test_the_network_of_every_bundled_recipe_can_be_built(path):
    values = tomllib.loads(path.read_text())
    if values.get("kind") == "restorer":
        with torch.device("meta"):
            Restorer(**values["network"])
        return
    policy = LatentPolicy(**values["latent"])
    with torch.device("meta"):
        rescaler = networks.build(values["family"], values["network"], policy)
    assert all(scale in rescaler.scales for scale in values["scales"])


@pytest.mark.parametrize("name", ["hyperthumbnail-x2", "hyperthumbnail-x4"])
def test_the_recipe_trains_through_jpeg_with_a_price_on_bits(name, images):
    recipe = load_recipe(str(RECIPES_DIR / f"{name}.toml"))
    plan = replace(recipe.optimisation, batch=1, patch=64, warmup=1)
    trainer = Trainer(replace(recipe, optimisation=plan), new_rescaler(recipe), images)
    before = {key: value.clone() for key, value in trainer.rescaler.state_dict().items()}
    reports = [trainer.step() for _ in range(2)]
    assert all(np.isfinite(report.gradient_norm) for report in reports)
    assert reports[0].terms.keys() == {"restoration", "guidance", "rate"}
    after = trainer.rescaler.state_dict()
    for half in ("encoder.head.weight", "decoder.coefficients.expand.weight"):
        assert not torch.equal(before[half], after[half])


def test_fine_tuning_moves_weights_and_leaves_constants_alone(images):
    recipe = tiny_recipe("aidn")
    frozen = new_rescaler(recipe).eval().requires_grad_(requires_grad=False)
    trainer = Trainer(recipe, frozen, images)
    before = {name: tensor.clone() for name, tensor in trainer.rescaler.state_dict().items()}
    for _ in range(3):
        trainer.step()
    after = trainer.rescaler.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "down_net.head.0.weight" in changed
    assert not any("_mean." in name for name in changed)


def test_an_accelerated_network_computes_the_same():
    """Compiling is torch's business; the alignment of channels before it is ours."""
    recipe = tiny_recipe("irn", init_gain=10.0)
    rescaler = new_rescaler(recipe)
    for name, parameter in rescaler.named_parameters():
        if "conv3.weight" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    hr = torch.rand(2, 3, 16, 16)
    plain = rescaler.downscale(hr, 2.0)
    accelerate(rescaler)
    with torch.compiler.set_stance("force_eager"):
        aligned = rescaler.downscale(hr, 2.0)
    assert torch.allclose(aligned.lr, plain.lr, atol=1e-6)
    assert torch.allclose(aligned.latent, plain.latent, atol=1e-6)
    assert not torch.allclose(plain.lr, torch.nn.functional.avg_pool2d(hr, 2), atol=1e-3)


@pytest.mark.parametrize("scale", [1.1, 2.0])
def test_an_aidn_may_start_as_plain_resampling(scale, images):
    """Not far from bicubic before the first step, where random weights give noise."""
    network = TINY["aidn"] | {"aligned": True}
    recipe = tiny_recipe("aidn", network=network, starts_as_resampling=True)
    bicubic = zoo.load("bicubic").rescaler
    started, random = (
        measure_set(new_rescaler(one).eval(), images, scale).psnr_y
        for one in (recipe, replace(recipe, starts_as_resampling=False))
    )
    assert started > measure_set(bicubic, images, scale).psnr_y - 3
    assert started > random + 6


def test_only_an_aidn_can_start_as_resampling():
    with pytest.raises(UsageError, match="starts_as_resampling is for AIDN"):
        new_rescaler(tiny_recipe("irn", starts_as_resampling=True))


def test_the_members_of_a_team_draw_different_patches_and_share_the_batch(images):
    seen = []

    class Watched(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, hr, *others):
            seen.append(hr)
            return self.module(hr, *others)

    recipe = tiny_recipe("irn")
    for rank in range(2):
        team = Team(rank=rank, size=2, share=Watched)
        Trainer(recipe, new_rescaler(recipe), images, team=team).step()
    assert [len(batch) for batch in seen] == [1, 1]
    assert not torch.equal(*seen)
    with pytest.raises(UsageError, match="a batch of 2 is not for 3 alike"):
        Trainer(recipe, new_rescaler(recipe), images, team=Team(size=3))
