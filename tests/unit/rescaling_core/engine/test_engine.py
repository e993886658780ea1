"""Networks rearranged for inference: the same function, whatever it is made of."""

from __future__ import annotations

import sys
from functools import partial

import psutil
import pytest
import torch

from rescaling_core import zoo
from rescaling_core.engine import engine_for
from rescaling_core.engine.base import FusedEngine, PlainEngine
from rescaling_core.engine.dense import DenseBranches, Fusion
from rescaling_core.engine.fused import fuse
from rescaling_core.engine.together import Together
from rescaling_core.networks import LatentPolicy, build
from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.networks.quantise import quantise
from tests.unit.rescaling_core.networks.examples import NETWORKS, example, photo, scale_of

FUSED = ("irn-x2", "irn-x4", "irn-x4-down-first", "irn-x8", "sain-x2", "sain-x4")


def _latent_for(network: BijectiveRescaler, lr: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(len(lr), network.latent_channels, *lr.shape[-2:], generator=generator)


@pytest.mark.parametrize("fusion", ["separate", "grouped", "diagonal"])
@pytest.mark.parametrize("name", FUSED)
def test_fused_networks_compute_the_same(name: str, fusion: Fusion) -> None:
    network, scale = example(name), int(scale_of(name))
    assert isinstance(network, BijectiveRescaler)
    passes = fuse(network, partial(DenseBranches, fusion=fusion))
    assert passes is not None
    hr = torch.cat((photo(24, 32, 1), photo(24, 32, 2)))
    lr = network.downscale(hr, scale).lr
    assert torch.allclose(passes[0](hr), lr, atol=1e-5)
    latent = _latent_for(network, lr)
    for given in (latent, None):
        used = torch.zeros_like(latent) if given is None else given
        expected = network.upscale(lr, (24, 32), scale=scale, latent=used)
        assert torch.allclose(passes[1](lr, given), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(FUSED)))
def test_networks_of_other_parts_are_left_alone(name: str) -> None:
    assert fuse(example(name)) is None


def test_a_network_that_ends_in_a_transform_is_left_alone() -> None:
    config = {"scale": 2, "blocks": [0]}
    assert fuse(build("irn", config, LatentPolicy("zeros"))) is None


@pytest.mark.parametrize("name", FUSED)
def test_openvino_computes_the_same(name: str) -> None:
    engines = pytest.importorskip("rescaling_core.engine.openvino_engine")
    network, scale = example(name), int(scale_of(name))
    assert isinstance(network, BijectiveRescaler)
    fused = fuse(network)
    assert fused is not None
    engine = engines.OpenVinoEngine(*fused, threads=1)
    for height, width in ((24, 32), (40, 16)):  # one model takes any size
        hr = torch.cat((photo(height, width, 1), photo(height, width, 2)))
        lr = network.downscale(hr, scale).lr
        assert torch.allclose(engine.downscale(hr), lr, atol=1e-5)
        latent = _latent_for(network, lr)
        for given in (latent, None):
            used = torch.zeros_like(latent) if given is None else given
            expected = network.upscale(lr, (height, width), scale=scale, latent=used)
            assert torch.allclose(engine.upscale(lr, given), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_openvino_does_not_keep_something_for_every_size_it_ever_saw() -> None:
    pytest.importorskip("openvino")
    network = zoo.load("irn-x2-lite").rescaler
    assert isinstance(network, BijectiveRescaler)
    engine, process = engine_for(network), psutil.Process()

    def pass_over(height: int, widths: range) -> int:
        for width in widths:
            engine.downscale(torch.rand(1, 3, height, width))
        return process.memory_info().rss

    before = pass_over(50, range(348, 448, 2))  # the largest, so that what follows needs no more
    after = max(pass_over(height, range(48, 248, 2)) for height in (46, 48, 50))
    assert after - before < 150 * 2**20  # without a bound, twice as much


def test_engines_agree_on_a_trained_network_and_with_themselves() -> None:
    """What is archived on one machine restores on another, with or without the extra."""
    network = zoo.load("irn-x2-lite").rescaler
    assert isinstance(network, BijectiveRescaler)
    hr = quantise(photo(120, 200))
    lr = quantise(network.downscale(hr, 2).lr)
    fused = fuse(network)
    assert fused is not None
    chosen, again = engine_for(network), engine_for(zoo.load("irn-x2-lite").rescaler)  # type: ignore[arg-type]
    assert torch.equal(chosen.downscale(hr), again.downscale(hr))
    assert torch.equal(chosen.upscale(lr, None), again.upscale(lr, None))
    plain = PlainEngine(network)
    for engine in (chosen, FusedEngine(*fused)):
        assert (engine.downscale(hr) - plain.downscale(hr)).abs().max() < 1e-4
        assert (engine.upscale(lr, None) - plain.upscale(lr, None)).abs().max() < 1e-4


def test_a_network_in_training_is_run_as_it_is() -> None:
    network = zoo.load("irn-x2-lite").rescaler
    assert isinstance(network, BijectiveRescaler)
    assert engine_for(network) is engine_for(network)
    assert isinstance(engine_for(network), Together)
    network.requires_grad_()
    before = engine_for(network).downscale(photo(16, 16))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.01
    assert not torch.equal(before, engine_for(network).downscale(photo(16, 16)))


def test_without_the_extra_fused_torch_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rescaling_core.engine.openvino_engine", None)
    network = zoo.load("irn-x2-lite").rescaler
    assert isinstance(network, BijectiveRescaler)
    engine = engine_for(network)
    assert isinstance(engine, Together)
    assert isinstance(engine.engine, FusedEngine)


def test_a_fused_network_shares_nothing_with_its_source() -> None:
    network = example("irn-x2")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for half in fuse(network) or ():
        half.to(torch.bfloat16)
        for tensor in half.buffers():
            tensor.zero_()
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize(("built_in", "hint"), [(True, "bf16"), (False, "f32")])
def test_bfloat16_is_for_restoring_alone_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, built_in: bool, hint: str
) -> None:
    engines = pytest.importorskip("rescaling_core.engine.openvino_engine")
    asked: list[str] = []

    class Core:
        def compile_model(self, graph: object, device: str, settings: dict[str, object]) -> Core:
            asked.append(str(settings["INFERENCE_PRECISION_HINT"]))
            return self

        def create_infer_request(self) -> Core:
            raise _Compiled

    monkeypatch.setattr(engines, "_core", Core)
    monkeypatch.setattr(engines, "has_bfloat16", lambda: built_in)
    network = zoo.load("irn-x2-lite").rescaler
    assert isinstance(network, BijectiveRescaler)
    network.precision = "bfloat16"
    engine = engine_for(network)
    with pytest.raises(_Compiled):
        engine.downscale(photo(16, 16))
    with pytest.raises(_Compiled):
        engine.upscale(photo(8, 8), None)
    assert asked == ["f32", hint]


class _Compiled(Exception):
    pass


def test_an_engine_is_made_again_when_its_precision_changes() -> None:
    network = zoo.load("irn-x2-lite").rescaler
    assert isinstance(network, BijectiveRescaler)
    usual = engine_for(network)
    network.precision = "bfloat16"
    assert engine_for(network) is not usual
    network.precision = "float32"
    hr = photo(32, 48)
    assert torch.equal(engine_for(network).upscale(hr, None), usual.upscale(hr, None))
