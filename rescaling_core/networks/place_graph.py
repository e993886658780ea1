"""Where a part of an image lies, as nodes of a graph: inputs of the ONNX files of two families."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rescaling_core.networks.graph import Graph, Node

NUMBERS: Final = ("given", "first", "stop", "length", "result")
"""What the inputs `rows` and `columns` hold. Of the LR image: the first row given, and how many
there are in all (`length`). Of the HR image: the first row asked for, the row behind the last, and
how many there are in all (`result`)."""

_FLOAT: Final = 1
_DOUBLE: Final = 11


@dataclass(frozen=True)
class Axis:
    """Rows, or columns, of the part that is made: one pixel more on each side than asked for."""

    grid: Node
    """(n,), double: where the pixels lie in what is given, from -1 to 1."""
    phases: Node
    """(n,), double: where they lie within an LR pixel."""
    step: Node
    """(1,), double: from one LR pixel to the next on the grid."""
    count: Node
    """(1,): n."""
    cut: tuple[Node, Node]
    """(1,) each: the first pixel asked for, and the one behind the last, among the n."""


@dataclass(frozen=True)
class Place:
    """Scale and place of a part, as `AIDN.upscale_part` computes with them."""

    scale: Node
    """(1,), double."""
    inverse_scale: Node
    """(2,): 1/scale, twice."""
    sides: tuple[dict[str, Node], dict[str, Node]]
    """Of rows and of columns: `NUMBERS`, each (1,)."""

    @classmethod
    def inputs(cls, g: Graph) -> Place:
        """Declare the inputs `scale`, `rows` and `columns`."""
        scale = g.input("scale", [1], "double")
        sides = []
        for name in ("rows", "columns"):
            given = g.input(name, [len(NUMBERS)], "int")
            parts = g.ops("Split", len(NUMBERS), given, axis=0, num_outputs=len(NUMBERS))
            sides.append(dict(zip(NUMBERS, parts, strict=True)))
        inverse = g.op("Cast", g.op("Reciprocal", scale), to=_FLOAT)
        return cls(scale, g.op("Concat", inverse, inverse, axis=0), (sides[0], sides[1]))

    def axes(self, g: Graph, x: Node, *, aligned: bool) -> tuple[Axis, Axis]:
        """Both axes of features `x`, which lie where the LR image that is given does."""
        shape = g.op("Shape", x)
        rows, columns = (
            self._axis(g, g.op("Gather", shape, g.constant([at], "int")), side, aligned=aligned)
            for at, side in zip((2, 3), self.sides, strict=True)
        )
        return rows, columns

    def _axis(self, g: Graph, given: Node, side: dict[str, Node], *, aligned: bool) -> Axis:
        """See `Resampling._positions`, which this repeats in double throughout."""

        def number(value: float) -> Node:
            return g.constant([value], "double")

        def double(node: Node) -> Node:
            return g.op("Cast", node, to=_DOUBLE)

        one = g.constant([1], "int")
        first = g.op("Max", g.sub(side["first"], one), g.constant([0], "int"))
        stop = g.op("Min", g.add(side["stop"], one), side["result"])
        scalar = g.constant([], "int")
        span = [g.op("Reshape", end, scalar) for end in (first, stop)]
        pixels = double(g.op("Range", *span, g.constant(1, "int")))
        c = g.op("Div", g.add(pixels, number(0.5)), self.scale)
        phases = g.sub(g.sub(c, g.op("Floor", g.add(c, number(1e-3)))), number(0.5))
        length, seen, start = double(side["length"]), double(given), double(side["given"])
        spaces = g.op("Max", g.sub(length, number(1.0)), number(1.0))
        if aligned:
            grid = g.sub(g.op("Div", g.mul(c, number(2.0)), length), number(1.0))
        else:
            # Of a single pixel there is one place to sample at, 0.
            many = g.op("Min", g.sub(length, number(1.0)), number(1.0))
            whole = g.op("Div", g.mul(g.sub(c, number(0.5)), number(2.0)), spaces)
            grid = g.mul(g.sub(whole, number(1.0)), many)
        moved = g.sub(g.mul(g.add(grid, number(1.0)), length), g.mul(start, number(2.0)))
        grid = g.sub(g.op("Div", moved, seen), number(1.0))
        step = g.op("Div", g.mul(g.op("Div", number(2.0), spaces), length), seen)
        cut = (g.sub(side["first"], first), g.sub(side["stop"], first))
        return Axis(grid, phases, step, g.sub(stop, first), cut)

    def grid(self, g: Graph, rows: Axis, columns: Axis) -> Node:
        """(1, n, m, 2): where to sample, across first."""
        shape = g.op("Concat", rows.count, columns.count, axis=0)
        down = g.op("Expand", g.op("Unsqueeze", rows.grid, g.constant([1], "int")), shape)
        across = g.op("Expand", columns.grid, shape)
        last = g.constant([2], "int")
        both = g.op(
            "Concat", g.op("Unsqueeze", across, last), g.op("Unsqueeze", down, last), axis=2
        )
        whole = g.op("Unsqueeze", both, g.constant([0], "int"))
        return g.op("Cast", whole, to=_FLOAT)

    def condition(self, g: Graph, rows: Axis, columns: Axis) -> Node:
        """(1, 4, n, m): 1/scale twice, then the phases down and across."""
        shape = g.op("Concat", g.constant([1, 1], "int"), rows.count, columns.count, axis=0)
        inverse = g.op("Reciprocal", self.scale)
        down = g.op("Unsqueeze", rows.phases, g.constant([1], "int"))
        planes = [g.op("Expand", one, shape) for one in (inverse, inverse, down, columns.phases)]
        return g.op("Cast", g.join(*planes), to=_FLOAT)

    def steps(self, g: Graph, rows: Axis, columns: Axis) -> Node:
        """(2,): of a learned offset of one pixel, across and down."""
        both = g.op("Concat", columns.step, rows.step, axis=0)
        return g.op("Cast", both, to=_FLOAT)

    def asked_of(self, g: Graph, x: Node, rows: Axis, columns: Axis) -> Node:
        """What was asked for of what was made."""
        starts, stops = (g.op("Concat", rows.cut[end], columns.cut[end], axis=0) for end in (0, 1))
        return g.op("Slice", x, starts, stops, g.constant([2, 3], "int"))
