"""Tables of regions: each map in each region, and the status of the voxels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, RegionWarning, ShapeError
from ivimkit.extend.derived_maps import describe
from ivimkit.fitting.result import FitResult
from ivimkit.quality.distribution import centre_and_spread, distribution
from ivimkit.quality.region_extent import diameter_mm, volume_ml
from ivimkit.quality.region_fit import roi_fit
from ivimkit.quality.table_rows import labelled, map_names, table_of
from ivimkit.scan.blocks import finite
from ivimkit.scan.labels import Labels
from ivimkit.status import count

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["region_values", "roi_status", "roi_table"]


def roi_table(
    result: FitResult,
    labels: ArrayLike | Labels,
    label_names: Mapping[int, str] | None = None,
    *,
    maps: Sequence[str] | None = None,
    mean_fit: bool | FitResult | None = None,
    reliable_only: bool = False,
) -> pd.DataFrame:
    """Summarise each map in each region.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : Labels or array_like of int, shape of the maps
        Region of each voxel; 0 is none. A mask works as well. See `ivimkit.load_labels`.
    label_names : mapping of int to str, optional
        Names of the regions; by default those of the labels, or the numbers.
    maps : sequence of str, optional
        Which maps; all by default.
    mean_fit : bool or FitResult, optional
        Whether to also fit the mean signal of each region; by default if the scan of the result is
        available (``result.dwi``; ``ivimkit.load_result(folder, scan=True)``). Or these fits, if
        already made by `roi_fit`.
    reliable_only : bool
        Whether the statistics leave out voxels whose value the data do not identify, see
        `ivimkit.FitResult.reliable`; these then count as missing. By default all voxels with a
        value are used.

    Returns
    -------
    pandas.DataFrame
        One row per region and map:

        - ``unit``; ``n``, voxels used, by default all with a value, ``missing``, the
          others, and ``reliable``, voxels whose value the data identify;
        - ``mean``, ``sd`` (n - 1), ``cv`` (sd / abs(mean)), ``median``, ``q25``, ``q75``,
          ``iqr`` (q75 - q25), ``p5`` and ``p95``, percentiles by linear interpolation;
        - ``skewness`` and ``kurtosis``: adjusted Fisher-Pearson G1 and G2, as in Excel, SAS and
          SPSS; kurtosis is the excess, 0 for a normal distribution;
        - ``entropy``: Shannon entropy, in bits, of a histogram whose bins are 1/64 of the display
          range of the map wide (of the range of the values in all regions, where the map has no
          display range) and continue beyond it;
        - ``volume_ml`` and ``diameter_mm`` of the region: number of voxels times their volume,
          and the largest distance between two of their corners, in three dimensions;
        - ``roi_fit``: the fit of the region's mean signal, with ``roi_fit_sd``, ``roi_fit_lo``
          and ``roi_fit_hi``, see `roi_fit`, and ``roi_fit_status``, the names of the flags of
          that fit, ``OK`` where there is nothing to report; these columns only with `mean_fit`.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, there is no region, or the fits in
        `mean_fit` are not one per region.
    OptionError
        If the result has no such map, or `mean_fit` is asked for and impossible, see `roi_fit`.

    Warns
    -----
    RegionWarning
        If the scan is available but the mean signals cannot be fitted.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(16, 12, 1))
    >>> table = ik.quality.roi_table(ik.fit(made.dwi), made.labels, made.label_names)
    >>> table.loc[("liver", "D"), "n"] > 0
    np.True_

    References
    ----------
    Joanes DN, Gill CA. J R Stat Soc D 1998;47:183-189. doi:10.1111/1467-9884.00122
    Zwanenburg A et al. Radiology 2020;295:328-338. doi:10.1148/radiol.2020191145
    """
    known, names = labelled(labels, result, label_names), map_names(result, maps)
    inside = _positions(known)
    extents = {region: _extent(known[region], result.geometry.affine) for region in known}
    fits = _fits(result, known, mean_fit)
    rows = {}
    for name in names:
        # Outside the inner loop: each access to a map spreads it over the volume.
        values = np.atleast_1d(result.maps[name])
        doubtful = np.atleast_1d(result.unreliable(name))
        unit = describe(name, result.model.quantities).unit
        limits = _limits(result, name, values, known.array != 0)
        for position, (region, at) in enumerate(inside.items()):
            every = np.asarray(values[at], dtype=np.float64)
            reliable = np.where(doubtful[at], np.nan, every)
            rows[region, name] = {
                "unit": unit,
                **distribution(reliable if reliable_only else every, limits),
                "reliable": int(np.count_nonzero(np.isfinite(reliable))),
                **extents[region],
                **({} if fits is None else _fitted(fits, name, position)),
            }
    order = [(region, name) for region in inside for name in names]
    return table_of({key: rows[key] for key in order}, ("region", "map"))


def region_values(
    result: FitResult,
    labels: ArrayLike | Labels,
    maps: Sequence[str],
    statistic: str,
    *,
    reliable_only: bool = False,
) -> dict[tuple[str, str], float]:
    """Return one column of `roi_table`, by region and map, without computing the others.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : Labels or array_like of int, shape of the maps
        Region of each voxel; 0 is none.
    maps : sequence of str
        Which maps.
    statistic : str
        The column, ``roi_fit`` or one of centre and spread.
    reliable_only : bool
        Whether to use only voxels whose value the data identify; not for ``roi_fit``.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, or there is no region.
    OptionError
        If the result has no such map, or its mean signals cannot be fitted.
    """
    known, names = labelled(labels, result), map_names(result, maps)
    inside = _positions(known)
    fits = _fits(result, known, statistic == "roi_fit")
    found = {}
    for name in names:
        values = np.atleast_1d(result.reliable(name) if reliable_only else result.maps[name])
        for position, (region, at) in enumerate(inside.items()):
            found[region, name] = (
                centre_and_spread(np.asarray(values[at], dtype=np.float64))[statistic]
                if fits is None
                else float(_fitted(fits, name, position)[statistic])
            )
    return {(region, name): found[region, name] for region in inside for name in names}


def _positions(known: Labels) -> dict[str, tuple[NDArray[np.intp], ...]]:
    """Return where the voxels of each region are.

    Positions, not masks: with a hundred regions, the whole volume would be searched for each.
    """
    return {region: np.nonzero(np.atleast_1d(known[region])) for region in known}


def roi_status(
    result: FitResult,
    labels: ArrayLike | Labels,
    label_names: Mapping[int, str] | None = None,
) -> pd.DataFrame:
    """Count the voxels of each region, and those of each status.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : Labels or array_like of int, shape of the maps
        Region of each voxel; 0 is none.
    label_names : mapping of int to str, optional
        Names of the regions; by default those of the labels, or the numbers.

    Returns
    -------
    pandas.DataFrame
        One row per region: ``voxels``, ``volume_ml``, ``diameter_mm`` as in `roi_table`, and one
        column with the number of voxels for each status flag that occurs in any region, ``OK``
        (nothing to report) among them. A voxel with two flags counts in both.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, or there is no region.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(16, 12, 1))
    >>> table = ik.quality.roi_status(ik.fit(made.dwi), made.labels, made.label_names)
    >>> int(table.loc["liver", "voxels"]) == int((made.labels == 1).sum())
    True
    """
    known, affine = labelled(labels, result, label_names), result.geometry.affine
    found = {region: count(result.status[known[region]], result.model) for region in known}
    flags = sorted({name for counts in found.values() for name in counts}, key=_ok_first)
    rows = {
        region: {
            "voxels": int(np.count_nonzero(known[region])),
            **_extent(known[region], affine),
            **{name: counts.get(name, 0) for name in flags},
        }
        for region, counts in found.items()
    }
    return table_of(rows, "region")


def _fits(result: FitResult, labels: Labels, wanted: bool | FitResult | None) -> FitResult | None:
    """Return the fits of the mean signals; None if not wanted or impossible."""
    if isinstance(wanted, FitResult):
        if wanted.shape != (len(labels),):
            raise ShapeError(
                f"mean_fit has shape {wanted.shape} and there are {len(labels)} regions; expected "
                "the fits that roi_fit makes of these labels"
            )
        return wanted
    if wanted is False or (wanted is None and result.dwi is None):
        return None
    try:
        return roi_fit(result, labels)
    except OptionError as error:
        if wanted:
            raise
        warnings.warn(f"no fit of the mean signals: {error}", RegionWarning, stacklevel=3)
        return None


def _ok_first(name: str) -> tuple[bool, str]:
    return name != "OK", name


def _extent(inside: NDArray[np.bool_], affine: NDArray[np.float64]) -> dict[str, float]:
    return {"volume_ml": volume_ml(inside, affine), "diameter_mm": diameter_mm(inside, affine)}


def _limits(
    result: FitResult, name: str, values: NDArray[Any], inside: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the histogram range of a map: its display range, or that of the values."""
    low, high = describe(name, result.model.quantities).display
    if not (math.isnan(low) or math.isnan(high)):
        return low, high
    valid = finite(values[np.atleast_1d(inside)])
    return (float(valid.min()), float(valid.max())) if valid.size else (0.0, 0.0)


def _fitted(fits: FitResult, name: str, position: int) -> dict[str, float | str]:
    """Return a number of the fit of the mean signal of a region; NaN if it has none."""
    columns = {"roi_fit": name, **{f"roi_fit_{end}": f"{name}_{end}" for end in _ENDS}}
    return {
        **{
            column: float(fits.maps[key][position]) if key in fits.maps else math.nan
            for column, key in columns.items()
        },
        "roi_fit_status": " ".join(count(fits.status[position : position + 1], fits.model)),
    }


_ENDS = ("sd", "lo", "hi")
