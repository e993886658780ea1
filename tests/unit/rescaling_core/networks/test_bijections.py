import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.networks import FAMILIES, BijectiveRescaler, build
from rescaling_core.networks.bijective import pad_to_multiple
from rescaling_core.networks.dlv_irn import DLVIRN
from rescaling_core.networks.latent import seeded_generator
from tests.unit.rescaling_core.networks.examples import NETWORKS, example, photo, scale_of

BIJECTIONS = [name for name in NETWORKS if isinstance(example(name), BijectiveRescaler)]
EXACT = [name for name in BIJECTIONS if name != "irn-crm-x2"]
"""IRN with CRM changes the LR image on purpose before it inverts."""
ZERO_AT_START = [name for name in BIJECTIONS if not name.startswith(("irn-color", "firn"))]

sides = st.integers(1, 70)


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=12, deadline=None)
@given(height=sides, width=sides, seed=st.integers(0, 2**16))
def test_the_true_latent_brings_back_every_pixel_at_any_size(
    name: str, height: int, width: int, seed: int
) -> None:
    rescaler, scale = example(name), scale_of(name)
    x = _within_reach(name, photo(height, width, seed))
    down = rescaler.downscale(x, scale)
    # SAIN's bijection is with its prediction of the compressed LR image.
    lr = down.lr if down.lr_compressed is None else down.lr_compressed
    restored = rescaler.upscale(lr, (height, width), scale=scale, latent=down.latent)
    assert restored.shape == x.shape
    assert (restored - x).abs().max() <= 1e-4


@pytest.mark.parametrize("name", BIJECTIONS)
def test_decode_is_the_inverse_of_encode_both_ways(name: str) -> None:
    rescaler = example(name)
    assert isinstance(rescaler, BijectiveRescaler)
    x = pad_to_multiple(_within_reach(name, photo(24, 40)), rescaler.multiple)
    y = rescaler.encode(x)
    assert (rescaler.decode(y) - x).abs().max() <= 1e-4
    if not isinstance(rescaler, DLVIRN):  # which forgets its downscaling latent on the way back
        assert (rescaler.encode(rescaler.decode(y)) - y).abs().max() <= 1e-4


@pytest.mark.parametrize("name", ZERO_AT_START)
def test_an_untrained_network_gives_the_box_mean(name: str) -> None:
    family, config = NETWORKS[name]
    scale = int(scale_of(name))
    rescaler = build(family, config, FAMILIES[family].latent_policy).eval()
    x = photo(48, 48)
    mean = torch.nn.functional.avg_pool2d(x, scale)
    with torch.no_grad():
        assert (rescaler.downscale(x, scale).lr - mean).abs().max() <= 1e-5


def test_a_downscaling_latent_gives_another_lr_image_of_the_same_photo() -> None:
    rescaler = example("dlv-irn-x2")
    assert isinstance(rescaler, DLVIRN)
    x = photo(20, 20)
    plain = rescaler.downscale(x, 2)
    drawn = rescaler.downscale(x, 2, generator=seeded_generator(3))
    again = rescaler.downscale(x, 2, generator=seeded_generator(3))
    assert (plain.lr - drawn.lr).abs().max() > 1e-3
    assert torch.equal(drawn.lr, again.lr)
    restored = rescaler.upscale(drawn.lr, (20, 20), scale=2, latent=drawn.latent)
    assert (restored - x).abs().max() <= 1e-4


def test_between_its_stages_t_irn_x4_clamps_as_published() -> None:
    rescaler = example("t-irn-x4")
    x = (torch.rand(1, 3, 16, 16, generator=seeded_generator(0)) > 0.5).float()
    down = rescaler.downscale(x, 4)
    restored = rescaler.upscale(down.lr, (16, 16), scale=4, latent=down.latent)
    assert 1e-4 < (restored - x).abs().max() < 1


def _within_reach(name: str, x: torch.Tensor) -> torch.Tensor:
    """T-IRN x4 inverts exactly where the image between its stages needs no clamping."""
    return 0.3 + 0.4 * x if name == "t-irn-x4" else x
