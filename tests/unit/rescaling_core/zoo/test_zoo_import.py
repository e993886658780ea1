"""Official checkpoints: taken over exactly, or refused with a reason and nothing done."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as save_safetensors

from rescaling_core import zoo
from rescaling_core.errors import CheckpointError
from rescaling_core.networks import LatentPolicy, build

IRN = {"scale": 2, "blocks": [1], "growth": 8}
SAIN = {"scale": 2, "enhanced_blocks": 1, "blocks": 1, "growth": 8}


def _irn() -> dict[str, torch.Tensor]:
    return build("irn", IRN, LatentPolicy("zeros")).state_dict()


def _pth(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def _import(data: bytes, family: str = "irn", scale: float = 2) -> Any:
    return zoo.import_checkpoint({"file.pth": data}, family_name=family, scale=scale)


@pytest.mark.parametrize(
    "data",
    [
        _pth(_irn()),
        _pth(_irn(), _use_new_zipfile_serialization=False),
        _pth({"module." + key: value for key, value in _irn().items()}),
        _pth({"epoch": 3, "state_dict": _irn(), "optimizer": {"lr": 1.0}}),
        _pth({key: value.half() for key, value in _irn().items()}),
        save_safetensors(_irn()),
    ],
    ids=["zip", "of torch 1.1", "data parallel", "wrapped", "half", "safetensors"],
)
def test_official_files_of_every_make_are_taken_over(data: bytes) -> None:
    rescaler = _import(data)
    assert rescaler.family == "irn"
    assert rescaler.latent_policy == LatentPolicy("gaussian")
    assert not rescaler.training
    assert {t.dtype for t in rescaler.state_dict().values()} == {torch.float32}


def test_the_two_files_of_irn_with_crm_become_one_network() -> None:
    config = {**IRN, "crm_features": 8, "crm_blocks": 1, "crm_growth": 4}
    weights = build("irn-crm", config, LatentPolicy("gaussian")).state_dict()
    irn = {key: value for key, value in weights.items() if key.startswith("operations.")}
    crm = {key: value for key, value in weights.items() if key not in irn}
    rescaler = zoo.import_checkpoint(
        {"IRN_x2_finetune.pth": _pth(irn), "CRM_x2_q90.pth": _pth(crm)},
        family_name="irn-crm",
        scale=2,
    )
    assert rescaler.config == config | {"depth": 5, "down_first": False}


def test_a_file_of_another_family_is_refused_and_recognised() -> None:
    sain = build("sain", SAIN, LatentPolicy("mixture")).state_dict()
    with pytest.raises(CheckpointError, match=r"file\.pth: not a checkpoint of family irn.*sain"):
        _import(_pth(sain))
    with pytest.raises(CheckpointError, match="looks like family irn"):
        _import(_pth(_irn()), family="sain")


def test_a_file_for_another_scale_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"a network for x2, not for x4"):
        _import(_pth(_irn()), scale=4)


def test_missing_unexpected_and_misshapen_tensors_are_named() -> None:
    weights = _irn()
    weights["extra"] = weights.pop("operations.1.G.conv2.weight")
    weights["operations.1.F.conv5.bias"] = torch.zeros(7)
    with pytest.raises(CheckpointError) as caught:
        _import(_pth(weights))
    message = str(caught.value)
    assert "missing keys: operations.1.G.conv2.weight" in message
    assert "unexpected keys: extra" in message
    assert "operations.1.F.conv5.bias is (7,), expected (3,)" in message


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_files_are_refused(share: float, zipped: bool) -> None:
    data = _pth(_irn(), _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"file\.pth: (truncated|refused)"):
        _import(data[: int(len(data) * share)])


class _Code:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["zip", "legacy", "plain pickle"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    trap = tmp_path / "trap"
    value = {"operations.0.haar_weights": _Code(trap)}
    data = {
        "zip": lambda: _pth(value),
        "legacy": lambda: _pth(value, _use_new_zipfile_serialization=False),
        "plain pickle": lambda: pickle.dumps(value),
    }[form]()
    with pytest.raises(CheckpointError, match=r"refused: .*code"):
        _import(data)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1, 2], "not a state dict but a list"),
        ({}, "not a state dict"),
        ({"a": 1}, "'a' is a int, not a tensor"),
        ({**_irn(), "operations.1.F.conv1.bias": torch.full((8,), torch.nan)}, "not finite"),
    ],
)
def test_what_is_no_state_dict_of_numbers_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        _import(_pth(value))


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n" * 50, bytes(1000)])
def test_what_is_no_checkpoint_is_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"file\.pth"):
        _import(data)
