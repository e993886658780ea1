"""What every training loop does with its network: one step down, weights averaged, state kept."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import torch

from rescaling_core.training.schedule import Average, learning_rate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rescaling_core.training.recipe import Optimisation


def prepare(network: nn.Module, device: str) -> None:
    """Move a network to a device, in the layout that convolutions are fastest in, to be trained."""
    network.to(device)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    network.train()


class Descent:
    """A network, its optimiser, its averaged weights, and how far they are."""

    def __init__(
        self,
        network: nn.Module,
        plan: Optimisation,
        *,
        done: int = 0,
        fused: bool | None = None,
    ) -> None:
        """Get ready for the first step.

        Args:
            network: Where to start; changed in place. Only those of its parameters are trained
                that require a gradient.
            plan: How to optimise.
            done: How many of its steps the network has had already.
            fused: Whether the optimiser is torch's fused one; None leaves it to torch.
        """
        self.done = done
        self._network = network
        self._plan = plan
        self._parameters = [one for one in network.parameters() if one.requires_grad]
        self._optimiser = torch.optim.AdamW(
            self._parameters,
            lr=plan.learning_rate,
            betas=plan.betas,
            weight_decay=plan.weight_decay,
            fused=fused,
        )
        self._average = Average(network, decay=plan.ema)

    @property
    def averaged(self) -> dict[str, Tensor]:
        """The averaged weights, which later steps go on changing."""
        return self._average.tensors

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What is trained."""
        return self._parameters

    def step(self, loss: Tensor) -> tuple[float, float]:
        """Go down the gradient of a loss; see `descend`."""
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return self.descend()

    def descend(self) -> tuple[float, float]:
        """Go down the gradient that the parameters hold.

        Returns:
            The 2-norm of the gradient before clipping, and the learning rate. Where the norm is not
            finite, nothing but the number of steps has changed.
        """
        rate = learning_rate(self.done, self._plan)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, self._plan.clip))
        if isfinite(norm):
            self._optimiser.step()
            self._average.update(self._network, self.done)
        self.done += 1
        return norm, rate

    def state_dict(self) -> dict[str, Any]:
        """All that a later `load_state_dict` needs to continue as if never interrupted."""
        return {
            "done": self.done,
            "weights": self._network.state_dict(),
            "average": self._average.tensors,
            "optimiser": self._optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.done = int(state["done"])
        self._network.load_state_dict(state["weights"])
        self._optimiser.load_state_dict(state["optimiser"])
        for name, tensor in state["average"].items():
            self._average.tensors[name].copy_(tensor)
