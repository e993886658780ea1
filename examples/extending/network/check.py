"""The new network inverts, is saved and loaded, restores a picture, and its ONNX graph agrees."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from rescaling_core import zoo
from rescaling_core.networks import LatentPolicy, build
from rescaling_core.networks.graph_check import disagreement
from rescaling_core.rescale import downscale_pixels, restore_pixels

torch.manual_seed(1)
network = build("lifting", {"width": 8}, LatentPolicy("zeros")).eval()
hr = torch.rand(1, 3, 20, 30)
down = network.downscale(hr, 2)
back = network.upscale(down.lr, (20, 30), scale=2, latent=down.latent)
assert torch.allclose(back, hr, atol=1e-6), "the latent gives the HR image back"

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "lifting-x2.safetensors"
    card = zoo.describe(network, model_id="lifting-x2", title="Lifting", licence="Apache-2.0")
    zoo.save(path, network, card)
    loaded = zoo.load(path).rescaler
assert loaded.config == {"width": 8}

pixels = np.random.default_rng(1).integers(0, 256, (33, 47, 3), np.uint8)
lr = downscale_pixels(loaded, pixels, 2.0)
assert lr.shape == (17, 24, 3)
assert restore_pixels(loaded, lr, (33, 47), 2.0).shape == pixels.shape
assert disagreement(loaded, loaded.restoring_graph()) < 0.5, "levels of 255"
print("ok")
