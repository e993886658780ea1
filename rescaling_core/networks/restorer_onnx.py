"""A restorer as an ONNX graph, for archives that outlive this software."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from rescaling_core.networks.restorer import AROUND, BLOCK, CONTRAST, SLOPE, by_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from rescaling_core.networks.graph import Graph, Node
    from rescaling_core.networks.restorer import Restorer

_CHANNELS: Final = 3


def restoring_graph(restorer: Restorer, final: Restorer | None = None) -> bytes:
    """Write the same as `Restorer.forward`.

    The inputs are `pictures` (1, 3 · pictures, H, W) in [0, 1], and `told` (1, 2 · pictures) and
    `gain` (1,), which `Restorer.conditions` makes of the qualities; the output is `hr`. The note
    holds what is needed to make them: the errors to expect, and the fold and halo for cutting
    tiles. A final filter lies beside it, with inputs and an output of its own, whose names begin
    with `final_`; a run of either feeds the inputs of the other with anything.

    Args:
        restorer: What corrects or enlarges the decoded picture.
        final: The filter of the sum with a residual.
    """
    from rescaling_core.networks.graph import Graph  # `onnx` takes half a second

    g = Graph()
    outputs = {"hr": _restored(g, restorer, "")}
    note = _note(restorer)
    if final is not None:
        outputs["final_hr"] = _restored(g, final, "final_")
        note["final"] = _note(final)
    return g.finish(note, **outputs)


def _note(restorer: Restorer) -> dict[str, Any]:
    return {
        "kind": "restorer",
        "scale": restorer.scale,
        "pictures": restorer.pictures,
        "fold": restorer.fold,
        "halo": restorer.halo,
        "errors": [[list(knot) for knot in table] for table in restorer.errors],
    }


def _restored(g: Graph, restorer: Restorer, prefix: str) -> Node:
    """One network, its inputs under names that begin with `prefix`."""
    pictures = g.input(prefix + "pictures", [1, _CHANNELS * restorer.pictures, None, None])
    told = g.input(prefix + "told", [1, 2 * restorer.pictures])
    gain = g.op("Reshape", g.input(prefix + "gain", [1]), g.constant([1, 1, 1, 1], "int"))
    each = g.split(pictures, *[_CHANNELS] * restorer.pictures)
    parts: list[Node] = []
    for one in each:
        means, details = _analysed(g, restorer, one)
        parts += [means, g.mul(details, g.op("Div", g.constant(CONTRAST), gain))]
    everywhere = g.scaled(g.split(parts[0], 1, _CHANNELS - 1)[0], 0.0)
    told = g.op("Reshape", told, g.constant([1, 2 * restorer.pictures, 1, 1], "int"))
    x = g.leaky(g.conv2d(g.join(*parts, g.add(everywhere, told)), restorer.head), SLOPE)
    for first, second in by_pairs(restorer.body):
        x = g.add(x, g.conv2d(g.leaky(g.conv2d(x, first), SLOPE), second))
    last = g.conv2d(x, restorer.luma)
    if restorer.colours is not None:
        last = g.join(last, g.conv2d(x, restorer.colours))
    correction = g.mul(_shuffled(g, last), gain)
    if restorer.colours is not None:
        correction = _mixed(g, correction, cast("Tensor", restorer.to_rgb))
    base = each[-1] if restorer.scale == 1 else _enlarged(g, restorer, each[-1])
    return g.add(base, correction)


def _analysed(g: Graph, restorer: Restorer, picture: Node) -> tuple[Node, Node]:
    """See `Restorer._analysed`."""
    centred = g.sub(picture, g.constant(0.5))
    means = _mixed(g, centred, cast("Tensor", restorer.to_ycbcr))
    details: list[Node] = []
    if restorer.fold > 1:
        kernels = g.tensor(cast("Tensor", restorer.haar).repeat(_CHANNELS, 1, 1, 1))
        bands = g.op("Conv", means, kernels, group=_CHANNELS, strides=[BLOCK, BLOCK])
        mean_at = range(0, _CHANNELS * BLOCK**2, BLOCK**2)
        rest = [i for i in range(_CHANNELS * BLOCK**2) if i not in mean_at]
        means = g.op("Gather", bands, g.constant(list(mean_at), "int"), axis=1)
        details = [g.op("Gather", bands, g.constant(rest, "int"), axis=1)]
    around = g.op(
        "AveragePool",
        means,
        kernel_shape=[AROUND, AROUND],
        pads=[AROUND // 2] * 4,
        count_include_pad=0,
    )
    return means, g.join(g.sub(means, around), *details)


def _enlarged(g: Graph, restorer: Restorer, picture: Node) -> Node:
    """See `Restorer._enlarged`."""
    pads = g.constant([0, 0, 2, 2, 0, 0, 2, 2], "int")
    padded = g.op("Pad", picture, pads, mode="edge")
    kernels = g.tensor(cast("Tensor", restorer.cubic).repeat(_CHANNELS, 1, 1, 1))
    return _shuffled(g, g.op("Conv", padded, kernels, group=_CHANNELS))


def _mixed(g: Graph, x: Node, matrix: Tensor) -> Node:
    return g.conv(x, matrix[:, :, None, None])


def _shuffled(g: Graph, x: Node) -> Node:
    """Pixel shuffle."""
    return g.op("DepthToSpace", x, blocksize=BLOCK, mode="CRD")
