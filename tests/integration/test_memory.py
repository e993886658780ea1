"""How the memory of converting and restoring grows with the image, as docs/formats.md states it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import memory
from rescaling_core import zoo
from rescaling_core.networks.irn import IRN
from rescaling_core.networks.latent import LatentPolicy

pytestmark = pytest.mark.slow

BYTES_A_PIXEL = {"convert": 18, "restore": 15}
"""What docs/formats.md states of RGB photographs, with torch alone."""
SLACK = 100 * 2**20
"""Bytes: how much two runs may differ by the luck of the allocator. Measured whole and in float64,
images of these sizes would differ by 300 more."""


def test_memory_grows_as_documented(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = IRN(scale=2, blocks=(1,), growth=4, depth=3, latent_policy=LatentPolicy("zeros"))
    weights = tmp_path / "tiny.safetensors"
    zoo.save(weights, network.eval(), zoo.describe(network, model_id="tiny", title="tiny"))
    small, large = (
        memory.measure(width, 2000, rescaler=str(weights), codec="jpeg") for width in (1200, 4000)
    )
    pixels = (4000 - 1200) * 2000
    for step, limit in BYTES_A_PIXEL.items():
        grown = large[step]["peak"] - small[step]["peak"]
        assert grown < limit * pixels + SLACK, f"{step}: {grown / pixels:.1f} bytes a pixel"
