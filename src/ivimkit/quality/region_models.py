"""model_table: which model the voxels of a region and its mean signal support, and a verdict."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import models
from ivimkit.errors import AcquisitionError, AcquisitionWarning
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.compared_models import values_needed
from ivimkit.fitting.comparison import Comparison, compare_with, regions_of
from ivimkit.rounding import percent, rounded
from ivimkit.scan.dwi import DWI
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["in_tenths", "model_table", "verdicts"]

MIN_DIFFERENCE = 2.0
"""Difference of AICc below which both models have substantial support."""

MIN_SHARE = 0.5
"""Share of the voxels from which they are said to support a model."""


def model_table(
    comparison: Comparison,
    labels: ArrayLike | Labels | None = None,
    label_names: Mapping[int, str] | None = None,
) -> pd.DataFrame:
    """Say which model each region supports: voxel by voxel, and by its mean signal.

    The mean signal has little noise, and shows what a voxel hides. It is always judged by AICc
    with the residuals as noise: the noise of the mean is smaller than the misfit of any model.

    Parameters
    ----------
    comparison : Comparison
        The result of `ivimkit.compare`.
    labels : Labels or array_like of int, shape of the maps, optional
        Region of each voxel; 0 is none. By default one row, ``"all"``, for the mask.
    label_names : mapping of int to str, optional
        Names of the regions.

    Returns
    -------
    pandas.DataFrame
        One row per region: the columns of `Comparison.table`; for each model
        ``mean_weight_<model>``, its Akaike weight in the mean signal, and
        ``mean_difference_<model>``, by how much its AICc is above the lowest; ``mean_chosen``, the
        name of the best model of the mean signal; and ``verdict``, a sentence. NaN, and an empty
        name, where the mean signal cannot be judged: with too few b-values for a model, or in a
        region without voxels.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, or there is no region.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(24, 18, 1), seed=3)
    >>> table = ik.quality.model_table(ik.compare(made.dwi), made.labels, made.label_names)
    >>> table.loc["liver", "mean_chosen"]
    'biexp'
    """
    known = labels.names if isinstance(labels, Labels) else {}
    names = {**known, **(label_names or {})}
    table = comparison.table(None if labels is None else np.asarray(labels), names)
    regions = {"all": comparison.mask}
    if labels is not None:
        regions = regions_of(np.asarray(labels), comparison.shape, names)
    means = _means(comparison, regions)
    for kind, column in (("weight", "mean_weight_"), ("difference", "mean_difference_")):
        for name in comparison.names:
            found = [getattr(means[region], kind).get(name, math.nan) for region in table.index]
            table[f"{column}{name}"] = found
    table["mean_chosen"] = [means[region].best for region in table.index]
    table["verdict"] = [
        _verdict(comparison, table.loc[region], means[region]) for region in table.index
    ]
    return table


def verdicts(table: pd.DataFrame) -> list[str]:
    """Return one sentence per region of `model_table`, with its name."""
    return [f"{region}: {sentence}" for region, sentence in table["verdict"].items()]


def in_tenths(difference: float) -> str:
    """Write a difference of AICc, of which 2 is the least that matters."""
    return rounded(difference, 0.5 * MIN_DIFFERENCE)


@dataclass(frozen=True)
class _Mean:
    """The models of a mean signal: Akaike weights, and AICc above the lowest."""

    weight: dict[str, float]
    difference: dict[str, float]

    @property
    def best(self) -> str:
        return min(self.difference, key=lambda name: self.difference[name], default="")

    @property
    def next_best(self) -> str:
        others = {k: v for k, v in self.difference.items() if k != self.best}
        return min(others, key=lambda name: others[name], default="")


def _means(comparison: Comparison, regions: Mapping[str, NDArray[np.bool_]]) -> dict[str, _Mean]:
    """Compare the models in the mean signal of every region that has voxels."""
    found = {region: _Mean({}, {}) for region in regions}
    fair = comparison.chosen >= 0
    some = {name: inside & fair for name, inside in regions.items() if (inside & fair).any()}
    first = next(iter(comparison.results.values()))
    if not some or first.dwi is None:
        return found
    dwi = first.dwi
    curves = np.stack([dwi.curve(inside) for inside in some.values()])
    means = DWI(curves, dwi.value_acquisition, average="none").with_weights(dwi.fit_counts)
    fitted = [
        _of_means(result.model, list(some.values())) for result in comparison.results.values()
    ]
    method = first.method if first.method.least_squares else None
    with warnings.catch_warnings():
        # The comparison of the voxels has already warned about the b-values.
        warnings.simplefilter("ignore", AcquisitionWarning)
        try:
            judged = compare_with(means, fitted, method=method, threads=1)
        except AcquisitionError:
            return found
    for k, region in enumerate(some):
        if judged.chosen[k] >= 0:
            scores = {name: float(values[k]) for name, values in judged.scores.items()}
            lowest = min(scores.values())
            found[region] = _Mean(
                {name: float(values[k]) for name, values in judged.weights.items()},
                {name: score - lowest for name, score in scores.items()},
            )
    return found


def _of_means(model: SignalModel, regions: list[NDArray[np.bool_]]) -> SignalModel:
    """Return the model with the maps that fix a parameter as their means in the regions."""
    means = {
        name: np.array([values[inside].mean() for inside in regions])
        for name, values in model.fixed_maps.items()
    }
    return model.with_fixed(**means) if means else model


def _verdict(comparison: Comparison, row: pd.Series, mean: _Mean) -> str:
    """Return the sentence about a region."""
    if row["n"] == 0:
        return "No voxel of the region has a fit of all models."
    shares = {name: float(row[f"share_{name}"]) for name in comparison.names}
    voxels = max(shares, key=lambda name: shares[name])
    said = f"{voxels} in {percent(shares[voxels])} of the voxels"
    if not mean.best:
        return f"{said[:1].upper()}{said[1:]}; the mean signal cannot be judged."
    difference = mean.difference[mean.next_best]
    apart = in_tenths(difference)
    if difference < MIN_DIFFERENCE:
        return (
            f"Not decided: the mean signal supports {mean.best} and {mean.next_best} alike "
            f"(AICc {apart} apart); {said}."
        )
    best = f"{mean.best} by the mean signal (AICc {apart} below that of {mean.next_best})"
    absent = _too_large(comparison)
    if absent:
        # The best of those compared may be far from good.
        return (
            f"Of the models compared, {best}; {said}. Too few b-values to compare "
            f"{', '.join(absent)}."
        )
    if voxels == mean.best and shares[voxels] >= MIN_SHARE:
        return f"Use {best}; {said}."
    n_free = {name: result.model.n_free for name, result in comparison.results.items()}
    if n_free[mean.best] > n_free[voxels]:
        why = f"the noise of a voxel hides what {mean.best} adds, or the region is mixed"
    else:
        why = "the voxels differ from each other"
    return f"Use {best} for the region; {said}: {why}."


def _too_large(comparison: Comparison) -> list[str]:
    """Return the models of b alone with too many parameters for the scan."""
    first = next(iter(comparison.results.values()))
    if first.dwi is None:
        return []
    n_values = int(np.count_nonzero(first.dwi.fit_counts))
    known = (models.get(name) for name in comparison.left_out if name in models.names())
    return [
        model.name
        for model in known
        if model.variables == ("b",) and n_values < values_needed(model, "aicc")
    ]
