"""Weights of restorers: kept, found, and refused where they do not belong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import CheckpointError, UsageError
from rescaling_core.networks import LatentPolicy, build
from rescaling_core.zoo import restorers
from tests.unit.restorers import example

if TYPE_CHECKING:
    from pathlib import Path

CODING = restorers.Coding.of("avif-420", None, (10, 90))


def _saved(folder: Path, dtype: torch.dtype = torch.float32) -> restorers.RestorerCard:
    network = example("corrects")
    card = restorers.describe(
        network, CODING, restorer_id="mine.2026-11", title="Mine", training={"seed": 0}
    )
    return restorers.save(folder / "mine.safetensors", network, card, dtype=dtype)


def test_a_saved_restorer_comes_back_with_its_weights_coding_and_card(tmp_path: Path) -> None:
    card = _saved(tmp_path)
    loaded = restorers.load(tmp_path / "mine.safetensors")
    assert (loaded.id, loaded.card, loaded.coding) == ("mine.2026-11", card, CODING)
    data = (tmp_path / "mine.safetensors").read_bytes()
    assert loaded.weights_sha256 == hashlib.sha256(data).hexdigest()
    assert not loaded.network.training
    for key, tensor in example("corrects").state_dict().items():
        assert torch.equal(loaded.network.state_dict()[key], tensor)


def test_without_its_card_it_still_knows_what_it_is_for(tmp_path: Path) -> None:
    card = _saved(tmp_path, torch.float16)
    (tmp_path / "mine.json").unlink()
    loaded = restorers.load(tmp_path / "mine.safetensors", sha256=card.weights_sha256.upper())
    assert loaded.coding == CODING
    assert loaded.card.licence == "unknown"
    assert loaded.network.head.weight.dtype == torch.float32


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    assert _saved(tmp_path).weights_sha256 == _saved(tmp_path / "again").weights_sha256


def test_it_is_for_the_codec_settings_and_qualities_it_was_trained_on(tmp_path: Path) -> None:
    _saved(tmp_path)
    loaded = restorers.load(tmp_path / "mine.safetensors")
    loaded.check(CodecSpec.parse("avif-420", 10))
    loaded.check(CodecSpec.parse("avif-420", 90))
    wrong = {
        "it is for avif-420, not for avif$": CodecSpec.parse("avif", 40),
        "it is for avif-420, not for webp$": CodecSpec.parse("webp", 40),
        "speed 6, not 4": CodecSpec("avif", 40, "4:2:0", 6),
        "quality 10 to 90, not 91": CodecSpec.parse("avif-420", 91),
        "quality 10 to 90, not 9$": CodecSpec.parse("avif-420", 9),
    }
    for complaint, spec in wrong.items():
        with pytest.raises(UsageError, match=complaint) as refusal:
            loaded.check(spec)
        assert f"mine.2026-11 ({loaded.weights_sha256[:12]})" in str(refusal.value)


def test_encoder_settings_that_have_changed_since_are_refused(tmp_path: Path) -> None:
    network = example("corrects")
    older = replace(CODING, settings={**CODING.settings, "advanced": {"tune": "ssim"}})
    card = restorers.describe(network, older, restorer_id="old", title="Old")
    restorers.save(tmp_path / "old.safetensors", network, card)
    with pytest.raises(UsageError, match=r"advanced \{'tune': 'ssim'\}, not \{'tune': 'psnr'"):
        restorers.load(tmp_path / "old.safetensors").check(CodecSpec.parse("avif-420", 40))


def test_another_digest_is_refused_by_name(tmp_path: Path) -> None:
    _saved(tmp_path)
    with pytest.raises(CheckpointError, match=r"restorer mine.2026-11: .* not 0000"):
        restorers.load(tmp_path / "mine.safetensors", sha256="0" * 64)


def test_a_card_of_other_weights_is_refused(tmp_path: Path) -> None:
    card = _saved(tmp_path)
    other = replace(card, weights_sha256="0" * 64)
    (tmp_path / "mine.json").write_text(other.to_json(), "utf-8")
    with pytest.raises(CheckpointError, match="not the weights its card describes"):
        restorers.load(tmp_path / "mine.safetensors")


def test_rescalers_and_restorers_are_not_taken_for_one_another(tmp_path: Path) -> None:
    _saved(tmp_path)
    with pytest.raises(CheckpointError, match="weights of a restorer, not of a rescaler"):
        zoo.load(tmp_path / "mine.safetensors")
    rescaler = build("irn", {"scale": 2, "blocks": [1], "growth": 4}, LatentPolicy("zeros"))
    path = tmp_path / "irn.safetensors"
    zoo.save(path, rescaler, zoo.describe(rescaler, model_id="irn", title="IRN"))
    with pytest.raises(CheckpointError, match="weights of a rescaler, not of a restorer"):
        restorers.load(path)


@pytest.mark.parametrize("kept", [0, 7, 40, 300, 2000])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    _saved(tmp_path)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"mine\.safetensors"):
        restorers.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"features": 8}},
        {"config": {"features": 8, "pairs": 1, "errors": [[[1, 2], [2, 1]]], "depth": 3}},
        {"config": {"features": 9, "pairs": 1, "errors": [[[1, 2], [2, 1]]]}},
        {"coding": {}},
        {"coding": None},
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    _saved(tmp_path)
    path = tmp_path / "mine.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    outer = json.loads(data[8 : 8 + length])
    inner = json.loads(outer["__metadata__"]["refold"]) | change
    outer["__metadata__"]["refold"] = json.dumps(inner)
    text = json.dumps(outer).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(CheckpointError, match=r"mine\.safetensors"):
        restorers.load(path)


def test_an_unknown_id_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no restorer 'restorer-x'; known ids: "):
        restorers.load("restorer-x")
    with pytest.raises(UsageError, match="no restorer 'restorer-x' with weights 0000"):
        restorers.load("restorer-x", sha256="0" * 64)
