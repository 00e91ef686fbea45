"""The difference of two results on the same grid, map by map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.derived_maps import describe
from ivimkit.quality.normal_quantile import NORMAL_975
from ivimkit.quality.table_rows import mean_sd, table_of

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = ["Difference", "difference"]


@dataclass(frozen=True, eq=False)
class Difference:
    """The difference of two results on the same grid.

    Parameters
    ----------
    names : tuple of str
        Of the first and of the second result.
    first, second : FitResult
        The results.
    maps : mapping of str to ndarray, shape (...)
        Second minus first, in the unit of the map; NaN where either has no value.
    rows : mapping of str to mapping
        Per map ``unit``, ``n`` (voxels with both values), ``missing`` (voxels with one of them),
        ``first_mean``, ``second_mean``, ``difference`` (mean of second - first), ``sd`` of the
        difference, ``lower`` and ``upper`` (95 % limits of agreement) and ``correlation``
        (Pearson).
    """

    names: tuple[str, str]
    first: FitResult = field(repr=False)
    second: FitResult = field(repr=False)
    maps: Mapping[str, NDArray[np.float32]] = field(repr=False)
    rows: Mapping[str, Mapping[str, Any]]

    def table(self) -> pd.DataFrame:
        """Return the rows as a data frame, one per map."""
        return table_of(self.rows, "map")


def difference(
    first: FitResult,
    second: FitResult,
    names: tuple[str, str] = ("A", "B"),
    *,
    maps: Sequence[str] | None = None,
) -> Difference:
    """Subtract the maps of one result from those of another.

    Parameters
    ----------
    first, second : FitResult
        Two fits of one scan, or of two scans with the same geometry: methods, models, time points.
    names : tuple of str
        Their names.
    maps : sequence of str, optional
        Which maps; by default ADC, D, f, D*, f D* and S0, or those of their models that both have.

    Returns
    -------
    Difference

    Raises
    ------
    ShapeError
        If the results have different shapes or positions.
    OptionError
        If they have no map in common, or there is no such map, or the names are the same.

    References
    ----------
    Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of
    clinical measurement. Lancet 1986;327:307-310. doi:10.1016/S0140-6736(86)90837-8

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> fits = [ik.fit(made.dwi, method=name) for name in ("varpro", "segmented")]
    >>> found = ik.quality.difference(*fits, ("varpro", "segmented"))
    >>> list(found.rows)
    ['ADC', 'D', 'f', 'D_star', 'fD_star', 'S0']
    >>> bool(found.rows["D"]["lower"] < 0 < found.rows["D"]["upper"])
    True
    """
    if names[0] == names[1]:
        raise OptionError(f"the names are {names!r}; expected two different ones")
    _check_grid(first, second)
    chosen = _common(first, second, maps)
    found: dict[str, NDArray[np.float32]] = {}
    rows = {}
    for name in chosen:
        # Each access to a map spreads it over the volume: access it once.
        one, other = first.maps[name], second.maps[name]
        found[name] = np.asarray(other - one, dtype=np.float32)
        unit = describe(name, (*first.model.quantities, *second.model.parameters)).unit
        rows[name] = {"unit": unit, **_agreement(np.asarray(one), np.asarray(other))}
    return Difference(names, first, second, found, rows)


def _check_grid(first: FitResult, second: FitResult) -> None:
    if first.shape != second.shape:
        raise ShapeError(
            f"the results have shapes {first.shape} and {second.shape}; expected one grid. "
            "Resample one scan to the other before the fit"
        )
    if len(first.shape) != 3:
        return
    if not first.geometry.is_at(second.geometry, first.shape):
        apart = first.geometry.shifts(second.geometry, first.shape)
        distance = float(np.linalg.norm(apart, axis=1).max())
        raise ShapeError(
            f"voxels of the results are up to {distance:.3g} mm apart; "
            "expected one position. Resample one scan to the other before the fit"
        )


def _common(first: FitResult, second: FitResult, maps: Sequence[str] | None) -> list[str]:
    there = [name for name in first.maps if name in second.maps]
    usual = dict.fromkeys((*first.model.shown_maps, *second.model.shown_maps, "S0"))
    names = [name for name in usual if name in there] if maps is None else list(maps)
    missing = [name for name in names if name not in there]
    if missing or not names:
        wanted = f"no map {missing[0]!r} in both results" if missing else "no map in both results"
        raise OptionError(f"there is {wanted}; expected some of {', '.join(there) or 'none'}")
    return names


def _agreement(one: NDArray[Any], other: NDArray[Any]) -> dict[str, float]:
    known, also = np.isfinite(one), np.isfinite(other)
    both = known & also
    x, y = one[both].astype(np.float64), other[both].astype(np.float64)
    mean, sd = mean_sd(y - x)
    (first_mean, first_sd), (second_mean, second_sd) = mean_sd(x), mean_sd(y)
    varies = bool(x.size > 1 and np.ptp(x) > 0 and np.ptp(y) > 0)
    product = float(((x - first_mean) * (y - second_mean)).sum()) if varies else np.nan
    return {
        "n": x.size,
        "missing": int(np.count_nonzero(known ^ also)),
        "first_mean": first_mean,
        "second_mean": second_mean,
        "difference": mean,
        "sd": sd,
        "lower": mean - NORMAL_975 * sd,
        "upper": mean + NORMAL_975 * sd,
        "correlation": product / ((x.size - 1) * first_sd * second_sd) if varies else np.nan,
    }
