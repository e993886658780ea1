"""A recorded fixture: what the official code computed, and how far we are from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rescaling_core.networks import Rescaler, family, load_strictly


@dataclass(frozen=True)
class Deviation:
    name: str
    error: float
    tolerance: float

    @property
    def exceeds(self) -> bool:
        """Whether it is beyond the tolerance, or no number at all."""
        return not self.error <= self.tolerance


class Recorded:
    """The tensors and facts of one fixture, and the comparisons made with it.

    Every recorded tensor has to be used, as an input or in a comparison: `unused` says which
    were not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        tensors = load_file(path)
        self.weights = {
            key.removeprefix("weights."): value
            for key, value in tensors.items()
            if key.startswith("weights.")
        }
        self._io = {
            key.removeprefix("io."): value
            for key, value in tensors.items()
            if key.startswith("io.")
        }
        self.facts = json.loads(path.with_suffix(".json").read_text())
        self.deviations: list[Deviation] = []
        self._used: set[str] = set()

    @property
    def system(self) -> str:
        """Which official system it is from; the file's name where that is no network."""
        return str(self.facts.get("system", self.path.stem))

    @property
    def unused(self) -> set[str]:
        return set(self._io) - self._used

    @property
    def names(self) -> list[str]:
        return list(self._io)

    def __contains__(self, name: str) -> bool:
        return name in self._io

    def __getitem__(self, name: str) -> Tensor:
        self._used.add(name)
        return self._io[name]

    def load(self, family_name: str) -> Rescaler:
        """The network of the fixture, its official weights loaded strictly."""
        record = family(family_name)
        rescaler = record.build(record.config_of(self.weights), record.latent_policy)
        load_strictly(rescaler, self.weights)
        total = sum(t.numel() for t in rescaler.state_dict().values())
        if self.facts.get("n_weight_values"):
            assert total == self.facts["n_weight_values"]
        return rescaler.eval()

    def compare(self, name: str, value: Tensor, tolerance: float) -> None:
        """Compare with a recorded tensor, absolutely."""
        recorded = self[name]
        assert value.shape == recorded.shape, f"{name}: {value.shape}, recorded {recorded.shape}"
        error = (value.detach().double() - recorded.double()).abs().max().item()
        self.deviations.append(Deviation(name, error, tolerance))

    def compare_relative(self, name: str, value: Tensor, tolerance: float) -> None:
        """Compare with a recorded sum, loss or gradient, relative to its largest value."""
        recorded = self[name].double()
        value = value.detach().double().reshape(recorded.shape)
        error = (value - recorded).abs().max() / recorded.abs().max().clamp(min=1e-12)
        self.deviations.append(Deviation(f"{name} (relative)", error.item(), tolerance))

    def compare_rounded(self, name: str, value: Tensor, unrounded: Tensor) -> None:
        """Compare 8-bit values: equal, or a level apart where the value lay on a rounding tie."""
        recorded = self[name]
        levels = (value.detach() * 255 - recorded * 255).abs()
        distance = ((unrounded.detach().clamp(0, 1) * 255) % 1 - 0.5).abs()
        levels = torch.where(distance < 1e-3, (levels - 1).clamp(min=0), levels)
        self.deviations.append(Deviation(name, levels.max().item() / 255, 1e-6))

    def compare_number(self, name: str, value: float, recorded: float, tolerance: float) -> None:
        """Compare with a number of the JSON file."""
        self.deviations.append(Deviation(name, float(np.abs(value - recorded)), tolerance))

    def compare_gradients(self, module: nn.Module, prefix: str = "") -> None:
        """Compare the norm of all gradients, and the recorded ones among them."""
        parameters = dict(module.named_parameters(remove_duplicate=False))
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        norm = torch.stack([gradient.double().norm() for gradient in gradients]).norm()
        self.compare_relative(f"{prefix}grad_norm", norm, 1e-4)
        for name in self.names:
            if name.startswith(f"{prefix}grad."):
                gradient = parameters[name.removeprefix(f"{prefix}grad.")].grad
                assert gradient is not None
                self.compare_relative(name, gradient, 1e-3)
