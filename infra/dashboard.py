"""The dashboard without Grafana: `python -m infra.dashboard http://127.0.0.1:9090 dashboard.svg`.

Every panel of infra/grafana/dashboards/refold.json is asked of Prometheus and drawn, with the same
queries, titles and units, into one picture.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

DASHBOARD: Final = Path(__file__).parent / "grafana" / "dashboards" / "refold.json"
COLUMNS: Final = 2
POINTS: Final = 240
"""Of each line."""
PATIENCE: Final = 30
"""Seconds for one query."""
LABEL: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
PREFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Line:
    """What one query found for one set of labels."""

    name: str
    times: Sequence[float]
    """Seconds since 1970."""
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the dashboard, with what it shows."""

    title: str
    unit: str
    """As Grafana names it; empty for plain numbers."""
    lines: Sequence[Line]


def main() -> None:
    """Draw the last minutes or hours."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("prometheus", help="its address, such as http://127.0.0.1:9090")
    parser.add_argument("out", type=Path, help="an SVG file")
    parser.add_argument("--minutes", type=float, default=60.0, help="until now (default 60)")
    arguments = parser.parse_args()
    end = time.time()
    try:
        panels = read(arguments.prometheus, end - 60 * arguments.minutes, end)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{arguments.prometheus}: {error}\n")
    draw(panels, arguments.out)


def read(url: str, start: float, end: float) -> list[Panel]:
    """Ask for all panels.

    Args:
        url: Of Prometheus.
        start: Of what is shown, in seconds since 1970.
        end: Its end.

    Raises:
        ValueError: Prometheus refuses a query; the message names the panel.
        OSError: It does not answer.
    """
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = []
    for panel in board["panels"]:
        lines = []
        for target in panel["targets"]:
            try:
                lines += _ask(url, target, start, end)
            except ValueError as error:
                raise ValueError(f"panel {panel['title']!r}: {error}") from error
        unit = panel["fieldConfig"]["defaults"].get("unit", "")
        panels.append(Panel(panel["title"], unit, lines))
    return panels


def _ask(url: str, target: Mapping[str, str], start: float, end: float) -> list[Line]:
    asked = {
        "query": target["expr"], "start": start, "end": end, "step": (end - start) / POINTS
    }  # fmt: skip
    address = f"{url.rstrip('/')}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:  # noqa: S310 - the caller's
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise ValueError(error.read().decode(errors="replace")[:500]) from error
    return [_line(one, target.get("legendFormat", "")) for one in found["data"]["result"]]


def _line(series: Mapping[str, Any], legend: str) -> Line:
    labels: Mapping[str, str] = series["metric"]
    name = LABEL.sub(lambda mark: labels.get(mark[1], ""), legend)
    times, values = zip(*series["values"], strict=True)
    return Line(name, [float(one) for one in times], [float(one) for one in values])


def draw(panels: Sequence[Panel], out: Path) -> None:
    """Draw panels below one another, two in a row.

    Args:
        panels: In the dashboard's order; one without lines says that there are none.
        out: The SVG file.
    """
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(6.4 * COLUMNS, 2.1 * rows), layout="constrained")
    places = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for axes, panel in zip(places, panels, strict=False):
        _draw_panel(axes, panel)
    for axes in list(places)[len(panels) :]:
        axes.set_axis_off()
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9)
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, linewidth=0.3)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: in_unit(value, panel.unit)))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S", tz=UTC))
    for line in panel.lines:
        moments = [datetime.fromtimestamp(one, UTC) for one in line.times]
        axes.plot(moments, line.values, linewidth=1.2, label=line.name or None)  # type: ignore[arg-type]
    if any(line.name for line in panel.lines):
        axes.legend(fontsize=7, loc="best", frameon=False)
    if not panel.lines:
        axes.text(0.5, 0.5, "nothing counted", ha="center", transform=axes.transAxes, fontsize=8)
    axes.set_ylim(bottom=0)


def in_unit(value: float, unit: str) -> str:
    """A value as Grafana would write it: `12 %`, `3.5 kB/s`, `0.25 s`."""
    if unit == "percentunit":
        return f"{100 * value:g} %"
    if unit == "s":
        return f"{value:g} s"
    suffix = {"Bps": "B/s", "bytes": "B", "decbytes": "B", "reqps": "/s"}.get(unit, "")
    for factor, prefix in PREFIXES:
        if abs(value) >= factor:
            return f"{value / factor:g} {prefix}{suffix}"
    return f"{value:g} {suffix}".rstrip()


if __name__ == "__main__":
    main()
