"""The training loop: one object whose state can be saved after any step and continued exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from rescaling_core import networks
from rescaling_core.errors import UsageError
from rescaling_core.networks.aidn import AIDN
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.training.acceleration import accelerate
from rescaling_core.training.data import PatchSampler
from rescaling_core.training.descent import Descent, prepare
from rescaling_core.training.objectives import OBJECTIVES
from rescaling_core.training.recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rescaling_core.networks import Rescaler
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.training.losses import Loss
    from rescaling_core.training.recipe import Recipe

STEPS_PER_SEED = 1_000_003
"""Step k of seed s draws from generator s · this + k: no state to save, none to lose."""
_SEEDS_PER_RANK = 7_368_787
"""Trainers of a team draw different patches: rank r adds r · this to the seed."""


def _alone(module: nn.Module) -> nn.Module:
    return module


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Where a trainer stands among those that train the same network together."""

    rank: int = 0
    """Number of this trainer in its team, from 0; the first one writes and measures."""
    size: int = 1
    share: Callable[[nn.Module], nn.Module] = _alone
    """Wraps a module so that its gradients become the means over the team, as torch's
    `DistributedDataParallel` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What happened in one step."""

    step: int
    """Number of steps done, this one included."""
    loss: float
    terms: dict[str, float]
    """The parts of the loss, by name."""
    gradient_norm: float
    """2-norm of the gradient before clipping. Where it is not finite, the step changed nothing."""
    learning_rate: float
    scale: float


def new_rescaler(recipe: Recipe) -> Rescaler:
    """The network of a recipe with random weights, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        rescaler = networks.build(recipe.family, recipe.network, recipe.latent)
        if recipe.starts_as_resampling:
            if not isinstance(rescaler, AIDN) or rescaler.fixed_scale is not None:
                raise UsageError(f"recipe {recipe.id}: starts_as_resampling is for AIDN")
            rescaler.start_as_resampling()
    if recipe.init_gain != 1:
        with torch.no_grad():
            for name, parameter in rescaler.named_parameters():
                if name.endswith("weight"):
                    parameter.mul_(recipe.init_gain)
    return rescaler


def _is_fixed(recipe: Recipe) -> bool:
    """Whether all steps compute the same of their patches: nothing is drawn, no codec is asked."""
    is_random = recipe.latent.is_random
    return len(recipe.scales) == 1 and not recipe.compression.codecs and not is_random


ALONE: Final = Team()


class _StepModule(nn.Module):
    """One step's loss as a module's output, which is what a team can share."""

    def __init__(self, rescaler: Rescaler) -> None:
        super().__init__()
        self.rescaler = rescaler

    def forward(self, hr: Tensor, scale: float, recipe: Recipe, generator: torch.Generator) -> Loss:
        return OBJECTIVES[recipe.objective.name](self.rescaler, hr, scale, recipe, generator)


class Trainer:
    """A rescaler, its optimiser, its averaged weights, and how far they are."""

    def __init__(
        self,
        recipe: Recipe,
        rescaler: Rescaler,
        images: Sequence[U8Array],
        *,
        device: str = "cpu",
        accelerated: bool = False,
        team: Team = ALONE,
        first_step: int = 0,
    ) -> None:
        """Get ready for the first step.

        Args:
            recipe: What to do.
            rescaler: Where to start; changed in place.
            images: (H, W, 3) RGB each.
            device: As torch names it.
            accelerated: See `accelerate`: the same mathematics, rounded otherwise.
            team: Each draws its share of the batch; all hold the same weights after each step.
            first_step: How many of the recipe's steps `rescaler` has had already.

        Raises:
            UsageError: The batch cannot be divided among the team.
        """
        if recipe.optimisation.batch % team.size:
            batch = recipe.optimisation.batch
            raise UsageError(f"recipe {recipe.id}: a batch of {batch} is not for {team.size} alike")
        self.recipe = recipe
        self.rescaler = rescaler
        prepare(rescaler, device)
        # Loaded weights are frozen; a new network knows which of its tensors are constants.
        for name, parameter in new_rescaler(recipe).named_parameters():
            self.rescaler.get_parameter(name).requires_grad_(parameter.requires_grad)
        if accelerated:
            accelerate(self.rescaler)
        plan = recipe.optimisation
        self._team = team
        self._loss = team.share(_StepModule(self.rescaler))
        self._device = torch.device(device)
        self._patches = PatchSampler(images, patch=plan.patch, device=self._device)
        fused = self._device.type == "cuda"
        self._descent = Descent(self.rescaler, plan, done=first_step, fused=fused)
        self._records = fused and team.size == 1 and _is_fixed(recipe)
        self._recorded: dict[bool, Recorded] = {}

    @property
    def done(self) -> int:
        """Number of steps done."""
        return self._descent.done

    def step(self) -> StepReport:
        """Do one step."""
        plan = self.recipe.optimisation
        generator = seeded_generator(self.recipe.seed * STEPS_PER_SEED + self.done)
        scale = self._draw_scale(generator)  # the same for the whole team
        if self._team.rank:
            seed = self.recipe.seed + self._team.rank * _SEEDS_PER_RANK
            generator = seeded_generator(seed * STEPS_PER_SEED + self.done)
        hr = self._patches.draw(plan.batch // self._team.size, generator)
        hr = hr.to(memory_format=torch.channels_last)
        replayed = self._replayed(hr, scale) if self._records else None
        if replayed is not None:
            values: Mapping[str, Tensor] = replayed
            norm, rate = self._descent.descend()
        else:
            values = self._computed(hr, scale, generator, half=self._is_half(self.done))
            norm, rate = self._descent.step(values["loss"])
        numbers = {name: value.item() for name, value in values.items()}
        return StepReport(
            step=self.done,
            loss=numbers.pop("loss"),
            terms=numbers,
            gradient_norm=norm,
            learning_rate=rate,
            scale=scale,
        )

    def _computed(
        self, hr: Tensor, scale: float, generator: torch.Generator, *, half: bool
    ) -> dict[str, Tensor]:
        """The loss of a batch under that name, and its terms."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=half):
            loss: Loss = self._loss(hr, scale, self.recipe, generator)
        return {**loss.terms, "loss": loss.total}

    def _replayed(self, hr: Tensor, scale: float) -> Mapping[str, Tensor] | None:
        """The same, with the gradients; recorded once for either precision.

        None where the network does what cannot be recorded: it is then never tried again.
        """
        half = self._is_half(self.done)
        if half not in self._recorded:
            unused = seeded_generator(0)

            def compute(batch: Tensor) -> dict[str, Tensor]:
                return self._computed(batch, scale, unused, half=half)

            try:
                self._recorded = {half: Recorded(compute, [hr], self._descent.parameters)}
            except RuntimeError:
                self._records = False
                return None
        return self._recorded[half](hr)

    def averaged(self, device: str = "cpu") -> Rescaler:
        """A copy with the averaged weights, for evaluation, float32, on `device`."""
        own = self.rescaler
        copy = networks.build(own.family, own.config, own.latent_policy)
        copy.load_state_dict(self._descent.averaged)
        return copy.to(device).eval().requires_grad_(requires_grad=False)

    def state_dict(self) -> dict[str, Any]:
        """All that a later `load_state_dict` needs to continue as if never interrupted."""
        return self._descent.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._descent.load_state_dict(state)

    def _draw_scale(self, generator: torch.Generator) -> float:
        scales = self.recipe.scales
        if len(scales) == 1:
            return scales[0]
        weights = torch.tensor([scale**2 for scale in scales])
        return scales[int(torch.multinomial(weights, 1, generator=generator))]

    def _is_half(self, step: int) -> bool:
        plan = self.recipe.optimisation
        return plan.precision == "bfloat16" and step < plan.float32_from * plan.steps
