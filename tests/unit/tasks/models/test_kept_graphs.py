"""A network is kept in an archive only with a graph that restores what it restores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rescaling_core import zoo
from rescaling_core.errors import CheckpointError
from rescaling_core.networks.coupling import InvBlock
from rescaling_core.networks.graph_check import disagreement
from tasks.models.archived import FOLDER, put_model
from tasks.models.weights import find_weights
from tasks.storage import open_store
from tests.unit.rescaling_core.networks.examples import NETWORKS, example


@pytest.mark.parametrize("name", [n for n, (family, _) in NETWORKS.items() if family != "filter"])
def test_the_graph_of_every_network_agrees(name: str) -> None:
    network = example(name)
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
