"""The figures of a report, as SVG that stands inside a page and takes on its colours."""

from __future__ import annotations

import io
import re
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasks.jobs.report.distribution import Distribution, PointSample

_INK: Final = "#010203"
"""Placeholder for the text colour of the page, which a figure does not know."""
_BARS: Final = "#3b82b4"
_MARK: Final = "#d9622b"
"""Colour of marks and bars that is visible on white and on black."""

_STYLE: Final[Any] = {  # of a key type that only stubs of matplotlib spell out
    "svg.fonttype": "none",  # text stays text: selectable, and in the page's own font
    "svg.hashsalt": "refold",  # equal figures, equal SVG
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
    ),
}

_SIZE: Final = (4.8, 2.9)
"""Width and height in inches; the page scales the figure."""

_MOST_BARS: Final = 60

_TICKS: Final = 6
"""Intervals between labels across: labels such as 0.9875 then have room beside each other."""


def histogram(
    measured: Distribution, *, label: str, width: float, floor: float | None = None
) -> str:
    """Draw how many renditions reached which value.

    Args:
        measured: At least one finite value.
        label: Of the values, with their unit.
        width: Of a bar at least.
        floor: What had to be reached; drawn as a line.

    Returns:
        An SVG element.
    """
    edges, counts = measured.bars(most=_MOST_BARS, width=width)
    with mpl.rc_context(_STYLE):
        figure, axes = _panel()
        axes.bar(edges[:-1], counts, edges[1:] - edges[:-1], align="edge", color=_BARS)
        if floor is not None:
            axes.axvline(floor, color=_MARK, linewidth=2, label=f"floor {floor:g}")
            axes.legend(frameon=False)
        axes.set(xlabel=label, ylabel="renditions")
        axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        return _svg(figure)


def scatter(sample: PointSample, *, floor: float | None = None) -> str:
    """Draw bytes a pixel against PSNR-Y, a point for each rendition of a sample.

    Args:
        sample: At least one point; x in bytes of the LR object a pixel of the HR image, y in dB.
        floor: What had to be reached, in dB; drawn as a line.

    Returns:
        An SVG element.
    """
    x, y = sample.points.T
    with mpl.rc_context(_STYLE):
        figure, axes = _panel()
        axes.scatter(x, y, s=24, color=_BARS, alpha=0.8, linewidths=0)
        if floor is not None:
            axes.axhline(floor, color=_MARK, linewidth=2, label=f"floor {floor:g} dB")
            axes.legend(frameon=False)
        axes.set(xlabel="bytes a pixel of the HR image", ylabel="PSNR-Y, dB")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
        return _svg(figure)


def _panel() -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    # Groups are named alike in every figure, and a page must not have a name twice.
    nameless = re.sub(r'<g id="[^"]*"', "<g", text[text.index("<svg") :])
    return nameless.replace(_INK, "currentColor")
