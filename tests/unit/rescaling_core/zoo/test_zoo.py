from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from rescaling_core import zoo
from rescaling_core.errors import CheckpointError, UsageError
from rescaling_core.networks import LatentPolicy, Rescaler, build
from rescaling_core.networks.irn import IRN
from rescaling_core.networks.sain import SAIN

SMALL = {"scale": 2, "blocks": [1], "growth": 8}


def _network(seed: int = 0) -> Rescaler:
    rescaler = build("irn", SMALL, LatentPolicy("gaussian", 0.5))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in rescaler.parameters():
            parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
    return rescaler


def _saved(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Path, zoo.ModelCard]:
    rescaler, path = _network(), folder / "mine.safetensors"
    card = zoo.describe(
        rescaler, model_id="mine", title="Mine", training={"seed": 0}, metrics={"Set5": {}}
    )
    return path, zoo.save(path, rescaler, card, dtype=dtype)


def test_a_saved_network_comes_back_with_its_weights_policy_and_card(tmp_path: Path) -> None:
    path, card = _saved(tmp_path)
    loaded = zoo.load(path)
    assert (loaded.id, loaded.card) == ("mine", card)
    assert loaded.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.card.weights_bytes == path.stat().st_size
    assert loaded.rescaler.latent_policy == LatentPolicy("gaussian", 0.5)
    assert not loaded.rescaler.training
    for key, tensor in _network().state_dict().items():
        assert torch.equal(loaded.rescaler.state_dict()[key], tensor)


def test_loading_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    path, _ = _saved(tmp_path)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    zoo.load(path)
    assert torch.equal(torch.rand(1), expected)


def test_half_precision_is_stored_and_single_computed_with(tmp_path: Path) -> None:
    path, _ = _saved(tmp_path, torch.float16)
    half, single = path.stat().st_size, _network().state_dict()
    assert half < 0.7 * sum(4 * tensor.numel() for tensor in single.values())
    for key, tensor in zoo.load(path).rescaler.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, single[key].half().float())


def test_equal_networks_give_equal_bytes(tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        digests.add(_saved(tmp_path / name)[1].weights_sha256)
    assert len(digests) == 1


def test_the_file_alone_loads(tmp_path: Path) -> None:
    path, card = _saved(tmp_path)
    path.with_suffix(".json").unlink()
    loaded = zoo.load(path)
    assert (loaded.card.family, dict(loaded.card.config)) == (card.family, dict(card.config))
    assert loaded.card.weights_sha256 == card.weights_sha256


def test_aidn_plus_whose_tables_have_two_names_is_saved_too(tmp_path: Path) -> None:
    config = {"features": 16, "residual_blocks": 2, "adapt_every": 2, "codec_quality": 90}
    rescaler = build("aidn", config, LatentPolicy("none"))
    card = zoo.describe(rescaler, model_id="plus", title="AIDN+")
    zoo.save(tmp_path / "plus.safetensors", rescaler, card)
    assert zoo.load(tmp_path / "plus.safetensors").rescaler.config == rescaler.config


def test_a_digest_that_differs_is_refused(tmp_path: Path) -> None:
    path, card = _saved(tmp_path)
    assert zoo.load(path, sha256=card.weights_sha256.upper()).id == "mine"
    with pytest.raises(CheckpointError, match="SHA-256"):
        zoo.load(path, sha256="0" * 64)
    with pytest.raises(CheckpointError, match="SHA-256"):
        zoo.load("bicubic", sha256="0" * 64)


def test_a_card_of_other_weights_is_noticed(tmp_path: Path) -> None:
    path, _ = _saved(tmp_path)
    other = _network(seed=1)
    card = path.with_suffix(".json").read_text()
    described = zoo.describe(other, model_id="mine", title="Mine")
    zoo.save(path, other, described)
    path.with_suffix(".json").write_text(card)
    with pytest.raises(CheckpointError, match="not the weights its model card describes"):
        zoo.load(path)


@pytest.mark.parametrize("cut", [0, 4, 20, 500, 5000])
def test_truncated_weights_are_refused(tmp_path: Path, cut: int) -> None:
    path, _ = _saved(tmp_path)
    path.with_suffix(".json").unlink()
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=r"mine\.safetensors"):
        zoo.load(path)


def test_safetensors_of_somebody_else_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file(dict(_network().state_dict()), path)
    with pytest.raises(CheckpointError, match="converted by `refold models import`"):
        zoo.load(path)


def test_a_header_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path, _ = _saved(tmp_path)
    path.with_suffix(".json").unlink()
    path.write_bytes(path.read_bytes().replace(b'\\"version\\": 1', b'\\"version\\": 9'))
    with pytest.raises(CheckpointError, match="version"):
        zoo.load(path)


def test_an_unknown_id_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no rescaler 'irn-x9'; known ids: bicubic, lanczos"):
        zoo.load("irn-x9")


@pytest.mark.parametrize("name", ["../zoo/weights/irn-x2-lite", "/etc/passwd", "", "irn-x2-lite/"])
def test_an_id_is_no_way_to_other_files(name: str) -> None:
    with pytest.raises(UsageError):
        zoo.load(name)


def test_urls_are_not_opened_here() -> None:
    with pytest.raises(UsageError, match="a URL is fetched first"):
        zoo.load("s3://bucket/irn.safetensors")


def test_every_model_that_ships_loads_and_is_the_one_its_card_describes() -> None:
    cards = zoo.list_models()
    assert [card.id for card in cards[:2]] == ["bicubic", "lanczos"]
    for card in cards:
        loaded = zoo.load(card.id)
        assert loaded.card == card
        assert loaded.weights_sha256 == card.weights_sha256
        assert loaded.rescaler.config == dict(card.config)
        assert loaded.rescaler.scales == card.scales
        assert sum(p.numel() for p in loaded.rescaler.parameters()) == card.parameters
        assert card.licence


def test_filters_have_the_digest_of_nothing() -> None:
    assert zoo.load("lanczos").weights_sha256 == hashlib.sha256(b"").hexdigest()


def test_cards_survive_json_and_are_valid_json(tmp_path: Path) -> None:
    _, card = _saved(tmp_path)
    filter_card = zoo.load("bicubic").card
    for known in (card, filter_card):
        assert zoo.ModelCard.from_json(known.to_json(), name="card") == known
    json.loads(filter_card.to_json(), parse_constant=lambda name: pytest.fail(name))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": 1}'])
def test_a_file_that_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError, match="not a model card"):
        zoo.ModelCard.from_json(text, name="x.json")


def test_load_as_gives_the_class_that_was_asked_for(tmp_path: Path) -> None:
    path, _ = _saved(tmp_path)
    assert isinstance(zoo.load_as(Rescaler, "bicubic"), Rescaler)
    assert zoo.load_as(IRN, path).config["growth"] == 8
    with pytest.raises(UsageError, match="family irn, not sain"):
        zoo.load_as(SAIN, path)


def test_macs_are_counted_as_by_hand() -> None:
    rescaler = build("irn", {"scale": 2, "blocks": [1], "growth": 8}, LatentPolicy("zeros"))

    def dense(before: int, after: int) -> int:
        widths = [before + 8 * k for k in range(5)]
        return 9 * (sum(8 * width for width in widths[:4]) + after * widths[4])

    expected = (dense(9, 3) + 2 * dense(3, 9)) / 4
    card = zoo.describe(rescaler, model_id="x", title="x")
    assert card.macs_per_hr_pixel == pytest.approx(expected, abs=0.1)
    assert card.restore_macs_per_hr_pixel == pytest.approx(expected, abs=0.1)


def test_the_card_of_dlv_irn_says_that_it_is_our_reading() -> None:
    config = {"scale": 2, "blocks": [1], "growth": 8}
    rescaler = build("dlv-irn", config, LatentPolicy("zeros"))
    card = zoo.describe(rescaler, model_id="x", title="x", notes="Trained overnight.")
    assert "Refold's reading" in card.notes
    assert card.notes.endswith("Trained overnight.")
