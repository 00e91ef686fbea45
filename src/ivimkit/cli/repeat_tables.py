"""The tables of ``ivimkit repeat``: repeatability and change of the maps of a region."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ivimkit import models
from ivimkit.cli.screen import plain_table
from ivimkit.derived import describe
from ivimkit.errors import OptionError
from ivimkit.parameter import Parameter
from ivimkit.rounding import change, in_unit, shown_unit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["change_table", "repeat_table"]


def repeat_table(rows: pd.DataFrame) -> Table:
    """Return the table of a region: rows of `ivimkit.quality.repeatability`, by map."""
    table = plain_table("map", "unit", "mean", "sd", "CV", "RC", "ICC (95 %)", "bias", left=2)
    for name, row in rows.iterrows():
        parameter = _parameter(str(name), row)
        mean, sd, rc, bias = (
            in_unit(parameter, float(row[key]), 3) for key in ("mean", "within_sd", "rc", "bias")
        )
        cv = float(row["within_cv"])
        shown_cv = f"{100 * cv:.1f} %" if math.isfinite(cv) else "–"
        cells = (mean, sd, shown_cv, rc, _correlation(row), bias)
        table.add_row(str(name), shown_unit(parameter), *cells)
    return table


def change_table(rows: pd.DataFrame) -> Table:
    """Return the table of changes: rows of `ivimkit.quality.change`, by map."""
    table = plain_table("map", "unit", "before", "after", "change", "", "RC", "", left=2)
    for name, row in rows.iterrows():
        parameter = _parameter(str(name), row)
        before, after, difference, rc = (
            in_unit(parameter, float(row[key]), 3)
            for key in ("before", "after", "difference", "rc")
        )
        percent = change(float(row["ratio"]))
        real = bool(row["significant"])
        verdict = Text("significant", style="bold") if real else Text("within RC", style="dim")
        table.add_row(
            str(name), shown_unit(parameter), before, after, difference, percent, rc, verdict
        )
    return table


def _correlation(row: pd.Series[Any]) -> str:
    icc, low, high = (float(row[key]) for key in ("icc", "icc_lo", "icc_hi"))
    return f"{icc:.2f} ({low:.2f}, {high:.2f})" if math.isfinite(icc) else "–"


def _parameter(name: str, row: pd.Series[Any]) -> Parameter:
    """Return the description of a map; of one that is not ours, with the unit of the table."""
    try:
        return describe(name, models.get("biexp").parameters)
    except OptionError:
        return Parameter(name, name, str(row["unit"]), -math.inf, math.inf, 0.0)
