"""Errors of fits of a phantom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.quality.table_rows import each_region, labels_like, table_of

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = ["error_table"]


def error_table(
    results: Mapping[str, FitResult],
    truth: Mapping[str, ArrayLike],
    labels: ArrayLike,
    label_names: Mapping[int, str] | None = None,
    *,
    maps: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Compare fits of a phantom with the truth, per tissue, map and method.

    Voxels whose truth is not finite (partial-volume voxels) are ignored.

    Parameters
    ----------
    results : mapping of str to FitResult
        The fits, by name of the method.
    truth : mapping of str to array_like, shape of the maps
        True maps, by name.
    labels : array_like of int, shape of the maps
        Tissue of each voxel; 0 is none.
    label_names : mapping of int to str, optional
        Names of the tissues; the numbers by default.
    maps : sequence of str, optional
        Which maps, by default those with a truth; those missing from a fit are left out.

    Returns
    -------
    pandas.DataFrame
        One row per tissue, map and method: ``unit``, ``n`` (voxels compared), ``missing``
        (voxels with a truth but no estimate), ``truth`` (mean), ``bias`` (mean of
        estimate - truth), ``rmse`` and ``median_relative_error`` (median of
        abs(estimate - truth) / truth; NaN where the truth is 0).

    Raises
    ------
    ShapeError
        If shapes differ, or there is no tissue.
    OptionError
        If there is no truth for a map.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> results = {"varpro": ik.fit(made.dwi)}
    >>> table = ik.quality.error_table(results, made.truth, made.labels, made.label_names)
    >>> bool(abs(table.loc[("liver", "D", "varpro"), "bias"]) < 1e-3)
    True
    """
    maps = list(truth) if maps is None else maps
    missing = [name for name in maps if name not in truth]
    if missing:
        raise OptionError(
            f"there is no truth for {missing[0]}; expected one of {', '.join(truth)}"
        )
    labelled = np.asarray(labels)
    regions = each_region(labelled, label_names)
    rows = {}
    for method, result in results.items():
        labels_like(labelled, result)
        for name in (name for name in maps if name in result.maps):
            unit = describe(name, result.model.quantities).unit
            estimate, true = result.maps[name], labels_like(truth[name], result)
            for label, region in regions:
                inside = labelled == label
                errors = _errors(estimate[inside], true[inside])
                rows[region, name, method] = {"unit": unit, **errors}
    keys = [(region, name, method) for _, region in regions for name in maps for method in results]
    return table_of({key: rows[key] for key in keys if key in rows}, ("tissue", "map", "method"))


def _errors(estimate: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    known = np.isfinite(truth)
    both = known & np.isfinite(estimate)
    true = truth[both].astype(np.float64)
    error = estimate[both].astype(np.float64) - true
    relative = np.abs(error[true != 0] / true[true != 0])
    return {
        "n": int(both.sum()),
        "missing": int(known.sum() - both.sum()),
        "truth": float(true.mean()) if true.size else np.nan,
        "bias": float(error.mean()) if error.size else np.nan,
        "rmse": float(np.sqrt((error**2).mean())) if error.size else np.nan,
        "median_relative_error": float(np.median(relative)) if relative.size else np.nan,
    }
