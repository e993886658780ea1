"""The training loop of restorers: one object whose state can be saved and continued exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from rescaling_core.networks.latent import seeded_generator
from rescaling_core.networks.restorer import Restorer, mixed
from rescaling_core.training.descent import Descent, prepare
from rescaling_core.training.pairs import PairSampler
from rescaling_core.training.recorded import Recorded
from rescaling_core.training.trainer import STEPS_PER_SEED, StepReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from rescaling_core.training.pairs import Pair
    from rescaling_core.training.restorer_recipe import RestorerRecipe


def new_restorer(recipe: RestorerRecipe) -> Restorer:
    """The network of a recipe, untrained, the same for the same seed.

    Raises:
        ValueError: The recipe's `network` is not one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return Restorer(**recipe.network)


class RestorerTrainer:
    """A restorer, its optimiser, its averaged weights, and how far they are."""

    def __init__(
        self,
        recipe: RestorerRecipe,
        restorer: Restorer,
        pairs: Sequence[Pair],
        *,
        device: str = "cpu",
        first_step: int = 0,
    ) -> None:
        """Get ready for the first step.

        Args:
            recipe: What to do.
            restorer: Where to start; changed in place.
            pairs: What to train on.
            device: As torch names it.
            first_step: How many of the recipe's steps `restorer` has had already.

        Raises:
            UsageError: No picture is as large as a patch.
        """
        plan = recipe.optimisation
        self.recipe = recipe
        self.restorer = restorer.requires_grad_()  # loaded weights are frozen
        prepare(restorer, device)
        self._device = torch.device(device)
        self._patches = PairSampler(
            pairs, patch=plan.patch, scale=restorer.scale, device=self._device
        )
        on_gpu = self._device.type == "cuda"
        self._descent = Descent(self.restorer, plan, done=first_step, fused=on_gpu or None)
        self._recorded: Recorded | None = None

    @property
    def done(self) -> int:
        """Number of steps done."""
        return self._descent.done

    def step(self) -> StepReport:
        """Do one step."""
        plan = self.recipe.optimisation
        generator = seeded_generator(self.recipe.seed * STEPS_PER_SEED + self.done)
        decoded, original, qualities = self._patches.draw(plan.batch, generator)
        told, gains = (one.to(self._device) for one in self.restorer.conditions(qualities))
        batch = (decoded, original, told, gains)
        if self._device.type == "cuda":
            if self._recorded is None:
                self._recorded = Recorded(self._errors, batch, self._descent.parameters)
            values = self._recorded(*batch)
            norm, rate = self._descent.descend()
        else:
            values = self._errors(*batch)
            norm, rate = self._descent.step(values["loss"])
        numbers = {name: value.item() for name, value in values.items()}
        return StepReport(
            step=self.done,
            loss=numbers.pop("loss"),
            terms=numbers,
            gradient_norm=norm,
            learning_rate=rate,
            scale=float(self.restorer.scale),
        )

    def averaged(self) -> Restorer:
        """A copy with the averaged weights, for evaluation, on the CPU."""
        copy = Restorer(**self.restorer.config)
        copy.load_state_dict(self._descent.averaged)
        return copy.eval().requires_grad_(requires_grad=False)

    def state_dict(self) -> dict[str, Any]:
        """All that a later `load_state_dict` needs to continue as if never interrupted."""
        return self._descent.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._descent.load_state_dict(state)

    def _errors(
        self, decoded: Tensor, original: Tensor, told: Tensor, gains: Tensor
    ) -> dict[str, Tensor]:
        """Squared errors of luma, and of the colours it corrects, in units of the expected error.

        Their weighted sum is the loss. Weighted by each picture's own error instead, nearly flat
        pictures rule the gradient, and luma gained a fifth as much in the same time.
        """
        decoded = decoded.to(memory_format=torch.channels_last)
        base = self.restorer.base(decoded)
        missing = mixed(original - base, cast("Tensor", self.restorer.to_ycbcr))
        missing = missing / gains[:, None, None, None]
        correction = self.restorer.correction(decoded, told, gains)
        left = correction - missing[:, : correction.shape[1]]
        errors = left.square().mean(dim=(0, 2, 3))
        luma, colours = errors[0], errors[1:].sum()
        loss = luma + self.recipe.colour * colours
        return {"luma": luma, "colours": colours, "loss": loss}
