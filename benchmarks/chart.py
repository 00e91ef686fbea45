"""Charts of records as PNG files, colour-blind-safe."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

__all__ = ["chart_file", "draw_chart"]

# Okabe and Ito, doi:10.1038/nmeth.1618, without the yellow, which is too light for lines.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LIMIT = "limit"
_PALETTE = 64


def chart_file(record: dict[str, Any], chart: dict[str, Any]) -> str:
    """Return the name of the file of a chart."""
    return f"{record['name']}-{chart['name']}.png"


def draw_chart(chart: dict[str, Any], path: Path) -> None:
    """Draw a chart of a record.

    Parameters
    ----------
    chart : dict
        A `benchmarks.figure.Chart` as it is in a record.
    path : Path
        The PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, NullLocator
    from PIL import Image

    panels, columns = chart["panels"], chart["columns"]
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.5 * rows + 1.5), layout="constrained")
    FigureCanvasAgg(figure)
    styles = _styles(panels)
    entries: dict[str, Any] = {}
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.set(title=panel["title"], ylabel=panel["y_label"], xscale="log", yscale="log")
        axes.set_xlabel(chart["x_label"])
        axes.margins(0.08)
        axes.grid(which="major", color="0.88", linewidth=0.8)
        axes.set_axisbelow(True)
        for series in panel["series"]:
            x, y, style = series["x"], series["y"], styles[series["label"]]
            if series["group"] == _LIMIT and len(x) < 2:
                line = axes.axhline(y[0], **style)
            else:
                (line,) = axes.plot(x, y, **style)
            entries.setdefault(series["label"], line)
        if chart["ticks"]:
            axes.set_xticks(chart["ticks"], [f"{tick:g}" for tick in chart["ticks"]])
            axes.xaxis.set_minor_locator(NullLocator())
        _label_y(axes, NullFormatter())
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        entries.values(), entries.keys(), loc="outside lower center", ncols=5, frameon=False
    )
    drawn = BytesIO()
    figure.savefig(drawn, dpi=120)
    # A palette: a quarter of the bytes, without a visible difference.
    Image.open(drawn).convert("RGB").quantize(_PALETTE).save(path, optimize=True)


def _styles(panels: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return line and marker of each label: a colour per group, a marker within it."""
    groups: dict[str, list[str]] = {}
    for panel in panels:
        for series in panel["series"]:
            labels = groups.setdefault(series["group"], [])
            if series["label"] not in labels:
                labels.append(series["label"])
    styles = {label: {"color": "black", "ls": "--"} for label in groups.pop(_LIMIT, [])}
    for number, labels in enumerate(groups.values()):
        for place, label in enumerate(labels):
            styles[label] = {
                "color": _COLOURS[number % len(_COLOURS)],
                "marker": _MARKERS[place % len(_MARKERS)],
                "markersize": 6,
                "markeredgecolor": "white",
                "markeredgewidth": 0.6,
                "linewidth": 1.3,
                "ls": ("-", ":", "-.")[place % 3],
            }
    return styles


def _label_y(axes: Any, nothing: Any) -> None:
    """Label a logarithmic axis in plain numbers, at 1, 2, 3 and 5 of each decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(nothing)
