"""The tables of ``ivimkit roi``: a region's maps, its status, a lesion's comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ivimkit.cli.progress import spaced
from ivimkit.cli.quantity import percent_change, shown_number, shown_unit, significant
from ivimkit.cli.screen import plain_table
from ivimkit.derived import describe
from ivimkit.parameter import Parameter

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "comparison_table",
    "mean_fit_line",
    "region_heading",
    "region_table",
    "status_line",
]

_EXTENT = ("voxels", "volume_ml", "diameter_mm")


def region_heading(name: str, row: pd.Series[Any]) -> Text:
    """Return name and size of a region, from its row of `ivimkit.quality.roi_status`."""
    diameter = float(row["diameter_mm"])
    size = f"{spaced(float(row['voxels']))} voxels, {significant(float(row['volume_ml']), 3)} ml"
    if math.isfinite(diameter):
        size += f", largest diameter {significant(diameter, 3)} mm"
    return Text.assemble((name, "bold"), f"  {size}")


def region_table(rows: pd.DataFrame, parameters: Sequence[Parameter]) -> Table:
    """Return the table of a region: rows of `ivimkit.quality.roi_table`, by map."""
    fitted = ["mean signal"] if "roi_fit" in rows else []
    table = plain_table("map", "unit", "mean", "sd", "median", "25 %", "75 %", *fitted, left=2)
    for name, row in rows.iterrows():
        parameter = describe(str(name), parameters)
        cells = [
            shown_number(parameter, float(row[key]))
            for key in ("mean", "sd", "median", "q25", "q75")
        ]
        if fitted:
            cells.append(_with_sd(parameter, float(row["roi_fit"]), float(row["roi_fit_sd"])))
        table.add_row(str(name), shown_unit(parameter), *cells)
    return table


def status_line(row: pd.Series[Any]) -> str:
    """Return the counts of a region's status flags, those that occur."""
    counts = [(str(name), float(value)) for name, value in row.items() if name not in _EXTENT]
    return ", ".join(f"{name} {spaced(value)}" for name, value in counts if value)


def mean_fit_line(rows: pd.DataFrame) -> str:
    """Return the status of the fit of a region's mean signal; empty where there is none to tell.

    The rows are those of `ivimkit.quality.roi_table`, by map.
    """
    found = str(rows["roi_fit_status"].iloc[0]) if "roi_fit_status" in rows else "OK"
    return "" if found == "OK" else f"mean signal: {', '.join(found.split())}"


def comparison_table(comparison: pd.DataFrame, parameters: Sequence[Parameter]) -> Table:
    """Return the table of a lesion against its surroundings, from `compare_regions`."""
    table = plain_table(
        "map", "unit", "lesion", "ref.", "diff.", "CNR", "g (95 %)", "AUC", "p", left=2
    )
    for name, row in comparison.iterrows():
        parameter = describe(str(name), parameters)
        means = (
            shown_number(parameter, float(row[f"{which}_mean"]), 3)
            for which in ("lesion", "reference")
        )
        table.add_row(
            str(name),
            shown_unit(parameter),
            *means,
            percent_change(float(row["ratio"])),
            significant(float(row["cnr"]), 2),
            _effect(row),
            f"{float(row['auc']):.2f}",
            _p(float(row["p"])),
        )
    return table


def _with_sd(parameter: Parameter, value: float, sd: float) -> str:
    number = shown_number(parameter, value, 3)
    return f"{number} ± {shown_number(parameter, sd, 2)}" if math.isfinite(sd) else number


def _effect(row: pd.Series[Any]) -> str:
    g, low, high = (float(row[key]) for key in ("g", "g_lo", "g_hi"))
    return f"{g:.1f} ({low:.1f}, {high:.1f})" if math.isfinite(g) else "–"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
