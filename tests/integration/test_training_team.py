"""Training by several workers through Ray Train."""

import json
from dataclasses import replace

import pytest
import torch

from rescaling_core import zoo
from rescaling_core.errors import UsageError
from rescaling_core.networks import LatentPolicy
from rescaling_core.training.recipe import Cadence, Optimisation, Recipe
from tasks.jobs.train.data import read_training_set
from tasks.jobs.train.run import train_here
from tasks.jobs.train.team import train_on_workers
from tests.tiny_training import write_smooth_pictures

RECIPE = Recipe(
    id="tiny",
    title="Tiny",
    family="sain",
    network={"scale": 2, "enhanced_blocks": 1, "blocks": 1, "growth": 4, "depth": 3},
    latent=LatentPolicy("zeros"),  # leaves the mixture without a gradient
    scales=(2.0,),
    optimisation=Optimisation(steps=12, batch=4, patch=32, warmup=2, learning_rate=1e-3),
    cadence=Cadence(checkpoint=5, validation=12),
    init_gain=10,
)


@pytest.fixture
def photographs(tmp_path):
    write_smooth_pictures(tmp_path / "images", (96, 80))
    return str(tmp_path / "images")


def records(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_workers_continue_what_one_began(ray_local, photographs, tmp_path):
    out = tmp_path / "run"
    begun = replace(RECIPE, optimisation=replace(RECIPE.optimisation, steps=5))
    train_here(begun, *read_training_set(photographs, None), out, resume=False, device="cpu")

    result = train_on_workers(RECIPE, photographs, None, out, workers=2, resume=True)
    assert result.steps == 12
    assert [record["step"] for record in records(out)] == list(range(1, 13))
    assert torch.load(out / "checkpoint.pt", weights_only=True)["done"] == 12
    # The best weights of the run are kept, whoever of the two made them.
    validated = [record for record in records(out) if "validation" in record]
    assert [record["step"] for record in validated] == [5, 12]
    best = max(validated, key=lambda record: record["validation"]["psnr_y"])
    training = zoo.load(result.weights).card.training
    assert training["iterations"] == best["step"]
    assert training["hardware"] == {5: "cpu", 12: "2 x cpu"}[best["step"]]


def test_a_batch_that_workers_cannot_share_is_refused(photographs, tmp_path):
    with pytest.raises(UsageError, match="--workers 3: they cannot share a batch of 4 evenly"):
        train_on_workers(RECIPE, photographs, None, tmp_path, workers=3, resume=False)
