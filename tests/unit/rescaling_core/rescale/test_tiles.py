"""Tiles: cut, batched, cut again where memory ends, and invisible in the result."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rescaling_core import zoo
from rescaling_core.engine.base import PlainEngine
from rescaling_core.networks.base import Rescaler
from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.pixels.tiles import Tiling, cut, for_all_tiles
from rescaling_core.quality import metrics
from rescaling_core.rescale import downscale_pixels, restore_pixels, restoring, whole
from tests.unit.rescaling_core.networks.examples import example

BENCH = Path(os.environ["REFOLD_BENCH"]) if "REFOLD_BENCH" in os.environ else None
"""A folder of benchmark sets, to look at all their pictures instead of a few samples."""
PICTURES = (
    ("astronaut", "chelsea", "coffee", "rocket", "camera")
    if BENCH is None
    else ("Set5", "Set14", "BSD100", "Kodak", "Urban100")
)
WHOLE = Tiling(tile=10**6, overlap=0)
TILES = Tiling(tile=64 if BENCH is None else 192, overlap=32)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(0, 9))
def test_tiles_and_their_halves_own_every_pixel_once(h: int, w: int, step: int, lap: int) -> None:
    for halved in (False, True):
        owned = np.zeros((h, w), int)
        for tile in cut(h, w, step, lap):
            for part in (tile.halves() or (tile,)) if halved else (tile,):
                owned[part.rows.owned(), part.columns.owned()] += 1
                assert part.rows.seen_stop <= h
                assert part.columns.seen_start in (0, part.columns.start - lap)
        assert (owned == 1).all()


def test_tiles_of_one_shape_are_worked_on_together() -> None:
    batches: list[list[tuple[int, int]]] = []
    for_all_tiles(cut(100, 100, 20, 4), 4, lambda part: batches.append([t.seen_size for t in part]))
    assert sum(map(len, batches)) == 25
    assert all(len(set(batch)) == 1 for batch in batches)
    assert sorted(len(batch) for batch in batches if batch[0] == (28, 28)) == [1, 4, 4]


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def work(_: object) -> None:
        raise RuntimeError("weights are on two devices")

    with pytest.raises(RuntimeError, match="two devices"):
        for_all_tiles(cut(64, 64, 64, 0), 1, work)


class _Cramped(PlainEngine):
    """Runs out of memory above a number of pixels."""

    batch = 4

    def __init__(self, rescaler: BijectiveRescaler, limit: int) -> None:
        super().__init__(rescaler)
        self.limit, self.failures, self.passes = limit, 0, 0

    def downscale(self, hr: torch.Tensor) -> torch.Tensor:
        self._check(hr, 4)
        return super().downscale(hr)

    def upscale(self, lr: torch.Tensor, latent: torch.Tensor | None) -> torch.Tensor:
        self._check(lr, 1)
        return super().upscale(lr, latent)

    def _check(self, x: torch.Tensor, per_lr_pixel: int) -> None:
        if x.shape[0] * x.shape[2] * x.shape[3] > self.limit * per_lr_pixel:
            self.failures += 1
            raise torch.OutOfMemoryError("too large")
        self.passes += 1


def test_what_does_not_fit_is_cut_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    network = example("irn-x2")
    assert isinstance(network, BijectiveRescaler)
    pixels, tiling = _photo(200, 333), Tiling(tile=128, overlap=16)
    lr = downscale_pixels(network, pixels, 2, tiling=tiling)
    hr = restore_pixels(network, lr, (200, 333), 2, tiling=tiling, seed=1)
    cramped = _Cramped(network, limit=70 * 70)
    for module in (whole, restoring):
        monkeypatch.setattr(module, "engine_for", lambda _: cramped)
    cramped_lr = downscale_pixels(network, pixels, 2, tiling=tiling)
    cramped_hr = restore_pixels(network, lr, (200, 333), 2, tiling=tiling, seed=1)
    assert cramped.failures > 1
    assert cramped.passes > 12  # of six tiles each way
    assert np.abs(lr.astype(int) - cramped_lr).max() <= 1
    assert np.abs(hr.astype(int) - cramped_hr).max() <= 1
    cramped.limit = 10
    with pytest.raises(torch.OutOfMemoryError):
        downscale_pixels(network, pixels, 2, tiling=tiling)


@pytest.mark.parametrize(
    ("name", "scale"),
    [("bicubic", 2), ("bicubic", 3.7), ("lanczos", 1.3), ("bicubic", 20.0), ("bicubic", 1)],
)
def test_tiled_filters_give_the_very_same_pixels(name: str, scale: float) -> None:
    _same_when_tiled(zoo.load(name).rescaler, scale, most=0)


@pytest.mark.parametrize(("name", "scale"), [("aidn", 2.3), ("aidn", 2), ("aidn", 1.37913),
                                             ("aidn-plus", 1.6), ("aidn-x4", 4)])  # fmt: skip
def test_tiled_aidn_differs_by_rounding_only(name: str, scale: float) -> None:
    _same_when_tiled(example(name), scale, most=1)


@pytest.mark.parametrize(("name", "scale"), [("hyperthumbnail-x2", 2), ("hyperthumbnail-x3", 3)])
def test_tiled_hyperthumbnail_differs_by_rounding_only(name: str, scale: float) -> None:
    _same_when_tiled(example(name), scale, most=1)


def _same_when_tiled(rescaler: Rescaler, scale: float, most: int) -> None:
    pixels, tiling = _photo(131, 170), Tiling(tile=50, overlap=20)
    lr = downscale_pixels(rescaler, pixels, scale, tiling=WHOLE)
    tiled = downscale_pixels(rescaler, pixels, scale, tiling=tiling)
    assert np.abs(lr.astype(int) - tiled).max() <= most
    assert (lr != tiled).mean() < 0.002
    hr = restore_pixels(rescaler, lr, (131, 170), scale, tiling=WHOLE)
    tiled = restore_pixels(rescaler, lr, (131, 170), scale, tiling=tiling)
    assert np.abs(hr.astype(int) - tiled).max() <= most
    assert (hr != tiled).mean() < 0.002


TRAINED = ("irn-x2-lite", "irn-x4-lite", "sain-x2-jpeg-lite", "bicubic")


@pytest.mark.parametrize("name", TRAINED)
def test_tiles_change_the_restored_psnr_by_less_than_a_hundredth_of_a_db(name: str) -> None:
    _tiled_is_as_good(name, _photo(150, 200), Tiling(tile=96, overlap=32))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED[:3])
@pytest.mark.parametrize("pictures", PICTURES)
def test_tiles_change_nothing_on_photographs(name: str, pictures: str) -> None:
    for pixels in _photographs(pictures):
        _tiled_is_as_good(name, pixels, TILES)


def _photographs(name: str) -> Iterator[np.ndarray]:
    if BENCH is None:
        yield np.atleast_3d(getattr(skimage.data, name)()[100:228, 130:258])
        return
    for path in sorted((BENCH / name).iterdir()):
        with Image.open(path) as opened:
            yield np.asarray(opened.convert("RGB"))


def _tiled_is_as_good(name: str, pixels: np.ndarray, tiling: Tiling) -> None:
    """Downscaled and restored in tiles, against both as a whole."""
    model = zoo.load(name).rescaler
    scale, size = (4 if "x4" in name else 2), pixels.shape[:2]
    quality = []
    for chosen in (WHOLE, tiling):
        lr = downscale_pixels(model, pixels, scale, tiling=chosen)
        restored = restore_pixels(model, lr, size, scale, tiling=chosen, seed=1)
        quality.append(metrics.psnr_y(restored, pixels))
    assert abs(quality[0] - quality[1]) < 0.01


def _photo(height: int, width: int) -> np.ndarray:
    """Edges, gradients and grain."""
    y, x = np.mgrid[:height, :width]
    random = np.random.default_rng(3)
    waves = np.sin(x / 9) * np.cos(y / 23) * 60 + ((x // 37 + y // 29) % 2) * 40
    grain = random.normal(0, 4, (height, width, 3))
    colour = waves[..., None] * np.array([1.0, 0.8, 0.6]) + 100 + grain
    return np.clip(colour, 0, 255).astype(np.uint8)
