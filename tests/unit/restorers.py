"""Small restorers with weights that do something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch

from rescaling_core import zoo
from rescaling_core.networks.restorer import Restorer
from rescaling_core.zoo import LoadedRescaler
from rescaling_core.zoo.restorers import LoadedRestorer

ERRORS: Final = [[10, 9.6], [40, 4.5], [90, 1.1]]

RESTORERS: Final[dict[str, dict[str, Any]]] = {
    "corrects": {"features": 8, "pairs": 1},
    "corrects-deep": {"features": 8, "pairs": 2},
    "corrects-luma": {"features": 8, "pairs": 1, "colours": False},
    "enlarges": {"features": 8, "pairs": 1, "scale": 2},
    "corrects-a-sum": {"features": 8, "pairs": 1, "pictures": 2},
}


def example(name: str, *, strength: float = 0.2) -> Restorer:
    """The restorer with random weights, the same each time, ready to be used."""
    config = RESTORERS[name]
    restorer = Restorer(**config, errors=[ERRORS] * config.get("pictures", 1))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in restorer.parameters():
            parameter.copy_(strength * torch.randn(parameter.shape, generator=generator))
    return restorer.eval().requires_grad_(requires_grad=False)


@dataclass(frozen=True)
class Models:
    """One restorer, by whatever name."""

    loaded: LoadedRestorer

    def __call__(self, rescaler: str, weights_sha256: str | None = None, /) -> LoadedRescaler:
        return zoo.load(rescaler)

    def restorer(self, name: str, weights_sha256: str | None = None, /) -> LoadedRestorer:
        return self.loaded
