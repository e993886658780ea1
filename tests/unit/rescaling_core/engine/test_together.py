"""Threads that restore at once share the passes of one engine, and none waits needlessly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import sleep

import numpy as np
import pytest
import torch
from torch import Tensor

from rescaling_core.engine.together import Together
from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.pixels.tiles import Tiling
from rescaling_core.rescale.restoring import Restoration
from rescaling_core.rescale.samples import lr_channels_of
from tests.unit.rescaling_core.networks.examples import NETWORKS, example, scale_of


class Doubling:
    """An engine that waits for a sign, doubles what it is given, and fails on negative pixels."""

    batch = 1

    def __init__(self) -> None:
        self.go = Event()
        self.passes: list[tuple[int, ...]] = []

    def downscale(self, hr: Tensor) -> Tensor:
        return hr

    def upscale(self, lr: Tensor, latent: Tensor | None) -> Tensor:
        self.passes.append(tuple(lr.shape))
        assert self.go.wait(60)
        if bool((lr < 0).any()):
            raise ValueError("negative pixels")
        return lr * 2 if latent is None else lr * 2 + latent.mean()


def tile(value: float, side: int = 8, count: int = 1) -> Tensor:
    return torch.full((count, 3, side, side), float(value))


@contextmanager
def asked(
    engine: Doubling,
    tiles: Sequence[Tensor],
    latents: Sequence[Tensor | None] = (),
    most: int = 512,
) -> Iterator[list[Future[Tensor]]]:
    """What threads get that ask one after the other while the first pass is under way."""
    shared = Together(engine, most_pixels=most)
    given = latents or [None] * len(tiles)
    with ThreadPoolExecutor(len(tiles)) as pool:
        futures = []
        for number, (lr, latent) in enumerate(zip(tiles, given, strict=True)):
            futures.append(pool.submit(shared.upscale, lr, latent))
            while len(shared._waiting) < number or not engine.passes:
                sleep(0.001)
        engine.go.set()
        yield futures


def test_tiles_of_one_size_that_wait_go_together_and_the_oldest_goes_first() -> None:
    engine = Doubling()
    tiles = [tile(0), tile(1), tile(2, side=4), tile(3), tile(4, side=4), tile(5)]
    with asked(engine, tiles) as futures:
        results = [one.result(60) for one in futures]
    for lr, result in zip(tiles, results, strict=True):
        assert torch.equal(result, lr * 2)
    assert engine.passes == [(1, 3, 8, 8), (3, 3, 8, 8), (2, 3, 4, 4)]


def test_a_batch_takes_no_more_than_it_may_and_a_larger_tile_goes_alone() -> None:
    engine = Doubling()
    with asked(engine, [tile(0, side=32), *[tile(n) for n in range(5)]], most=128) as futures:
        for one in futures:
            one.result(60)
    assert [shape[0] for shape in engine.passes] == [1, 2, 2, 1]


def test_what_is_drawn_goes_with_its_own_tile_and_not_with_those_that_draw_nothing() -> None:
    engine = Doubling()
    latents = [None, tile(10), None, tile(20)]
    with asked(engine, [tile(n) for n in range(4)], latents) as futures:
        assert torch.equal(futures[2].result(60), tile(4))
        assert torch.equal(futures[3].result(60), tile(6 + 15))  # both latents were there
    assert [shape[0] for shape in engine.passes] == [1, 2, 1]


def test_the_error_of_one_is_not_that_of_the_others() -> None:
    engine = Doubling()
    with asked(engine, [tile(0), tile(1), tile(-1), tile(2)]) as futures:
        with pytest.raises(ValueError, match="negative"):
            futures[2].result(60)
        assert [float(futures[n].result(60).max()) for n in (0, 1, 3)] == [0, 2, 4]


WITH_AN_ENGINE = [name for name in NETWORKS if isinstance(example(name), BijectiveRescaler)]


@pytest.mark.parametrize("name", sorted(WITH_AN_ENGINE))
def test_tiles_restored_at_once_are_those_of_the_whole(name: str) -> None:
    network, scale = example(name), scale_of(name)
    network.requires_grad_(False)
    size = (int(24 * scale), int(24 * scale))
    lr = np.random.default_rng(1).integers(0, 256, (24, 24, lr_channels_of(network)), np.uint8)
    restoration = Restoration(
        network, lr, size, scale, seed=3, tiling=Tiling(tile=int(8 * scale), overlap=4)
    )
    whole = restoration.whole()
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(restoration.part, restoration.parts))
    for part, pixels in zip(restoration.parts, parts, strict=True):
        difference = np.abs(pixels.astype(int) - whole[part.rows, part.columns])
        assert difference.max() <= 1
        assert np.mean(difference > 0) < 0.01
