"""Steps that a GPU replays: what the trainers do around them, with a stand-in for the graph.

The stand-in does what a replayed graph does: it copies the inputs and sets the gradients anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from rescaling_core.networks import LatentPolicy
from rescaling_core.networks.resampling import resize
from rescaling_core.training import trainer as trainers
from rescaling_core.training.recipe import Compression, Objective, Optimisation
from rescaling_core.training.trainer import Trainer, new_rescaler
from tests.unit.rescaling_core.training.families import tiny_recipe, training_images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

STEPS = 6


class Replay:
    """Computes again what a graph would replay."""

    made = 0

    def __init__(
        self,
        compute: Callable[..., Mapping[str, Tensor]],
        example: Sequence[Tensor],
        parameters: Sequence[nn.Parameter],
    ) -> None:
        type(self).made += 1
        self._compute, self._parameters = compute, parameters
        self._inputs = [tensor.clone() for tensor in example]

    def __call__(self, *inputs: Tensor) -> Mapping[str, Tensor]:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        for parameter in self._parameters:
            parameter.grad = None
        results = self._compute(*self._inputs)
        results["loss"].backward()
        return {name: value.detach() for name, value in results.items()}


class Refusal:
    """A graph that cannot be recorded."""

    def __init__(self, *_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")


def _recipe(**changes: Any) -> Any:
    plan = Optimisation(
        steps=STEPS, batch=2, patch=32, warmup=2, precision="bfloat16", float32_from=0.5
    )
    values = {"optimisation": plan, "objective": Objective(luma=0.5)}
    return tiny_recipe("irn", latent=LatentPolicy("zeros"), **values | changes)


def _trained(recipe: Any, *, records: bool) -> tuple[list[Any], dict[str, Tensor]]:
    trainer = Trainer(recipe, new_rescaler(recipe), training_images())
    trainer._records = records
    reports = [trainer.step() for _ in range(STEPS)]
    return reports, trainer.averaged().state_dict()


def _assert_equal(one: Any, other: Any) -> None:
    assert one[0] == other[0]
    for name, tensor in one[1].items():
        assert torch.equal(tensor, other[1][name]), name


def test_replayed_steps_are_those_that_would_have_been_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = _recipe()
    computed = _trained(recipe, records=False)
    monkeypatch.setattr(trainers, "Recorded", Replay)
    monkeypatch.setattr(Replay, "made", 0)
    _assert_equal(_trained(recipe, records=True), computed)
    assert Replay.made == 2  # one for each precision


def test_a_network_that_cannot_be_recorded_is_trained_step_by_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = _recipe()
    computed = _trained(recipe, records=False)
    monkeypatch.setattr(trainers, "Recorded", Refusal)
    _assert_equal(_trained(recipe, records=True), computed)


@pytest.mark.parametrize(
    ("fixed", "changes"),
    [
        (True, {}),
        (False, {"latent": LatentPolicy("gaussian")}),
        (False, {"compression": Compression(codecs=("jpeg-420",))}),
        (False, {"scales": (1.5, 2.0)}),
    ],
)
def test_only_steps_that_compute_the_same_can_be_recorded(
    fixed: bool, changes: dict[str, Any]
) -> None:
    recipe = tiny_recipe("irn", **{"latent": LatentPolicy("zeros")} | changes)
    assert trainers._is_fixed(recipe) == fixed


def test_filters_first_used_without_gradients_serve_training_too() -> None:
    image = torch.rand(1, 3, 34, 38, requires_grad=True)
    with torch.inference_mode():
        expected = resize(image, (17, 19))
    resized = resize(image, (17, 19))
    torch.testing.assert_close(resized, expected)
    resized.sum().backward()
    assert image.grad is not None
    assert image.grad.sum() == pytest.approx(3 * 17 * 19, rel=1e-4)
