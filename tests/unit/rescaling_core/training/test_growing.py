"""A larger restorer that starts as a smaller one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.networks.restorer import Restorer
from rescaling_core.training.growing import grow

ERRORS = ((10.0, 9.0), (90.0, 1.0))


def _restorer(seed: int, **config: object) -> Restorer:
    torch.manual_seed(seed)
    pictures = int(str(config.get("pictures", 1)))
    network = Restorer(**{"errors": [ERRORS] * pictures, **config})  # type: ignore[arg-type]
    for parameter in network.parameters():  # as if trained: the last convolutions start as nought
        torch.nn.init.normal_(parameter, std=0.1)
    return network


@settings(max_examples=20, deadline=None)
@given(
    features=st.integers(1, 6),
    more=st.integers(0, 5),
    pairs=st.integers(1, 3),
    deeper=st.integers(0, 2),
    kind=st.sampled_from([{}, {"scale": 2}, {"pictures": 2}, {"colours": False}]),
)
def test_it_starts_with_the_same_pictures_and_learns_with_all_it_has(
    features: int, more: int, pairs: int, deeper: int, kind: dict[str, object]
) -> None:
    small = _restorer(1, features=features, pairs=pairs, **kind)
    large = _restorer(2, features=features + more, pairs=pairs + deeper, **kind)
    grow(small, large)
    pictures = torch.rand(2, 3 * small.pictures, 16, 16)
    told, gains = small.conditions([[30.0] * small.pictures, [70.0] * small.pictures])
    assert torch.allclose(large(pictures, told, gains), small(pictures, told, gains), atol=1e-6)
    # Weights that feed nothing yet get their gradient once what they feed has moved.
    optimiser = torch.optim.SGD(large.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        large.correction(pictures, told, gains).add(1).square().mean().backward()
        optimiser.step()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in large.parameters())


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"features": 4}, "fewer features"),
        ({"pairs": 1}, "fewer features or pairs"),
        ({"scale": 2}, "scale"),
        ({"pictures": 2}, "pictures"),
        ({"colours": False}, "colours"),
    ],
)
def test_another_kind_or_a_smaller_one_is_refused(
    config: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        grow(
            _restorer(1, features=5, pairs=2), _restorer(2, **{"features": 5, "pairs": 2, **config})
        )
