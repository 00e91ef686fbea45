"""The tables of ``ivimkit roi``: a region's maps, its status, a lesion's comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ivimkit.cli.screen.terminal import plain_table
from ivimkit.extend.derived_maps import describe
from ivimkit.extend.signal_model import SignalModel
from ivimkit.quality.table_cells import contrast_cells, region_cells
from ivimkit.rounding import NONE, rounded, shown_unit, thousands
from ivimkit.status import in_words

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.quality import Disagreement

__all__ = [
    "comparison_table",
    "mean_fit_lines",
    "region_heading",
    "region_table",
    "status_line",
]

_EXTENT = ("voxels", "volume_ml", "diameter_mm")


def region_heading(name: str, row: pd.Series[Any]) -> Text:
    """Return name and size of a region, from its row of `ivimkit.quality.roi_status`."""
    diameter = float(row["diameter_mm"])
    size = f"{thousands(float(row['voxels']))} voxels, {rounded(float(row['volume_ml']))} ml"
    if math.isfinite(diameter):
        size += f", largest diameter {rounded(diameter)} mm"
    return Text.assemble((name, "bold"), f"  {size}")


def region_table(rows: pd.DataFrame, model: SignalModel) -> Table:
    """Return the table of a region: rows of `ivimkit.quality.roi_table`, by map."""
    fitted = ["mean signal"] if "roi_fit" in rows else []
    heads = ("mean", "sd", "median", "25 %", "75 %", "reliable")
    table = plain_table("map", "unit", *heads, *fitted, left=2)
    # Nine columns in 80: one blank between them.
    table.padding = (0, 1, 0, 0)
    for name, row in rows.iterrows():
        parameter = describe(str(name), model.quantities)
        cells = region_cells(parameter, row)
        keys = ("mean", "sd", "median", "q25", "q75", "reliable", *(["fit"] if fitted else []))
        table.add_row(str(name), shown_unit(parameter), *(cells[key] for key in keys))
    return table


def status_line(row: pd.Series[Any], model: SignalModel) -> str:
    """Return how many voxels of a region have each status flag, flags that occur only."""
    counts = [(str(name), float(value)) for name, value in row.items() if name not in _EXTENT]
    named = ((in_words(name, model), value) for name, value in counts if value)
    return f"voxels: {', '.join(f'{words} {thousands(value)}' for words, value in named)}"


def mean_fit_lines(
    rows: pd.DataFrame, model: SignalModel, disagreeing: Sequence[Disagreement]
) -> list[str]:
    """Return notes on the fit of a region's mean signal; empty if there are none.

    Parameters
    ----------
    rows : pandas.DataFrame
        Those of `ivimkit.quality.roi_table`, by map.
    model : SignalModel
        The fitted model.
    disagreeing : sequence of Disagreement
        Maps of the region in which its voxels disagree.
    """
    lines = []
    status = str(rows["roi_fit_status"].iloc[0]) if "roi_fit_status" in rows else "OK"
    if status != "OK":
        lines.append(f"mean signal: {', '.join(in_words(flag, model) for flag in status.split())}")
    if disagreeing:
        said = "; ".join(one.sentence for one in disagreeing)
        lines.append(f"voxels and mean signal disagree: {said}")
    return lines


def comparison_table(comparison: pd.DataFrame, model: SignalModel) -> Table:
    """Return the table of a lesion against its surroundings, from `compare_regions`."""
    table = plain_table(
        "map", "unit", "lesion", "ref.", "diff.", "CNR", "g (95 %)", "AUC", "p", left=2
    )
    for name, row in comparison.iterrows():
        parameter = describe(str(name), model.quantities)
        cells = contrast_cells(parameter, row)
        keys = ("lesion_mean", "reference_mean", "change", "cnr")
        table.add_row(
            str(name),
            shown_unit(parameter),
            *(cells[key] for key in keys),
            _effect(cells),
            *(cells[key] for key in ("auc", "p")),
        )
    return table


def _effect(cells: Mapping[str, str]) -> str:
    if cells["g"] == NONE:
        return NONE
    return f"{cells['g']} ({cells['g_lo']}, {cells['g_hi']})"
