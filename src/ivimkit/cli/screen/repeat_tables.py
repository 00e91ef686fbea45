"""The tables of ``ivimkit repeat``: repeatability and change of the maps of a region."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ivimkit import models
from ivimkit.cli.screen.terminal import plain_table
from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.parameter import Parameter
from ivimkit.rounding import NONE, change, in_unit, percent, rounded, shown_unit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["change_table", "repeat_table"]

_RC = 2.77
"""A repeatability coefficient in standard deviations within subjects."""


def repeat_table(rows: pd.DataFrame) -> Table:
    """Return the table of a region: rows of `ivimkit.quality.repeatability`, by map."""
    table = plain_table("map", "unit", "mean", "sd", "CV", "RC", "ICC (95 %)", "bias", left=2)
    for name, row in rows.iterrows():
        parameter = _parameter(str(name), row)
        mean, sd, rc, bias = (
            in_unit(parameter, float(row[key]), float(row["within_sd"]))
            for key in ("mean", "within_sd", "rc", "bias")
        )
        cells = (mean, sd, percent(float(row["within_cv"])), rc, _correlation(row), bias)
        table.add_row(str(name), shown_unit(parameter), *cells)
    return table


def change_table(rows: pd.DataFrame) -> Table:
    """Return the table of changes: rows of `ivimkit.quality.change`, by map."""
    table = plain_table("map", "unit", "before", "after", "change", "", "RC", "", left=2)
    for name, row in rows.iterrows():
        parameter = _parameter(str(name), row)
        before, after, difference, rc = (
            in_unit(parameter, float(row[key]), float(row["rc"]) / _RC)
            for key in ("before", "after", "difference", "rc")
        )
        relative = change(float(row["ratio"]))
        real = bool(row["significant"])
        verdict = Text("significant", style="bold") if real else Text("within RC", style="dim")
        table.add_row(
            str(name), shown_unit(parameter), before, after, difference, relative, rc, verdict
        )
    return table


def _correlation(row: pd.Series[Any]) -> str:
    icc, low, high = (float(row[key]) for key in ("icc", "icc_lo", "icc_hi"))
    ends = ", ".join(rounded(end, _ICC) for end in (low, high))
    return f"{rounded(icc, _ICC)} ({ends})" if math.isfinite(icc) else NONE


_ICC = 0.1
"""Rounding to two decimals."""


def _parameter(name: str, row: pd.Series[Any]) -> Parameter:
    """Return the description of a map; for an unknown one, with the unit of the table."""
    try:
        return describe(name, models.quantities())
    except OptionError:
        return Parameter(name, name, str(row["unit"]), -math.inf, math.inf, 0.0)
