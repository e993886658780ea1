"""A recipe and photographs that are trained with in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

_RECIPE = """
id = "tiny"
title = "Tiny"
family = "irn"
scales = [2]
network = {{ scale = 2, blocks = [1], growth = 4, depth = 3 }}
latent = {{ kind = "zeros" }}
cadence = {{ checkpoint = {checkpoint}, validation = {validation} }}
optimisation = {{ steps = {steps}, batch = 2, patch = 32, warmup = 2 }}
"""


def recipe(*, steps: int, checkpoint: int, validation: int) -> str:
    """TOML; steps between checkpoints and between validations."""
    return _RECIPE.format(steps=steps, checkpoint=checkpoint, validation=validation)


def write_smooth_pictures(folder: Path, size: tuple[int, int]) -> None:
    """Three PNG files without grain, of which a small network learns something."""
    chance = np.random.default_rng(0)
    folder.mkdir()
    for number in range(3):
        smooth = chance.integers(0, 256, (12, 12, 3)).astype(np.uint8)
        picture = Image.fromarray(smooth).resize(size, Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.png")
