"""The tables of ``ivimkit demo``: errors per tissue and method, lesion against liver."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ivimkit import models
from ivimkit.cli.screen.terminal import plain_table
from ivimkit.extend.derived_maps import describe
from ivimkit.fitting.adc import ADC
from ivimkit.parameter import Parameter
from ivimkit.rounding import in_unit, plus_minus, rounded, shown_unit, thousands
from ivimkit.simulate import Phantom

__all__ = ["error_tables", "lesion_table"]

_SHOWN = ("lesion_mean", "lesion_sd", "reference_mean", "reference_sd", "ratio", "separation")
_PERCENT = 1.0
"""Rounding to a tenth."""
_SEPARATION = 0.1
"""Rounding to two decimals."""


def error_tables(errors: pd.DataFrame, methods: Sequence[str]) -> Iterator[RenderableType]:
    """Yield, per map, a title and a table of errors.

    Parameters
    ----------
    errors : pandas.DataFrame
        What `ivimkit.quality.error_table` returned.
    methods : sequence of str
        The methods, in the order of columns.
    """
    for name in errors.index.unique("map"):
        rows = errors[errors.index.get_level_values("map") == name].droplevel("map")
        parameter = describe(str(name), models.quantities())
        unit = shown_unit(parameter)
        truth = f"truth in {unit}; " if unit else ""
        yield Text(
            f"\n{parameter.symbol}: {truth}bias and median of |error| in % of the truth",
            style="bold",
        )
        yield _error_table(rows, parameter, methods)


def _error_table(errors: pd.DataFrame, parameter: Parameter, methods: Sequence[str]) -> Table:
    table = plain_table("tissue", "voxels", "truth", *methods)
    for tissue in errors.index.unique("tissue"):
        rows = errors.loc[tissue]
        first = rows.iloc[0]
        truth = in_unit(parameter, float(first["truth"]))
        cells = (_error(rows.loc[method]) for method in methods)
        table.add_row(str(tissue), thousands(float(first["n"])), truth, *cells)
    return table


def _error(row: pd.Series[Any]) -> str:
    bias = 100 * float(row["bias"]) / float(row["truth"])
    error = rounded(100 * float(row["median_relative_error"]), _PERCENT)
    return f"{'+' if bias > 0 else ''}{rounded(bias, _PERCENT)} {error:>6}"


def lesion_table(lesions: Mapping[str, pd.DataFrame], made: Phantom) -> Table:
    """Return a table of the lesion and its surroundings, per map and method.

    Parameters
    ----------
    lesions : mapping of str to pandas.DataFrame
        What `ivimkit.quality.compare_regions` returned, by method.
    made : Phantom
        Knows the truth.
    """
    table = plain_table("map", "method", "lesion", "liver around", "ratio", "separation", left=2)
    names = next(iter(lesions.values())).index
    for name in names:
        parameter = describe(str(name), models.quantities())
        rows = _lesion_rows(str(name), parameter, lesions, made)
        for number, cells in enumerate(rows):
            table.add_row("" if number else _title(parameter), *cells)
    return table


def _lesion_rows(
    name: str, parameter: Parameter, lesions: Mapping[str, pd.DataFrame], made: Phantom
) -> Iterator[tuple[str, ...]]:
    truth = {tissue.name: tissue.value(name) for tissue in made.tissues}
    lesion, liver = float(truth["lesion"]), float(truth["liver"])
    if math.isfinite(lesion):
        ends = (in_unit(parameter, value) for value in (lesion, liver))
        yield "truth", *ends, rounded(lesion / liver), ""
    for method, table in lesions.items():
        row = {key: float(table[key][name]) for key in _SHOWN}
        yield (
            # All fits have the same ADC.
            ADC.method.name if name == "ADC" else method,
            plus_minus(parameter, row["lesion_mean"], row["lesion_sd"]),
            plus_minus(parameter, row["reference_mean"], row["reference_sd"]),
            rounded(row["ratio"]),
            rounded(row["separation"], _SEPARATION),
        )
        if name == "ADC":
            return


def _title(parameter: Parameter) -> str:
    unit = shown_unit(parameter)
    return f"{parameter.symbol} ({unit})" if unit else parameter.symbol
