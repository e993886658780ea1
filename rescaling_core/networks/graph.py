"""Networks as ONNX graphs: the restoring direction, written node by node.

An archive keeps these beside the weights, so that a restoration needs neither this software nor
torch. Each layer writes itself: next to what it computes stands the method that writes the same as
nodes. An exporter that traces torch code takes fifty seconds and four more dependencies; this takes
a tenth of a second, and what it writes is what is meant.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn


class Written(Protocol):
    """A layer that writes itself."""

    def graph(self, g: Graph, x: Node) -> Node:
        """The same as its `forward`, as nodes."""


Node = str
"""The name of a value in a graph."""

OPSET: Final = 20
"""Of the ONNX operators. 20 is the first whose `GridSample` has the mode `cubic`."""

IR_VERSION: Final = 9
"""Of the file format: what ONNX 1.15 wrote, which brought that opset."""

NOTE: Final = "refold"
"""Key of the file's metadata under which it says, as JSON, how it is to be run."""

_TYPES: Final = {"float": TensorProto.FLOAT, "double": TensorProto.DOUBLE, "int": TensorProto.INT64}


class Graph:
    """A graph that grows as layers write themselves into it."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[bytes, Node] = {}
        self._initialisers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, shape: Sequence[int | str | None], kind: str = "float") -> Node:
        """Declare an input.

        Args:
            name: Its name in the file.
            shape: Sides; a name or None where a side may be any.
            kind: `float`, `double` or `int`.
        """
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[kind], shape))
        return name

    def op(self, kind: str, *given: Node, **attributes: Any) -> Node:
        """Add an operator with one output."""
        return self.ops(kind, 1, *given, **attributes)[0]

    def ops(self, kind: str, outputs: int, *given: Node, **attributes: Any) -> list[Node]:
        """Add an operator with several outputs."""
        names = [self._name() for _ in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(given), names, **attributes))
        return names

    def constant(self, value: Any, kind: str = "float") -> Node:
        """A number or an array; floats that 16 bits hold exactly are stored as such."""
        dtype = {"float": np.float32, "double": np.float64, "int": np.int64}[kind]
        array = np.asarray(value, dtype)
        if kind == "float" and array.size > 64:
            with np.errstate(over="ignore"):
                half = array.astype(np.float16)
            if np.array_equal(half.astype(np.float32), array):
                stored = self._stored(half)
                return self.op("Cast", stored, to=TensorProto.FLOAT)
        return self._stored(array)

    def tensor(self, tensor: Tensor) -> Node:
        """Weights of a layer."""
        return self.constant(tensor.detach().cpu().float().numpy())

    def join(self, *parts: Node) -> Node:
        """Put channels one after another."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=1)

    def split(self, x: Node, *channels: int) -> list[Node]:
        """Take channels apart again."""
        sizes = self.constant(channels, "int")
        return self.ops("Split", len(channels), x, sizes, axis=1)

    def conv(
        self, x: Node, weight: Tensor, bias: Tensor | None = None, *, padding: int = 0
    ) -> Node:
        """A convolution of stride 1."""
        given = [x, self.tensor(weight), *([] if bias is None else [self.tensor(bias)])]
        return self.op("Conv", *given, pads=[padding] * 4)

    def conv2d(self, x: Node, layer: nn.Module) -> Node:
        """A layer that is an `nn.Conv2d`."""
        assert isinstance(layer, torch.nn.Conv2d)
        padding = layer.padding[0]
        assert isinstance(padding, int)
        return self.conv(x, layer.weight, layer.bias, padding=padding)

    def batch_norm(self, x: Node, layer: torch.nn.BatchNorm2d) -> Node:
        """Normalisation by the averages of training."""
        held = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
        given = [self.tensor(one) for one in held if one is not None]
        return self.op("BatchNormalization", x, *given, epsilon=layer.eps)

    def linear(self, x: Node, layer: torch.nn.Module) -> Node:
        """A layer that is an `nn.Linear`, of a vector."""
        assert isinstance(layer, torch.nn.Linear)
        product = self.op("MatMul", x, self.tensor(layer.weight.T))
        return self.add(product, self.tensor(layer.bias))

    def leaky(self, x: Node, slope: float = 0.2) -> Node:
        """Leaky rectifier."""
        return self.op("LeakyRelu", x, alpha=slope)

    def scaled(self, x: Node, factor: float) -> Node:
        """X times a number."""
        return self.op("Mul", x, self.constant(factor))

    def add(self, a: Node, b: Node) -> Node:
        """A + b."""
        return self.op("Add", a, b)

    def sub(self, a: Node, b: Node) -> Node:
        """A − b."""
        return self.op("Sub", a, b)

    def mul(self, a: Node, b: Node) -> Node:
        """A · b."""
        return self.op("Mul", a, b)

    def clamp(self, x: Node, low: float = 0.0, high: float = 1.0) -> Node:
        """Clamp to a range."""
        return self.op("Clip", x, self.constant(low), self.constant(high))

    def zeros_behind(self, x: Node, channels: int) -> Node:
        """Append channels of zeros."""
        return self.op("Pad", x, self.constant([0, 0, 0, 0, 0, channels, 0, 0], "int"))

    def finish(self, note: Mapping[str, Any], **outputs: Node) -> bytes:
        """The file.

        Args:
            note: How it is to be run, for `NOTE`.
            outputs: (1, C, H, W): what the graph gives, by name; `hr` is the restored image.
        """
        results = []
        for name, output in outputs.items():
            self._nodes.append(helper.make_node("Identity", [output], [name]))
            shape = [1, None, None, None]
            results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        graph = helper.make_graph(self._nodes, "restore", self._inputs, results, self._initialisers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="Refold",
        )
        helper.set_model_props(model, {NOTE: json.dumps(note, sort_keys=True)})
        data: bytes = model.SerializeToString(deterministic=True)
        return data

    def _name(self) -> Node:
        self._count += 1
        return f"v{self._count}"

    def _stored(self, array: np.ndarray[Any, np.dtype[Any]]) -> Node:
        key = repr((array.dtype.str, array.shape)).encode() + array.tobytes()
        if key not in self._constants:
            name = self._constants[key] = self._name()
            self._initialisers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return self._constants[key]
