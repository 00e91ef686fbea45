"""A lesion against its surroundings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.derived import describe
from ivimkit.errors import OptionError, ShapeError
from ivimkit.quality.effect import effect
from ivimkit.quality.rows import finite, labels_like, map_names, mean_sd, table_of

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.result import FitResult

__all__ = ["compare_regions", "ring"]

LESION_MAPS = ("ADC", "D", "f")


def compare_regions(
    result: FitResult,
    lesion: ArrayLike,
    reference: ArrayLike,
    *,
    maps: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Compare a lesion with the tissue around it, or with any other region.

    The map that separates the regions best comes first: the largest distance of the area under
    the ROC curve from 0.5, and among equals the largest abs(g). Voxels count as independent; as
    neighbours are not quite, p and the interval of g are optimistic.

    Parameters
    ----------
    result : FitResult
        The fit.
    lesion, reference : array_like, shape of the maps
        Masks, > 0 inside, such as a region of `ivimkit.Labels`; see `ring` for the tissue
        around a lesion. Voxels of the lesion do not count for the reference: a lesion may be
        compared with the organ that it lies in.
    maps : sequence of str, optional
        Which maps; by default ADC, D and f, as far as the fit has them.

    Returns
    -------
    pandas.DataFrame
        One row per map: ``unit``, mean, standard deviation and number of voxels of both
        (``lesion_mean``, ``reference_sd``, ...), ``difference`` (lesion - reference), ``ratio``
        (lesion / reference), ``cnr``, the contrast-to-noise ratio (abs(difference) by the
        standard deviation of the reference), and ``separation``, the difference in pooled
        standard deviations, both regions weighing the same; ``g`` with ``g_lo`` and ``g_hi``,
        Hedges' g and its 95 % interval; ``auc``, the probability that a voxel of the lesion has
        the larger value; ``p`` of the two-sided Mann-Whitney U test.

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
    >>> table.index[0], bool(table.loc["D", "ratio"] < 1)
    ('D', True)

    References
    ----------
    Hedges LV. J Educ Stat 1981;6:107-128. doi:10.3102/10769986006002107
    Hanley JA, McNeil BJ. Radiology 1982;143:29-36. doi:10.1148/radiology.143.1.7063747
    """
    wanted = [name for name in LESION_MAPS if name in result.maps] if maps is None else maps
    inside = labels_like(lesion, result) > 0
    outside = (labels_like(reference, result) > 0) & ~inside
    rows = {}
    for name in map_names(result, wanted):
        values = result.maps[name]
        mine, theirs = finite(values[inside]), finite(values[outside])
        if not mine.size or not theirs.size:
            empty = "the lesion" if not mine.size else "the reference"
            raise ShapeError(
                f"{empty} has no voxel with a value in map {name}; expected at least one. "
                "Check that the region lies inside the mask that was fitted"
            )
        unit = describe(name, result.model.parameters).unit
        rows[name] = {"unit": unit, **_contrast(mine, theirs)}
    best_first = sorted(rows, key=lambda name: _separation(rows[name]), reverse=True)
    return table_of({name: rows[name] for name in best_first}, "map")


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


def _contrast(lesion: NDArray[np.float64], reference: NDArray[np.float64]) -> dict[str, float]:
    (mean, sd), (reference_mean, reference_sd) = mean_sd(lesion), mean_sd(reference)
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
        "cnr": abs(difference) / reference_sd if reference_sd > 0 else np.nan,
        "separation": difference / pooled if pooled > 0 else np.nan,
        **dataclasses.asdict(effect(lesion, reference)),
    }


def _separation(row: Mapping[str, Any]) -> tuple[float, float]:
    """Return what the maps are ranked by; no g is less than any."""
    g = float(row["g"])
    return abs(float(row["auc"]) - 0.5), -1.0 if math.isnan(g) else abs(g)
