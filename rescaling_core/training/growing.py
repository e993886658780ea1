"""Starting a larger restorer from a smaller one that is trained already."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from rescaling_core.networks.restorer import by_pairs

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rescaling_core.networks.restorer import Restorer


def grow(smaller: Restorer, larger: Restorer) -> None:
    """Make `larger` compute what `smaller` computes; what it has beyond that is free to learn.

    What `larger` has more of keeps its random weights where it is fed, and starts with weights
    of nought where it feeds: a new feature changes none of the old ones, and a new pair adds
    nothing. All of it gets gradients from the first or second step on. (Chen et al., "Net2Net",
    2016, widen by copying features instead, which stay alike until noise tells them apart.)

    Args:
        smaller: Any restorer.
        larger: One of the same kind (scale, pictures, colours) with at least as many features
            and pairs; changed in place.

    Raises:
        ValueError: `larger` is of another kind, or smaller.
    """
    for name in ("scale", "pictures", "fold"):
        if getattr(smaller, name) != getattr(larger, name):
            raise ValueError(f"{name}: {getattr(smaller, name)} and {getattr(larger, name)}")
    if (smaller.colours is None) != (larger.colours is None):
        raise ValueError("one corrects colours, the other does not")
    if larger.features < smaller.features or larger.pairs < smaller.pairs:
        raise ValueError("it has fewer features or pairs than what it starts from")
    with torch.no_grad():
        _take(larger.head, smaller.head)
        old = by_pairs(smaller.body)
        for number, (first, second) in enumerate(by_pairs(larger.body)):
            if number < len(old):
                _take(first, old[number][0])
                _take(second, old[number][1])
            else:
                second.weight.zero_()
                cast("Tensor", second.bias).zero_()
        _take(larger.luma, smaller.luma)
        if larger.colours is not None and smaller.colours is not None:
            _take(larger.colours, smaller.colours)


def _take(larger: nn.Conv2d, smaller: nn.Conv2d) -> None:
    """Take over the weights of the features that both have; new ones do not feed old ones."""
    out, seen = smaller.weight.shape[:2]
    larger.weight[:out, seen:] = 0
    larger.weight[:out, :seen] = smaller.weight
    cast("Tensor", larger.bias)[:out] = cast("Tensor", smaller.bias)
