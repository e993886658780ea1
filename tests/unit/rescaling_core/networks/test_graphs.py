"""The restoring direction as an ONNX file gives what the network gives, at every size."""

from __future__ import annotations

import json
from copy import deepcopy
from math import floor
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from rescaling_core.networks.base import Window
from rescaling_core.networks.graph import IR_VERSION, NOTE, OPSET
from tests.unit.rescaling_core.networks.examples import NETWORKS, example, photo, scale_of

SIZES = [(7, 9), (1, 1), (16, 5), (1, 6)]

WITH_WEIGHTS = [name for name, (family, _) in NETWORKS.items() if family != "filter"]


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_graph_restores_what_the_network_restores(name: str) -> None:
    network, scale = example(name), scale_of(name)
    session = onnxruntime.InferenceSession(
        network.restoring_graph(), providers=["CPUExecutionProvider"]
    )
    note = json.loads(session.get_modelmeta().custom_metadata_map[NOTE])
    generator = torch.Generator().manual_seed(7)
    for h, w in SIZES:
        lr = photo(h, w)[:, : note["lr_channels"]]
        feeds: dict[str, Any] = {"lr": lr.numpy()}
        if note["kind"] == "tiles":
            assert note["scale"] == scale
            latent = None
            if "latent" in [one.name for one in session.get_inputs()]:
                latent = torch.randn(1, note["latent_channels"], h, w, generator=generator)
                feeds["latent"] = latent.numpy()
            size = (h * int(scale), w * int(scale))
            with torch.inference_mode():
                wanted = network.upscale(lr, size, scale=scale, latent=latent)
        else:
            sides = [(0, side // 3, side, h_or_w, side) for h_or_w, side in
                     ((h, floor(h * scale)), (w, floor(w * scale)))]  # fmt: skip
            feeds["scale"] = np.array([float(scale)])
            feeds["rows"], feeds["columns"] = (np.array(side) for side in sides)
            windows = [
                Window(given=slice(0, n), asked=slice(first, stop), length=n, result=whole)
                for _, first, stop, n, whole in sides
            ]
            with torch.inference_mode():
                wanted = network.upscale_part(lr, scale, (windows[0], windows[1]))
        (found,) = session.run(None, feeds)
        assert found.shape == wanted.shape
        assert abs(found - wanted.numpy()).max() < 5e-5


def test_a_graph_is_of_the_stated_versions_checks_and_is_written_the_same_again() -> None:
    network = example("aidn")
    data = network.restoring_graph()
    assert network.restoring_graph() == data
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, model.opset_import[0].version) == (IR_VERSION, OPSET)


def test_weights_that_16_bits_hold_are_stored_in_16() -> None:
    network = example("irn-x2")
    whole = len(network.restoring_graph())
    half = deepcopy(network).half().float()
    assert len(half.restoring_graph()) < 0.7 * whole


def test_a_filter_has_no_graph() -> None:
    with pytest.raises(ValueError, match="no weights"):
        example("bicubic").restoring_graph()
