"""A tiny recipe of every family, and images to train it on."""

from dataclasses import replace

import numpy as np

from rescaling_core import networks
from rescaling_core.training.recipe import Compression, Objective, Optimisation, Recipe

STEPS = 20
TINY = {
    "irn": {"scale": 2, "blocks": (1,), "growth": 4, "depth": 3},
    "irn-crm": {
        "scale": 2, "blocks": (1,), "growth": 4, "depth": 3,
        "crm_features": 4, "crm_blocks": 1, "crm_growth": 4,
    },
    "irn-color": {"blocks": 1, "growth": 4, "depth": 3},
    "sain": {"scale": 2, "enhanced_blocks": 1, "blocks": 1, "growth": 4, "depth": 3},
    "aidn": {"features": 8, "residual_blocks": 2, "adapt_every": 1,
             "kernel_experts": 2, "sample_experts": 2},
    "dlv-irn": {"scale": 4, "blocks": (1, 1), "growth": 4, "depth": 3},
    "t-irn": {"scale": 2, "blocks": (1,), "growth": 4, "depth": 3},
    "firn": {"scale": 4, "blocks": (1, 1)},
    "hyperthumbnail": {"scale": 2, "features": 8, "residual_blocks": 1, "coefficient_blocks": 1,
                       "encoder_features": 8, "encoder_blocks": 1, "growth": 4},
}  # fmt: skip
SCALES = {"irn-color": (1.0,), "dlv-irn": (4.0,), "firn": (4.0,), "aidn": (1.5, 2.0, 3.7)}
OBJECTIVES = {"sain": "sain", "aidn": "aidn", "irn": "irn"}
_JPEG = Compression(codecs=("jpeg-420",), quality=(30, 90), gradient="simulated")
COMPRESSION = {"sain": _JPEG, "hyperthumbnail": _JPEG}


def training_images():
    """Three of 72x72, smooth in blocks."""
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (3, 9, 9, 3)).astype(np.uint8)
    return [np.kron(image, np.ones((8, 8, 1), np.uint8)) for image in smooth]


def tiny_recipe(family, **changes):
    policy = networks.family(family).latent_policy
    recipe = Recipe(
        id=family,
        title=family,
        family=family,
        network=TINY[family],
        latent=policy,
        scales=SCALES.get(family, (2.0,)),
        optimisation=Optimisation(steps=STEPS, batch=2, patch=32, warmup=2, learning_rate=1e-3),
        objective=Objective(name=OBJECTIVES.get(family, "plain")),
        compression=COMPRESSION.get(family, Compression()),
        seed=3,
    )
    return replace(recipe, **changes)
