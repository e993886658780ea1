"""A network is kept in an archive only with a graph that restores what it restores."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from rescaling_core import zoo
from rescaling_core.errors import CheckpointError
from rescaling_core.networks.coupling import InvBlock
from rescaling_core.networks.graph_check import disagreement
from rescaling_core.networks.irn_crm import IRNCRM
from rescaling_core.networks.latent import seeded_generator
from tasks.models.archived import FOLDER, put_model
from tasks.models.weights import find_weights
from tasks.storage import open_store
from tests.unit.rescaling_core.networks.examples import NETWORKS, example


@pytest.mark.parametrize("name", [n for n, (family, _) in NETWORKS.items() if family != "filter"])
def test_the_graph_of_every_network_agrees(name: str) -> None:
    network = example(name)
    assert disagreement(network, network.restoring_graph()) < 0.01


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 5, 3), (0, 2, 8)])
def test_a_value_that_is_rounded_either_way_is_no_disagreement(place: tuple[int, int, int]) -> None:
    """The module behind the codec rounds; sound weights were refused where a value lay half way."""
    network = deepcopy(example("irn-crm-x2"))
    assert isinstance(network, IRNCRM)
    lr = torch.rand(1, 3, 7, 10, generator=seeded_generator(1))  # the first picture that is tried
    with torch.no_grad():
        level = 255 * network.restore_lr(lr)[0][place]
        network.conv_last.bias[place[0]] += (level.floor() + 0.5 - level) / 255
    assert disagreement(network, network.restoring_graph()) < 0.01


def test_a_graph_that_restores_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(self: Any, g: Any, low: Any, high: Any) -> Any:
        return g.mul(high, g.constant(1.0))  # what a new module may get wrong

    path = tmp_path / "mine.safetensors"
    network = example("irn-x2")
    zoo.save(path, network, zoo.describe(network, model_id="mine", title="Mine"))
    archive = open_store(str(tmp_path / "archive"))
    found = find_weights(str(path))
    assert found is not None
    with monkeypatch.context() as patch:
        patch.setattr(InvBlock, "_inverse_high_graph", mistaken)
        with pytest.raises(CheckpointError, match=r"mine\.safetensors: its ONNX graph restores"):
            put_model(archive, found)
    assert not [one.key for one in archive.list(FOLDER)]
    put_model(archive, found)
    assert len([one.key for one in archive.list(FOLDER)]) == 3
