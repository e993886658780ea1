import json
import os
from math import inf, log10
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import load_file

from rescaling_core.pixels import strips
from rescaling_core.quality import metrics

FIXTURES = Path(os.environ.get("REFOLD_SHARED", Path(__file__).parents[5] / "shared")) / "fixtures"

PAIRS = arrays(
    np.uint8,
    st.tuples(st.just(2), st.integers(1, 24), st.integers(1, 24), st.sampled_from([1, 3])),
)


def noisy_pair(shape, seed=0):
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 256, shape, np.uint8)
    noise = rng.normal(0, 6, shape)
    return np.clip(np.rint(reference + noise), 0, 255).astype(np.uint8), reference


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="needs the folder of official outputs")
@pytest.mark.parametrize("name", ["psnr", "psnr_y", "ssim", "ssim_y"])
def test_figures_equal_those_of_the_official_code(name):
    tensors = load_file(FIXTURES / "metrics.safetensors")
    rows = json.loads((FIXTURES / "metrics.json").read_text())["values"]
    official = [row for row in rows if row["protocol"] == "irn_u8"]
    assert len(official) >= 6
    for row in official:
        restored, reference = (
            tensors[key][row["pair"]].astype(np.uint8) for key in ("io.sr_u8", "io.gt_u8")
        )
        ours = getattr(metrics, name)(restored, reference, border=row["crop"])
        assert ours == pytest.approx(row[name], abs=1e-9)


def test_ssim_agrees_with_an_independent_implementation():
    from torchmetrics.functional.image import (  # takes seconds to import
        structural_similarity_index_measure,
    )

    restored, reference = noisy_pair((40, 52))
    a, b = (torch.from_numpy(x)[None, None].double() for x in (restored, reference))
    _, full = structural_similarity_index_measure(
        a, b, sigma=1.5, data_range=255.0, return_full_image=True
    )
    inside = full[..., 5:-5, 5:-5]  # theirs mirrors the image at its border, ours stays inside
    assert metrics.ssim(restored, reference) == pytest.approx(float(inside.mean()), abs=1e-6)


def test_psnr_of_a_constant_difference_is_its_level():
    reference = np.full((8, 8, 3), 100, np.uint8)
    assert metrics.psnr(reference + 5, reference) == pytest.approx(10 * log10(255**2 / 25))


def test_luma_is_not_rounded():
    red, blue = (np.zeros((1, 1, 3), np.uint8) for _ in range(2))
    red[..., 0] = blue[..., 2] = 255
    assert metrics.luma(red)[0, 0] == pytest.approx(16 + 65.481)
    assert metrics.luma(blue)[0, 0] == pytest.approx(16 + 24.966)


@settings(max_examples=15, deadline=None)
@given(PAIRS)
def test_figures_are_symmetric_and_perfect_only_for_equal_images(pair):
    a, b = pair
    for measure in (metrics.psnr, metrics.psnr_y, metrics.ssim, metrics.ssim_y):
        assert measure(a, b) == pytest.approx(measure(b, a))
        assert measure(a, a) in (inf, pytest.approx(1.0))
    assert (metrics.psnr(a, b) == inf) == np.array_equal(a, b)
    assert metrics.max_abs_error(a, b) == np.abs(a.astype(int) - b).max()


@settings(max_examples=12, deadline=None)
@given(PAIRS)
def test_grey_counts_as_three_equal_channels(pair):
    a, b = (x[..., :1] for x in pair)
    colour_a, colour_b = (np.repeat(x, 3, axis=2) for x in (a, b))
    for measure in (metrics.psnr, metrics.psnr_y, metrics.ssim, metrics.ssim_y):
        assert measure(a, b) == pytest.approx(measure(colour_a, colour_b))
        assert measure(a[..., 0], b[..., 0]) == pytest.approx(measure(a, b))


def test_only_what_lies_inside_the_border_counts():
    restored, reference = noisy_pair((30, 30, 3))
    restored[4:-4, 4:-4] = reference[4:-4, 4:-4]
    assert metrics.psnr_y(restored, reference, border=4) == inf
    assert metrics.psnr_y(restored, reference, border=3) < 60
    assert metrics.ssim_y(restored, reference, border=4) == 1


@settings(max_examples=20, deadline=None)
@given(PAIRS, st.integers(1, 200))
def test_figures_do_not_depend_on_how_a_large_image_is_cut(pair, pixels):
    a, b = pair
    b = np.clip(a + b.astype(int) // 16, 0, 255).astype(np.uint8)
    figures = (metrics.psnr, metrics.psnr_y, metrics.ssim, metrics.ssim_y, metrics.max_abs_error)
    whole = [measure(a, b) for measure in figures]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "STRIP", pixels)
        assert [measure(a, b) for measure in figures] == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("shape", [(2500, 1400, 3), (1400, 2500, 1), (1, 5_000_000, 1)])
def test_a_large_image_is_measured_in_strips_of_bounded_size(shape):
    a, b = noisy_pair(shape)
    seen = []
    squares = 0.0
    for rows, columns in strips.strips(shape):
        strip = a[rows, columns].astype(float), b[rows, columns].astype(float)
        seen.append(strip[0].size // shape[2])
        squares += ((strip[0] - strip[1]) ** 2).sum()
    assert len(seen) > 1
    assert max(seen) <= strips.STRIP
    assert sum(seen) == shape[0] * shape[1]
    assert metrics.psnr(a, b) == pytest.approx(10 * log10(255**2 * a.size / squares))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10), st.integers(1, 400))
def test_each_position_of_a_window_lies_in_one_strip(height, width, overlap, pixels):
    lines = max(height, width)
    overlap = min(overlap, lines - 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "STRIP", pixels)
        cuts = list(strips.strips((height, width, 3), overlap))
    long = [rows if height >= width else columns for rows, columns in cuts]
    positions = [at for part in long for at in range(part.start, part.stop - overlap)]
    assert positions == list(range(lines - overlap))


@pytest.mark.parametrize("border", [4, 5, -1])
def test_a_border_that_leaves_nothing_is_refused(border):
    image = np.zeros((8, 30, 3), np.uint8)
    with pytest.raises(ValueError, match="border"):
        metrics.psnr_y(image, image, border=border)


def test_images_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shapes differ"):
        metrics.ssim(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8))


def test_floats_are_refused_rather_than_measured_on_the_wrong_range():
    with pytest.raises(ValueError, match="8-bit"):
        metrics.psnr(np.zeros((8, 8, 3)), np.zeros((8, 8, 3)))
