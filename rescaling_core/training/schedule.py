"""Learning rate and weight averaging over the steps of a run."""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch import nn

    from rescaling_core.training.recipe import Optimisation


def learning_rate(step: int, plan: Optimisation) -> float:
    """The learning rate of step `step`, counted from 0: warm-up, plateau, half cosine.

    As the plateau does not depend on the number of steps, a run that is still on it can be given
    more or fewer.
    """
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    falling = max(1.0, plan.decay * plan.steps)
    done = min(1.0, max(0.0, (step - (plan.steps - falling)) / falling))
    share = (1 + cos(pi * done)) / 2
    return plan.final_learning_rate + share * (plan.learning_rate - plan.final_learning_rate)


class Average:
    """An exponential moving average of a network's parameters and buffers."""

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self._decay = decay
        self.tensors: dict[str, Tensor] = {
            name: tensor.detach().clone() for name, tensor in network.state_dict().items()
        }

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after step `step`; early steps count more."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        state = network.state_dict()
        moving = [name for name, tensor in state.items() if tensor.is_floating_point()]
        torch._foreach_lerp_(
            [self.tensors[name] for name in moving], [state[name] for name in moving], share
        )
        for name in state.keys() - set(moving):
            self.tensors[name].copy_(state[name])
