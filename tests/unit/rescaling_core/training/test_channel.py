import io

import numpy as np
import pytest
import torch
from PIL import Image

from rescaling_core.codecs import CodecSpec
from rescaling_core.networks.diffjpeg import sain_jpeg
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.training.channel import draw_codec, through_codec, transmit
from rescaling_core.training.recipe import Compression


@pytest.fixture
def lr():
    small = torch.rand(2, 3, 5, 6, generator=seeded_generator(0))
    smooth = torch.nn.functional.interpolate(small, size=(32, 48), mode="bilinear")
    return (smooth * 255).round() / 255


def test_the_real_codec_s_pixels_come_out(lr):
    decoded = through_codec(lr, CodecSpec.parse("jpeg-420", 60))
    buffer = io.BytesIO()
    pixels = (lr[1] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=60, subsampling="4:2:0")
    expected = np.asarray(Image.open(buffer))
    assert np.array_equal((decoded[1] * 255).round().byte().permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("codec", ["jpeg", "jpeg-420", "webp", "avif", "avif-420"])
def test_straight_through_passes_the_gradient_unchanged(lr, codec):
    spec = CodecSpec.parse(codec, 40)
    lr.requires_grad_()
    weights = torch.rand(lr.shape, generator=seeded_generator(1))
    decoded = transmit(lr, spec, Compression(codecs=(codec,)))
    (decoded * weights).sum().backward()
    assert torch.equal(decoded.detach(), through_codec(lr, spec))
    assert torch.allclose(lr.grad, weights)


def test_mixed_has_the_pixels_of_the_codec_and_the_gradient_of_the_simulator(lr):
    spec = CodecSpec.parse("jpeg-420", 50)
    gradients, outputs = [], []
    for kind in ("mixed", "simulated"):
        image = lr.clone().requires_grad_()
        outputs.append(transmit(image, spec, Compression(codecs=("jpeg-420",), gradient=kind)))
        outputs[-1].square().sum().backward()
        gradients.append(image.grad)
    assert torch.allclose(outputs[0], through_codec(lr, spec), atol=1e-6)
    assert torch.allclose(outputs[1], sain_jpeg(lr, 50.0))
    assert torch.nn.functional.cosine_similarity(*map(torch.flatten, gradients), dim=0) > 0.95


def test_a_step_without_a_codec_changes_nothing(lr):
    assert transmit(lr, None, Compression()) is lr


def test_codecs_and_qualities_are_drawn_evenly_and_as_often_as_asked():
    compression = Compression(codecs=("jpeg", "webp"), quality=(30, 33), share=0.5)
    generator = seeded_generator(0)
    drawn = [draw_codec(compression, generator) for _ in range(2000)]
    used = [spec for spec in drawn if spec is not None]
    assert len(used) == pytest.approx(1000, abs=100)
    assert {spec.name for spec in used} == {"jpeg", "webp"}
    counts = np.bincount([spec.quality for spec in used])[30:]
    assert len(counts) == 4
    assert counts.min() > 200


def test_no_codec_is_drawn_where_none_is_named():
    assert draw_codec(Compression(), seeded_generator(0)) is None
