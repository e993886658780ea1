import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rescaling_core.networks.diffjpeg import sain_jpeg
from rescaling_core.networks.latent import LatentPolicy, gaussian_latent, seeded_generator
from rescaling_core.networks.mixture import GaussianMixture
from rescaling_core.networks.quantise import quantise
from rescaling_core.networks.resampling import resize, resize_to_scale
from tests.unit.rescaling_core.networks.examples import photo

kernels = st.sampled_from(["bicubic", "lanczos"])


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    scale=st.floats(0.25, 9),
    kernel=kernels,
)
def test_a_plain_surface_stays_plain(height: int, width: int, scale: float, kernel: str) -> None:
    x = torch.full((1, 3, height, width), 0.37)
    assert torch.allclose(resize_to_scale(x, scale, kernel=kernel), torch.tensor(0.37), atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "pillow"),
    [("bicubic", Image.Resampling.BICUBIC), ("lanczos", Image.Resampling.LANCZOS)],
)
@pytest.mark.parametrize("size", [(20, 24), (16, 32), (80, 96)])
def test_inside_the_border_it_is_what_pillow_computes(
    kernel: str, pillow: Image.Resampling, size: tuple[int, int]
) -> None:
    x = photo(40, 48)[:, :1]
    image = Image.fromarray(x[0, 0].numpy(), mode="F").resize(size[::-1], pillow)
    inner = np.s_[6:-6, 6:-6]
    ours = resize(x, size, kernel=kernel)[0, 0].numpy()
    assert np.abs(ours[inner] - np.asarray(image)[inner]).max() <= 1e-5


def test_a_linear_ramp_shrinks_to_a_ramp() -> None:
    x = torch.linspace(0, 1, 64).expand(1, 1, 8, 64)
    y = resize_to_scale(x, 4)[0, 0, 0]
    steps = y[2:-2].diff()
    assert torch.allclose(steps, steps[0].expand_as(steps), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(-2, 3, width=32), min_size=1, max_size=50))
def test_rounding_gives_levels_and_rounding_twice_changes_nothing(values: list[float]) -> None:
    v = torch.tensor(values)
    for kind in ("straight-through", "soft"):
        q = quantise(v, kind)
        assert torch.equal((q * 255).round() / 255, q)
        assert torch.equal(quantise(q, kind), q)
        assert ((q - v.clamp(0, 1)).abs() <= 0.5 / 255 + 1e-6).all()


def test_ties_round_to_the_even_level() -> None:
    assert (quantise(torch.tensor([0.5, 1.5, 2.5]) / 255) * 255).round().tolist() == [0, 2, 2]


def test_the_mixture_draws_its_components_in_proportion() -> None:
    mixture = GaussianMixture(3)
    with torch.no_grad():
        mixture.gmm_para.copy_(torch.tensor([[0.7, 0.2, 0.1], [0.0, 5.0, -5.0], [-8.0] * 3]))
        mixture.gmm_para[0].log_()
    z = mixture.draw((3, 4, 50, 50), seeded_generator(0)).detach()
    for mean, share in ((0, 0.7), (5, 0.2), (-5, 0.1)):
        assert ((z - mean).abs() < 1).float().mean().item() == pytest.approx(share, abs=0.02)


def test_the_mixture_learns_through_its_draws() -> None:
    mixture = GaussianMixture(2)
    mixture.draw((1, 2, 8, 8), seeded_generator(0)).pow(2).sum().backward()
    assert mixture.gmm_para.grad is not None
    assert (mixture.gmm_para.grad.abs().sum(dim=1) > 0).all()


def test_large_draws_do_not_depend_on_how_many_are_kept() -> None:
    mixture = GaussianMixture(2)
    with torch.no_grad():
        large = mixture.draw((1, 9, 200, 200), seeded_generator(5))
        again = mixture.draw((1, 9, 200, 200), seeded_generator(5))
    assert torch.equal(large, again)
    assert large.std() > 0.5


def test_gaussian_draws_have_the_asked_for_deviation() -> None:
    assert gaussian_latent((40, 1000), 0.3, seeded_generator(1)).std().item() == pytest.approx(
        0.3, rel=0.02
    )


def test_an_unknown_latent_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown latent kind 'uniform'"):
        LatentPolicy("uniform")  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), quality=st.integers(1, 99))
def test_simulated_jpeg_takes_any_size_and_stays_in_range(
    height: int, width: int, quality: int
) -> None:
    out = sain_jpeg(photo(height, width), quality)
    assert out.shape == (1, 3, height, width)
    assert out.min() >= 0
    assert out.max() <= 1


def test_simulated_jpeg_loses_less_at_higher_quality() -> None:
    x = photo(64, 64)
    errors = [(sain_jpeg(x, quality) - x).pow(2).mean().item() for quality in (10, 50, 95)]
    assert errors == sorted(errors, reverse=True)
