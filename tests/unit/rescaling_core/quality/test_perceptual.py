"""SSIMULACRA 2: what the wrapper around the library adds to it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image

from rescaling_core.quality import perceptual
from rescaling_core.quality.perceptual import ssimulacra2

PHOTO = skimage.data.astronaut()[:300, :280]


def _coded(pixels: np.ndarray, quality: int, **options: object) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, **options)
    return np.asarray(Image.open(buffer))


def _noisy(pixels: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-6, 7, pixels.shape)
    return (pixels.astype(int) + noise).clip(0, 255).astype(np.uint8)


def test_it_rises_with_quality_to_a_hundred() -> None:
    scores = [ssimulacra2(_coded(PHOTO, quality), PHOTO) for quality in (10, 50, 90)]
    assert scores == sorted(scores)
    assert scores[0] < 40 < 80 < scores[-1] < ssimulacra2(PHOTO, PHOTO) == 100


def test_it_sees_colour_which_luma_measures_do_not() -> None:
    fine, coarse = (_coded(PHOTO, 90, subsampling=sampling) for sampling in (0, 2))
    assert ssimulacra2(fine, PHOTO) > ssimulacra2(coarse, PHOTO) + 1


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (60, 61)])
def test_small_pictures_are_not_flattered(size: tuple[int, int]) -> None:
    # As the library has it, noise of 6 levels in 60x61 pixels is next to invisible (over 90), and
    # pictures under 8 pixels are perfect whatever they show.
    crop = skimage.data.astronaut()[40 : 40 + size[0], 180 : 180 + size[1]]
    whole = ssimulacra2(_noisy(PHOTO), PHOTO)
    assert abs(ssimulacra2(_noisy(crop), crop) - whole) < 35
    assert ssimulacra2(crop, crop) == 100


def test_of_a_large_picture_the_worst_part_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual, "LARGEST", 290)
    restored = PHOTO.copy()
    restored[200:] = _noisy(PHOTO)[200:]
    halves = [ssimulacra2(restored[:150], PHOTO[:150]), ssimulacra2(restored[150:], PHOTO[150:])]
    assert halves[0] == 100
    assert ssimulacra2(restored, PHOTO) == halves[1] < 90


def test_grey_is_read_as_equal_channels() -> None:
    grey = skimage.data.camera()[:260, :270, None]
    colour = np.repeat(grey, 3, axis=2)
    assert ssimulacra2(_noisy(grey), grey) == ssimulacra2(_noisy(grey).repeat(3, axis=2), colour)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        ssimulacra2(PHOTO, PHOTO[:-1])
