"""Cells of tables of regions as text: one precision for the terminal and the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ivimkit.parameter import Parameter
from ivimkit.rounding import (
    NONE,
    change,
    in_unit,
    limits,
    plus_minus,
    probability,
    rounded,
    thousands,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["contrast_cells", "region_cells"]

_MIN_R2_SPREAD = 1e-3
"""R² to at most four decimals; five say nothing."""

_AUC_ERROR = 0.1
"""Two decimals, already more than dependent voxels justify."""

_NUMBERS = ("mean", "sd", "median", "q25", "q75", "p5", "p95")


def region_cells(parameter: Parameter, row: pd.Series[Any]) -> dict[str, str]:
    """Write a row of `ivimkit.quality.roi_table`, its numbers to the precision of their spread.

    Parameters
    ----------
    parameter : Parameter
        Describes the map.
    row : pandas.Series
        The row of a region and a map.

    Returns
    -------
    dict of str to str
        ``mean``, ``sd``, ``median``, ``q25``, ``q75``, ``p5``, ``p95`` and ``reliable``;
        ``fit``, with its error, and ``fit_limits`` of the mean signal, dashes without one.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.quality.table_cells import region_cells
    >>> made = ik.simulate.phantom(shape=(32, 24, 2))
    >>> table = ik.quality.roi_table(ik.fit(made.dwi), made.labels == 1, maps=["D"])
    >>> cells = region_cells(ik.models.get("biexp")["D"], table.iloc[0])
    >>> cells["mean"], cells["fit"]
    ('1.11', '1.1073 ± 0.0058')
    """
    sd = float(row["sd"])
    spread = max(sd, _MIN_R2_SPREAD) if parameter.name == "r2" else sd
    cells = {key: in_unit(parameter, float(row[key]), spread) for key in _NUMBERS}
    cells["reliable"] = thousands(float(row["reliable"]))
    if "roi_fit" not in row:
        return {**cells, "fit": NONE, "fit_limits": NONE}
    value, error = float(row["roi_fit"]), float(row["roi_fit_sd"])
    cells["fit"] = plus_minus(parameter, value, error)
    cells["fit_limits"] = limits(parameter, float(row["roi_fit_lo"]), float(row["roi_fit_hi"]))
    return cells


def contrast_cells(parameter: Parameter, row: pd.Series[Any]) -> dict[str, str]:
    """Write a row of `ivimkit.quality.compare_regions`.

    Parameters
    ----------
    parameter : Parameter
        Describes the map.
    row : pandas.Series
        The row of a map.

    Returns
    -------
    dict of str to str
        ``lesion`` and ``reference``, means with their standard deviations, ``lesion_mean`` and
        ``reference_mean``, ``difference``, ``change`` in per cent of the reference, ``cnr``,
        ``g``, ``g_lo``, ``g_hi``, ``auc`` and ``p``.
    """
    pairs = {
        of: (float(row[f"{of}_mean"]), float(row[f"{of}_sd"])) for of in ("lesion", "reference")
    }
    spread = max((sd for _, sd in pairs.values() if math.isfinite(sd)), default=math.nan)
    error = (float(row["g_hi"]) - float(row["g_lo"])) / 4.0
    return {
        **{of: plus_minus(parameter, *pair) for of, pair in pairs.items()},
        **{f"{of}_mean": in_unit(parameter, *pair) for of, pair in pairs.items()},
        "difference": in_unit(parameter, float(row["difference"]), spread),
        "change": change(float(row["ratio"])),
        "cnr": rounded(float(row["cnr"]), digits=2),
        **{key: rounded(float(row[key]), error) for key in ("g", "g_lo", "g_hi")},
        "auc": rounded(float(row["auc"]), _AUC_ERROR),
        "p": probability(float(row["p"])),
    }
