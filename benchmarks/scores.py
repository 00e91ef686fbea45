"""Scores: the errors of a contender on one set, and whether it reports them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Contender
from benchmarks.data import DataSet
from benchmarks.error import ESTIMATED, bias, median_relative, rmse
from benchmarks.recovery import PARAMETERS
from benchmarks.reference import cost_of

__all__ = ["OPTIMUM", "WRONG", "Scores", "scores_of"]

OPTIMUM = 1.001
"""A sum of squares up to this many times the reference is at the optimum."""
WRONG = 0.5
"""A relative error above this is wrong, and should have been reported."""


@dataclass(frozen=True)
class Scores:
    """The performance of one contender on one set.

    Parameters
    ----------
    voxels : int
        Number of voxels.
    optimum : float or None
        Fraction of voxels at the global optimum within its bounds; None if it fits another model.
    failed : float
        Fraction of voxels without an answer.
    silent : float or None
        Fraction of voxels with a wrong parameter and no warning; None without truth.
    errors : dict of str to tuple
        By parameter: median relative error in per cent, bias and RMSE in the unit of tables.
    """

    voxels: int
    optimum: float | None
    failed: float
    silent: float | None
    errors: dict[str, tuple[float | None, float | None, float | None]]


def scores_of(
    contender: Contender,
    data: DataSet,
    params: NDArray[np.float64],
    flagged: NDArray[np.bool_],
    reference: NDArray[np.float64] | None,
) -> Scores:
    """Evaluate the answer to a set.

    Parameters
    ----------
    contender : Contender
        The contender.
    data : DataSet
        The voxels that it answered.
    params : ndarray, shape (n_voxels, 4)
        S0, f, D* and D, D* as defined by ivimkit.
    flagged : ndarray of bool, shape (n_voxels,)
        Where it warned.
    reference : ndarray, shape (n_reference,), or None
        The lowest sum of squares of the first voxels within its bounds; None if it fits another
        model.

    Returns
    -------
    Scores
    """
    given = [PARAMETERS.index(name) for name in contender.estimates]
    failed = np.isnan(params[:, given]).any(axis=1)
    maps = {name: np.where(failed, np.nan, params[:, k]) for k, name in enumerate(PARAMETERS)}
    maps = {name: values for name, values in maps.items() if name in contender.estimates}
    optimum = None
    if reference is not None:
        few = min(reference.size, params.shape[0])
        costs = cost_of(data.bvals, data.signal[:few], params[:few])
        # NaN, for failed voxels, is not at the optimum.
        optimum = float(np.mean(costs <= OPTIMUM * reference[:few]))
    silent, errors = None, {}
    if data.truth:
        wrong = np.zeros(failed.size, dtype=bool)
        for name, values in maps.items():
            wrong |= np.abs(values / data.truth[name] - 1.0) > WRONG
        silent = float(np.mean(wrong & ~flagged & ~failed))
        # There is no mean of zero voxels.
        answered = {} if failed.all() else maps
        errors = {
            name: (
                median_relative(answered, data.truth, name),
                bias(answered, data.truth, name),
                rmse(answered, data.truth, name),
            )
            for name in ESTIMATED
        }
    return Scores(
        voxels=failed.size,
        optimum=optimum,
        failed=float(np.mean(failed)),
        silent=silent,
        errors=errors,
    )
