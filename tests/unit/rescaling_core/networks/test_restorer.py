"""Restorers as functions of pixels."""

from __future__ import annotations

import onnxruntime
import pytest
import torch

from rescaling_core.networks.resampling import resize
from rescaling_core.networks.restorer import Restorer
from rescaling_core.networks.restorer_onnx import restoring_graph
from tests.unit.restorers import ERRORS, RESTORERS, example

SIDE = 64


def _noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_an_untrained_restorer_changes_nothing() -> None:
    restorer = Restorer(errors=[ERRORS])
    picture = _noise(2, 3, 16, 24)
    assert torch.equal(restorer(picture, *restorer.conditions([[20], [70]])), picture)


def test_an_untrained_enlargement_is_the_cubic_one_away_from_the_border() -> None:
    restorer = Restorer(errors=[ERRORS], scale=2)
    picture = _noise(1, 3, 16, 24)
    enlarged = restorer(picture, *restorer.conditions([[20]]))
    expected = resize(picture, (32, 48), scale=2)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(enlarged[inner], expected[inner], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", RESTORERS)
def test_the_config_builds_the_same_network_again(name: str) -> None:
    restorer = example(name)
    again = Restorer(**restorer.config)
    again.load_state_dict(restorer.state_dict())
    picture = _noise(1, 3 * restorer.pictures, 16, 16)
    told = restorer.conditions([[30] * restorer.pictures])
    assert torch.equal(again(picture, *told), restorer(picture, *told))


@pytest.mark.parametrize("name", RESTORERS)
def test_a_pixel_changes_its_surroundings_as_far_as_the_halo_and_no_farther(name: str) -> None:
    restorer = example(name).double()
    told = [part.double() for part in restorer.conditions([[30] * restorer.pictures])]
    picture = _noise(1, 3 * restorer.pictures, SIDE, SIDE).double()
    other = picture.clone()
    other[..., SIDE // 2, SIDE // 2] += 0.5
    moved = (restorer(picture, *told) - restorer(other, *told)).abs().amax(dim=(0, 1))
    rows = torch.nonzero(moved.amax(dim=1)).flatten()
    first, last = int(rows[0]), int(rows[-1])
    scale, halo = restorer.scale, restorer.halo
    assert first >= scale * (SIDE // 2 - halo)
    assert last < scale * (SIDE // 2 + restorer.fold + halo)
    assert first <= scale * (SIDE // 2 - halo + restorer.fold)


@pytest.mark.parametrize("name", RESTORERS)
def test_the_onnx_graph_gives_what_the_network_gives_at_every_size(name: str) -> None:
    restorer = example(name)
    session = onnxruntime.InferenceSession(
        restoring_graph(restorer), providers=["CPUExecutionProvider"]
    )
    told, gains = restorer.conditions([[30] * restorer.pictures])
    for height, width in ((2, 2), (16, 24), (38, 46)):
        picture = _noise(1, 3 * restorer.pictures, height, width)
        feeds = {"pictures": picture.numpy(), "told": told.numpy(), "gain": gains.numpy()}
        restored = torch.from_numpy(session.run(None, feeds)[0])
        with torch.inference_mode():
            expected = restorer(picture, told, gains)
        torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


def test_the_quality_matters_and_is_cut_to_the_table() -> None:
    restorer = example("corrects")
    picture = _noise(1, 3, 16, 16)
    results = {q: restorer(picture, *restorer.conditions([[q]])) for q in (5, 10, 40, 41, 90, 95)}
    assert torch.equal(results[5], results[10])
    assert torch.equal(results[90], results[95])
    assert not torch.equal(results[40], results[41])
    corrections = [float((results[q] - picture).abs().mean()) for q in (10, 40, 90)]
    assert corrections == sorted(corrections, reverse=True)


def test_each_element_of_a_batch_has_its_own_quality() -> None:
    restorer = example("corrects-a-sum")
    pictures = _noise(2, 6, 16, 16)
    together = restorer(pictures, *restorer.conditions([[20, 30], [70, 80]]))
    for index, qualities in enumerate(([20, 30], [70, 80])):
        alone = restorer(pictures[index : index + 1], *restorer.conditions([qualities]))
        torch.testing.assert_close(together[index : index + 1], alone)


def test_colours_send_no_gradient_into_the_features() -> None:
    restorer = example("corrects").requires_grad_(requires_grad=True)
    told, gains = restorer.conditions([[30]])
    correction = restorer.correction(_noise(1, 3, 16, 16), told, gains)
    correction[:, 1:].sum().backward()
    assert restorer.head.weight.grad is None or not restorer.head.weight.grad.any()
    assert restorer.colours is not None
    assert restorer.colours.weight.grad is not None
    assert restorer.colours.weight.grad.any()


def test_luma_alone_leaves_colour_differences_as_they_are() -> None:
    restorer = example("corrects-luma")
    picture = _noise(1, 3, 16, 16)
    change = restorer(picture, *restorer.conditions([[30]])) - picture
    assert change.abs().max() > 0.01
    torch.testing.assert_close(change, change[:, :1].expand(-1, 3, -1, -1), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"errors": [ERRORS], "scale": 3},
        {"errors": [ERRORS], "features": 0},
        {"errors": [ERRORS], "pictures": 2},
        {"errors": [[[10, 3.0]]]},
        {"errors": [[[10, 3.0], [10, 2.0]]]},
        {"errors": [[[10, 3.0], [20, 4.0]]]},
        {"errors": [[[10, 3.0], [20, 0.0]]]},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"errors|scale"):
        Restorer(**wrong)  # type: ignore[arg-type]
