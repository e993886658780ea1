"""A torch module run by OpenVINO, for comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openvino
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn


def openvino_pass(module: nn.Module, example: Tensor) -> Callable[[Tensor], Tensor]:
    """Compile `module` for tensors of any size, in float32 and with torch's number of threads."""
    small = example[..., :32, :32]
    with torch.no_grad():
        model = openvino.convert_model(module, example_input=small)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def call(x: Tensor) -> Tensor:
        request.infer([x.contiguous().numpy()], share_inputs=True)
        return torch.from_numpy(request.get_output_tensor(0).data)

    return call
