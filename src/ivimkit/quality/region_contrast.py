"""A lesion against its surroundings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.derived_maps import describe
from ivimkit.quality.central_values import Estimate, of_mean_signal
from ivimkit.quality.contrast_verdict import Evidence, Verdict, evidence_of, judge
from ivimkit.quality.effect_size import Effect, effect
from ivimkit.quality.region_fit import roi_fit
from ivimkit.quality.table_rows import labels_like, map_names, mean_sd, table_of
from ivimkit.scan.blocks import finite
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = ["compare_regions", "ring"]


def compare_regions(
    result: FitResult,
    lesion: ArrayLike,
    reference: ArrayLike,
    *,
    maps: Sequence[str] | None = None,
    reliable_only: bool = True,
    mean_fit: bool | None = None,
) -> pd.DataFrame:
    """Compare a lesion with the tissue around it, or with any other region.

    Only voxels whose value is identified by the data are used (`ivimkit.FitResult.reliable`). The
    map that separates the regions best comes first: the largest distance of the area under the ROC
    curve from 0.5, and among equals the largest abs(g). Voxels are treated as independent; as
    neighbours are not quite, p and all limits are optimistic.

    Parameters
    ----------
    result : FitResult
        The fit.
    lesion, reference : array_like, shape of the maps
        Masks, > 0 inside, such as a region of `ivimkit.Labels`; see `ring` for the tissue
        around a lesion. Voxels of the lesion are excluded from the reference: a lesion may be
        compared with the organ that contains it.
    maps : sequence of str, optional
        Which maps; by default ADC, D and f: those of the model that do not describe blood alone.
    reliable_only : bool
        Whether to leave out voxels whose value is not reliable, instead of using all with a value.
    mean_fit : bool, optional
        Whether to also fit the mean signals of both regions: they decide where too few voxels are
        reliable, and contradict voxels that are biased. By default if the scan is available
        (``result.dwi``) and the fits can be made.

    Returns
    -------
    pandas.DataFrame
        One row per map:

        - ``unit``; mean, standard deviation and number of the voxels used of both
          (``lesion_mean``, ``reference_sd``, ``lesion_n``, ...), ``difference`` (lesion -
          reference) and ``ratio`` (lesion / reference) of the means;
        - ``cnr``, the contrast-to-noise ratio (abs(difference) / standard deviation of the
          reference), and ``separation``, the difference in pooled standard deviations, both
          regions weighing the same;
        - ``g`` with ``g_lo`` and ``g_hi``, Hedges' g and its 95 % interval; ``auc``, the
          probability that a voxel of the lesion has the larger value; ``p`` of the two-sided
          Mann-Whitney U test;
        - ``lesion_reliable`` and ``reference_reliable``, numbers of reliable voxels, and
          ``lesion_valued`` and ``reference_valued``, of voxels with a value;
        - ``verdict``: ``lower``, ``higher``, ``no difference`` (none was found) or ``unknown``,
          with the reason in ``why``; ``basis``: ``voxels``, their medians, or ``mean signal``, its
          fits, where fewer than half of the voxels or fewer than five are reliable; and its
          values, ``lesion_value``, ``reference_value`` and ``value_difference``, each with its
          95 % limits, ``lesion_value_lo``, ``lesion_value_hi`` and so on;
        - ``lesion_fit`` and ``reference_fit``, the fits of the mean signals, if available.

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
    wanted = [n for n in result.model.robust_maps if n in result.maps] if maps is None else maps
    inside = labels_like(lesion, result) > 0
    outside = (labels_like(reference, result) > 0) & ~inside
    chosen = map_names(result, wanted)
    for name in chosen:
        for empty, region in (("the lesion", inside), ("the reference", outside)):
            if not finite(result.maps[name][region]).size:
                raise ShapeError(
                    f"{empty} has no voxel with a value in map {name}; expected at least one. "
                    "Check that the region lies inside the mask that was fitted"
                )
    fits = _mean_fits(result, inside, outside, mean_fit)
    rows = {}
    for name in chosen:
        unit = describe(name, result.model.quantities).unit
        pair = [
            _Group.of(result, name, region, reliable_only, fits, position)
            for position, region in enumerate((inside, outside))
        ]
        rows[name] = {"unit": unit, **_contrast(*pair)}
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
        Distance left out because of partial-volume voxels, mm.
    width : float
        Thickness of the shell, mm.
    within : array_like, shape of the lesion, optional
        Where the shell may lie, > 0, e.g. the organ or the fitted mask.

    Returns
    -------
    ndarray of bool, shape of the lesion

    Raises
    ------
    ShapeError
        If the lesion is empty, or the shapes differ.
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

    # Distances further away do not matter, and take more memory than the scan.
    near = tuple(
        slice(max(0, where.min() - reach), where.max() + reach + 1)
        for where, n, size in zip(np.nonzero(inside), inside.shape, voxel_size, strict=False)
        for reach in [int(min((gap + width) / size, n)) + 1 if size > 0 else n]
    )
    distance = ndimage.distance_transform_edt(~inside[near], sampling=voxel_size[: inside.ndim])
    shell = np.zeros(inside.shape, dtype=bool)
    shell[near] = (distance > gap) & (distance <= gap + width)
    if within is None:
        return shell
    allowed = np.asarray(within)
    if allowed.shape != inside.shape:
        raise ShapeError(
            f"the region to stay within has shape {allowed.shape}; expected {inside.shape}, "
            "that of the lesion"
        )
    return np.asarray(shell & (allowed > 0))


@dataclasses.dataclass(frozen=True)
class _Group:
    """One of the regions: the values used, and their statistics."""

    values: NDArray[np.float64]
    evidence: Evidence

    @classmethod
    def of(
        cls,
        result: FitResult,
        name: str,
        region: NDArray[np.bool_],
        reliable_only: bool,
        fits: FitResult | None,
        position: int,
    ) -> _Group:
        signal = Estimate()
        if fits is not None:
            parameter = describe(name, result.model.quantities)
            signal = of_mean_signal(fits, name, position, parameter)
        values, unreliable = result.maps[name], result.unreliable(name)
        return cls(*evidence_of(values, unreliable, region, signal, reliable_only=reliable_only))


def _mean_fits(
    result: FitResult,
    inside: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    wanted: bool | None,
) -> FitResult | None:
    """Return the fits of the mean signals of both regions; None if not wanted or impossible."""
    if wanted is False or (wanted is None and result.dwi is None):
        return None
    numbers = np.zeros_like(inside, dtype=np.int32)
    numbers[outside], numbers[inside] = 2, 1
    numbers.setflags(write=False)
    try:
        return roi_fit(result, Labels(numbers, {1: "lesion", 2: "reference"}))
    except OptionError:
        if wanted:
            raise
        return None


def _contrast(first: _Group, second: _Group) -> dict[str, Any]:
    lesion, reference = first.values, second.values
    (mean, sd), (reference_mean, reference_sd) = mean_sd(lesion), mean_sd(reference)
    difference = mean - reference_mean
    # The plain mean of both variances: a small lesion must have the weight of a large liver.
    pooled = math.hypot(sd, reference_sd) / math.sqrt(2)
    nothing = Effect(*[math.nan] * 5)
    found = effect(lesion, reference) if lesion.size and reference.size else nothing
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
        **dataclasses.asdict(found),
        **_said(first, second, judge(first.evidence, second.evidence, found)),
    }


def _said(first: _Group, second: _Group, verdict: Verdict) -> dict[str, Any]:
    return {
        "lesion_reliable": first.evidence.reliable,
        "reference_reliable": second.evidence.reliable,
        "lesion_valued": first.evidence.of,
        "reference_valued": second.evidence.of,
        "verdict": verdict.word,
        "basis": verdict.basis,
        "why": verdict.why,
        **_with_limits("lesion_value", verdict.lesion),
        **_with_limits("reference_value", verdict.reference),
        **_with_limits("value_difference", verdict.difference),
        "lesion_fit": first.evidence.signal.value,
        "reference_fit": second.evidence.signal.value,
    }


def _with_limits(name: str, of: Estimate) -> dict[str, float]:
    return {name: of.value, f"{name}_lo": of.low, f"{name}_hi": of.high}


def _separation(row: Mapping[str, Any]) -> tuple[float, float]:
    """Return the rank of a map; a missing g comes after any g, and no voxels last."""
    g, auc = float(row["g"]), float(row["auc"])
    distance = -1.0 if math.isnan(auc) else abs(auc - 0.5)
    return distance, -1.0 if math.isnan(g) else abs(g)
