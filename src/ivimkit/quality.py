"""Numbers about results: summaries, regions, lesion against its surroundings, error to truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.derived import describe
from ivimkit.errors import OptionError, ShapeError

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.result import FitResult

__all__ = ["compare_regions", "error_table", "ring", "roi_table", "summary_table"]

PARAMETER_MAPS = ("S0", "f", "D_star", "D")
LESION_MAPS = ("ADC", "D", "f")


def summary_table(result: FitResult, maps: Sequence[str] | None = None) -> pd.DataFrame:
    """Summarise each map over all voxels that have a value.

    Parameters
    ----------
    result : FitResult
        The fit.
    maps : sequence of str, optional
        Which maps; all by default.

    Returns
    -------
    pandas.DataFrame
        One row per map: ``unit``, ``n`` (voxels with a value), ``median``, ``q25``, ``q75``.

    Raises
    ------
    OptionError
        If the result has no such map.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(16, 12, 1))
    >>> ik.quality.summary_table(ik.fit(made.dwi)).loc["D", "unit"]
    'mm^2/s'
    """
    return _table(summary_rows(result, maps), "map")


def summary_rows(
    result: FitResult, maps: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the rows of `summary_table` by map, for those who do not wait for pandas.

    Parameters
    ----------
    result : FitResult
        The fit.
    maps : sequence of str, optional
        Which maps; all by default.

    Returns
    -------
    dict of str to dict
        What the columns of `summary_table` hold.

    Raises
    ------
    OptionError
        If the result has no such map.
    """
    rows = {}
    for name in _map_names(result, maps):
        values = _finite(result.maps[name])
        q25, median, q75 = _quartiles(values)
        unit = describe(name, result.model.parameters).unit
        rows[name] = {"unit": unit, "n": values.size, "median": median, "q25": q25, "q75": q75}
    return rows


def roi_table(
    result: FitResult,
    labels: ArrayLike,
    label_names: Mapping[int, str] | None = None,
    *,
    maps: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Summarise each map in each region.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : array_like of int, shape of the maps
        Region of each voxel; 0 is none. A mask works as well.
    label_names : mapping of int to str, optional
        Names of the regions; the numbers by default.
    maps : sequence of str, optional
        Which maps; all by default.

    Returns
    -------
    pandas.DataFrame
        One row per region and map: ``unit``, ``n`` (voxels with a value), ``missing`` (voxels
        without), ``mean``, ``sd``, ``median``, ``q25``, ``q75``.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, or there is no region.
    OptionError
        If the result has no such map.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(16, 12, 1))
    >>> table = ik.quality.roi_table(ik.fit(made.dwi), made.labels, made.label_names)
    >>> table.loc[("liver", "D"), "n"] > 0
    np.True_
    """
    labelled = _labels_like(labels, result)
    regions, names = _each_region(labelled, label_names), _map_names(result, maps)
    rows = {}
    for name in names:
        # Outside the inner loop: each look-up of a map spreads it over the volume.
        values, unit = result.maps[name], describe(name, result.model.parameters).unit
        for label, region in regions:
            rows[region, name] = {"unit": unit, **_statistics(values[labelled == label])}
    order = [(region, name) for _, region in regions for name in names]
    return _table({key: rows[key] for key in order}, ("region", "map"))


def compare_regions(
    result: FitResult,
    lesion: ArrayLike,
    reference: ArrayLike,
    *,
    maps: Sequence[str] = LESION_MAPS,
) -> pd.DataFrame:
    """Compare a lesion with the tissue around it, or with any other region.

    Parameters
    ----------
    result : FitResult
        The fit.
    lesion, reference : array_like, shape of the maps
        Masks, > 0 inside; see `ring` for the tissue around a lesion.
    maps : sequence of str
        Which maps.

    Returns
    -------
    pandas.DataFrame
        One row per map: ``unit``, mean, standard deviation and number of voxels of both
        (``lesion_mean``, ``reference_sd``, ...), ``difference`` (lesion - reference), ``ratio``
        (lesion / reference) and ``separation``, the difference in pooled standard deviations:
        of two maps, the one with the larger absolute separation tells the lesion apart better.

    Raises
    ------
    ShapeError
        If a mask has another shape than the maps or has no voxel with a value.
    OptionError
        If the result has no such map.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(64, 48, 2))
    >>> result = ik.fit(made.dwi)
    >>> table = ik.quality.compare_regions(result, made.region("lesion"), made.region("liver"))
    >>> bool(table.loc["D", "ratio"] < 1)
    True
    """
    inside, outside = _labels_like(lesion, result) > 0, _labels_like(reference, result) > 0
    rows = {}
    for name in _map_names(result, maps):
        values = result.maps[name]
        mine, theirs = _finite(values[inside]), _finite(values[outside])
        if not mine.size or not theirs.size:
            empty = "the lesion" if not mine.size else "the reference"
            raise ShapeError(
                f"{empty} has no voxel with a value in map {name}; expected at least one. "
                "Check that the region lies inside the mask that was fitted"
            )
        unit = describe(name, result.model.parameters).unit
        rows[name] = {"unit": unit, **_contrast(mine, theirs)}
    return _table(rows, "map")


def ring(
    lesion: ArrayLike,
    voxel_size: Sequence[float],
    *,
    gap: float = 5.0,
    width: float = 10.0,
    within: ArrayLike | None = None,
) -> NDArray[np.bool_]:
    """Return the shell around a lesion: the tissue to compare it with.

    Parameters
    ----------
    lesion : array_like, shape (x, y, z) or (x, y)
        Mask, > 0 inside.
    voxel_size : sequence of float
        Edges of a voxel in mm, one per axis; further ones are ignored.
    gap : float
        Distance that is left out because voxels there are mixed, mm.
    width : float
        Thickness of the shell, mm.
    within : array_like, shape of the lesion, optional
        Where the shell may be, > 0, e.g. the organ or the fitted mask.

    Returns
    -------
    ndarray of bool, shape of the lesion

    Raises
    ------
    ShapeError
        If the lesion is empty, or the shapes do not fit.
    OptionError
        If gap or width is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit import quality
    >>> lesion = np.zeros((9, 9), bool)
    >>> lesion[4, 4] = True
    >>> int(quality.ring(lesion, (1, 1), gap=1, width=1).sum())
    8
    """
    inside = np.asarray(lesion) > 0
    if not inside.any():
        raise ShapeError("the lesion is empty; expected at least one voxel > 0. Draw it again")
    if len(voxel_size) < inside.ndim:
        raise ShapeError(
            f"the voxel size is {tuple(voxel_size)}; expected one edge in mm for each of the "
            f"{inside.ndim} axes of the lesion"
        )
    if not (gap >= 0 and width > 0):
        raise OptionError(f"gap is {gap} and width {width}; expected mm, gap >= 0 and width > 0")
    # Imported here: it takes a third of a second, and most results need no ring.
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(~inside, sampling=voxel_size[: inside.ndim])
    shell = (distance > gap) & (distance <= gap + width)
    if within is None:
        return np.asarray(shell)
    allowed = np.asarray(within)
    if allowed.shape != inside.shape:
        raise ShapeError(
            f"the region to stay within has shape {allowed.shape}; expected {inside.shape}, "
            "that of the lesion"
        )
    return np.asarray(shell & (allowed > 0))


def error_table(
    results: Mapping[str, FitResult],
    truth: Mapping[str, ArrayLike],
    labels: ArrayLike,
    label_names: Mapping[int, str] | None = None,
    *,
    maps: Sequence[str] = PARAMETER_MAPS,
) -> pd.DataFrame:
    """Compare fits of a phantom with the truth, per tissue, map and method.

    Voxels whose truth is not finite (mixed ones) do not count.

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
    maps : sequence of str
        Which maps; those that a fit does not have are left out.

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
        If shapes do not fit, or there is no tissue.
    OptionError
        If there is no truth of a map.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> results = {"varpro": ik.fit(made.dwi)}
    >>> table = ik.quality.error_table(results, made.truth, made.labels, made.label_names)
    >>> bool(abs(table.loc[("liver", "D", "varpro"), "bias"]) < 1e-3)
    True
    """
    missing = [name for name in maps if name not in truth]
    if missing:
        raise OptionError(f"there is no truth of {missing[0]}; expected one of {', '.join(truth)}")
    labelled = np.asarray(labels)
    regions = _each_region(labelled, label_names)
    rows = {}
    for method, result in results.items():
        _labels_like(labelled, result)
        for name in (name for name in maps if name in result.maps):
            unit = describe(name, result.model.parameters).unit
            estimate, true = result.maps[name], _labels_like(truth[name], result)
            for label, region in regions:
                inside = labelled == label
                errors = _errors(estimate[inside], true[inside])
                rows[region, name, method] = {"unit": unit, **errors}
    keys = [(region, name, method) for _, region in regions for name in maps for method in results]
    return _table({key: rows[key] for key in keys if key in rows}, ("tissue", "map", "method"))


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _quartiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
    if not values.size:
        return np.nan, np.nan, np.nan
    q25, median, q75 = np.percentile(values, [25, 50, 75])
    return float(q25), float(median), float(q75)


def _mean_sd(values: NDArray[np.float64]) -> tuple[float, float]:
    mean = float(values.mean()) if values.size else np.nan
    sd = float(values.std(ddof=1)) if values.size > 1 else np.nan
    return mean, sd


def _statistics(values: NDArray[Any]) -> dict[str, float]:
    finite = _finite(values)
    mean, sd = _mean_sd(finite)
    q25, median, q75 = _quartiles(finite)
    return {
        "n": finite.size,
        "missing": np.size(values) - finite.size,
        "mean": mean,
        "sd": sd,
        "median": median,
        "q25": q25,
        "q75": q75,
    }


def _contrast(lesion: NDArray[np.float64], reference: NDArray[np.float64]) -> dict[str, float]:
    (mean, sd), (reference_mean, reference_sd) = _mean_sd(lesion), _mean_sd(reference)
    difference = mean - reference_mean
    # The plain mean of both variances: a small lesion must weigh as much as a large liver.
    pooled = math.hypot(sd, reference_sd) / math.sqrt(2)
    return {
        "lesion_mean": mean,
        "lesion_sd": sd,
        "lesion_n": lesion.size,
        "reference_mean": reference_mean,
        "reference_sd": reference_sd,
        "reference_n": reference.size,
        "difference": difference,
        "ratio": mean / reference_mean if reference_mean else np.nan,
        "separation": difference / pooled if pooled > 0 else np.nan,
    }


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


def _map_names(result: FitResult, maps: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(result.maps) if maps is None else tuple(maps)
    unknown = [name for name in names if name not in result.maps]
    if unknown:
        has = ", ".join(result.maps)
        raise OptionError(f"the result has no map {unknown[0]!r}; expected one of {has}")
    return names


def _labels_like(labels: ArrayLike, result: FitResult) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.shape != result.shape:
        raise ShapeError(
            f"the region has shape {array.shape}; expected {result.shape}, that of the maps. "
            "Resample it to the scan"
        )
    return array


def _each_region(labels: NDArray[Any], names: Mapping[int, str] | None) -> list[tuple[int, str]]:
    found = [int(label) for label in np.unique(labels) if label]
    if not found:
        raise ShapeError("there is no region; expected labels other than 0 in some voxels")
    return [
        (label, str(label) if names is None else names.get(label, str(label))) for label in found
    ]


def _table(rows: Mapping[Any, Mapping[str, Any]], index: str | tuple[str, ...]) -> pd.DataFrame:
    # Imported here: it takes a fifth of a second, and not every table becomes a data frame.
    import pandas as pd

    table = pd.DataFrame.from_dict(dict(rows), orient="index")
    if isinstance(index, str):
        table.index.name = index
    else:
        table.index = pd.MultiIndex.from_tuples(list(rows), names=index)
    return table
