"""Whole decoded pictures through a restorer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example as tried
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.engine.restorers import OpenVinoRestorerEngine, PlainRestorerEngine
from rescaling_core.networks.restorer import Restorer
from rescaling_core.rescale.decoded import restore_decoded
from tests.unit.restorers import RESTORERS, example

EXAMPLES = {name: example(name) for name in RESTORERS}


def _picture(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels)).astype(np.uint8)


def _levels(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


def _beside(restorer: Restorer, *size: int) -> list[tuple[np.ndarray, float]]:
    return [(_picture(*size, seed=9), 25)] * (restorer.pictures - 1)


@pytest.mark.parametrize("name", RESTORERS)
@given(height=st.integers(1, 48), width=st.integers(1, 48), tile=st.integers(9, 40))
@tried(height=7, width=10, tile=1)
@settings(max_examples=8, deadline=None)
def test_where_a_picture_is_cut_changes_one_level_at_most(
    name: str, height: int, width: int, tile: int
) -> None:
    restorer, pixels = EXAMPLES[name], _picture(height, width)
    beside = _beside(restorer, height, width)
    whole = restore_decoded(pixels, 40, restorer, beside=beside, tile=10_000)
    cut = restore_decoded(pixels, 40, restorer, beside=beside, tile=tile)
    assert whole.shape == (restorer.scale * height, restorer.scale * width, 3)
    assert _levels(whole, cut) <= 1


@pytest.mark.parametrize("name", RESTORERS)
def test_openvino_gives_what_torch_gives_to_one_level(name: str) -> None:
    restorer = EXAMPLES[name]
    given_pixels = _picture(36, 48, channels=3 * restorer.pictures)
    qualities = [30.0, 55.0][: restorer.pictures]
    plain = PlainRestorerEngine(restorer, torch.device("cpu")).restore(given_pixels, qualities)
    fast = OpenVinoRestorerEngine(restorer, threads=1).restore(given_pixels, qualities)
    assert plain.shape == fast.shape
    assert _levels(plain, fast) <= 1
    assert np.mean(plain != fast) < 0.01
    assert _levels(plain, np.repeat(np.repeat(given_pixels[..., -3:], restorer.scale, 0),
                                    restorer.scale, 1)) > 3  # fmt: skip


def test_a_network_that_is_still_trained_is_run_as_it_is() -> None:
    restorer = example("corrects").requires_grad_(requires_grad=True)
    pixels = _picture(20, 20)
    before = restore_decoded(pixels, 40, restorer)
    with torch.no_grad():
        restorer.luma.bias += 1
    assert _levels(before, restore_decoded(pixels, 40, restorer)) > 1


def test_grey_pictures_stay_grey() -> None:
    restorer = EXAMPLES["corrects"]
    grey = _picture(21, 33, channels=1)
    restored = restore_decoded(grey, 40, restorer)
    assert restored.shape == grey.shape
    colour = restore_decoded(np.repeat(grey, 3, axis=2), 40, restorer)
    assert _levels(restored[..., 0], np.round(colour.mean(axis=2))) == 0


def test_another_number_or_size_of_pictures_is_refused() -> None:
    pixels = _picture(16, 16)
    with pytest.raises(ValueError, match="sees 2 pictures, not 1"):
        restore_decoded(pixels, 40, EXAMPLES["corrects-a-sum"])
    with pytest.raises(ValueError, match="shape"):
        restore_decoded(pixels, 40, EXAMPLES["corrects-a-sum"], beside=[(_picture(16, 18), 30)])
