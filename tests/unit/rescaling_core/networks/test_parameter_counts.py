"""The published networks have the published number of parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rescaling_core.networks import FAMILIES, build

PUBLISHED = [
    ("irn", {"scale": 2, "blocks": [8]}, 1_668_000, "1.66 M"),
    ("irn", {"scale": 4, "blocks": [8, 8]}, 4_355_376, "4.35 M"),
    ("irn", {"scale": 8, "blocks": [8, 8, 8]}, 11_120_256, None),
    ("irn", {"scale": 3, "blocks": [12]}, 3_139_029, None),
    ("irn-color", {"blocks": 8}, 1_413_601, None),
    ("sain", {"scale": 2, "enhanced_blocks": 5, "blocks": 3}, 2_015_485, None),
    ("sain", {"scale": 4, "enhanced_blocks": 10, "blocks": 6}, 6_494_003, None),
    ("aidn", {}, 3_775_362, "3.8 M"),
    ("t-irn", {"scale": 2, "blocks": [3]}, 1_571_109, None),
    ("t-irn", {"scale": 4, "blocks": [3, 4]}, 4_673_617, None),
    ("firn", {"scale": 4, "blocks": [8, 8]}, 320_880, None),
]
"""Official class, counted with the frozen Haar constants; and what the paper says."""


@pytest.mark.parametrize(("family", "config", "count", "paper"), PUBLISHED)
def test_parameters_are_as_many_as_published(
    family: str, config: dict[str, Any], count: int, paper: str | None
) -> None:
    rescaler = build(family, config, FAMILIES[family].latent_policy)
    state = rescaler.state_dict()
    statistics = ("running_", "num_batches")
    values = sum(t.numel() for key, t in state.items() if not any(s in key for s in statistics))
    assert values == count
    if paper is not None:
        # 1.668 M is printed as 1.66 M, 3.775 M as 3.8 M.
        assert float(paper.removesuffix(" M")) == pytest.approx(values / 1e6, abs=0.03)


def test_the_compression_restoring_module_is_as_large_as_published() -> None:
    network = build("irn-crm", {"scale": 2, "blocks": [8]}, FAMILIES["irn-crm"].latent_policy)
    own = [t.numel() for key, t in network.state_dict().items() if "operations." not in key]
    assert sum(own) == 5_795_843


def test_official_key_counts() -> None:
    counts = {2: 241, 4: 482, 8: 723}
    for scale, keys in counts.items():
        blocks = [8] * (scale.bit_length() - 1)
        network = build("irn", {"scale": scale, "blocks": blocks}, FAMILIES["irn"].latent_policy)
        assert len(network.state_dict()) == keys
    x3 = build("irn", {"scale": 3, "blocks": [12]}, FAMILIES["irn"].latent_policy)
    assert len(x3.state_dict()) == 361
    assert x3.state_dict()["operations.0.conv_weights"].shape == torch.Size((9, 9))
