"""Tables of regions: each map in each region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.derived import describe
from ivimkit.quality.rows import (
    each_region,
    finite,
    labels_like,
    map_names,
    mean_sd,
    quartiles,
    table_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.result import FitResult

__all__ = ["roi_table"]


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
    labelled = labels_like(labels, result)
    regions, names = each_region(labelled, label_names), map_names(result, maps)
    rows = {}
    for name in names:
        # Outside the inner loop: each look-up of a map spreads it over the volume.
        values, unit = result.maps[name], describe(name, result.model.parameters).unit
        for label, region in regions:
            rows[region, name] = {"unit": unit, **_statistics(values[labelled == label])}
    order = [(region, name) for _, region in regions for name in names]
    return table_of({key: rows[key] for key in order}, ("region", "map"))


def _statistics(values: NDArray[Any]) -> dict[str, float]:
    valid = finite(values)
    mean, sd = mean_sd(valid)
    q25, median, q75 = quartiles(valid)
    return {
        "n": valid.size,
        "missing": np.size(values) - valid.size,
        "mean": mean,
        "sd": sd,
        "median": median,
        "q25": q25,
        "q75": q75,
    }
