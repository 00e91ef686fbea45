"""Recovery: whether a contender recovers noise-free parameters, before its times count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Answer, Contender
from benchmarks.data import S0, two_pool_signal
from ivimkit.conventions import convert_D_star

__all__ = ["PARAMETERS", "recovery_error", "whole_rates"]

PARAMETERS = ("S0", "f", "D_star", "D")
"""The columns of an answer."""

_VOXELS = 64
_SEED = 11


def whole_rates(answer: Answer, contender: Contender) -> NDArray[np.float64]:
    """Return the parameters with D* as defined by ivimkit, shape (n_voxels, 4)."""
    params = np.array(answer.params, dtype=np.float64)
    # Nothing to convert, and a package may return values that no conversion accepts.
    if contender.convention != "whole":
        params[:, 2] = convert_D_star(params[:, 2], contender.convention, D=params[:, 3])
    return params


def recovery_error(
    contender: Contender,
    fit: Callable[[NDArray[np.float64]], Answer],
    bvals: NDArray[np.float64],
    *,
    voxels: int = _VOXELS,
) -> float:
    """Return the largest median relative error of the estimated parameters without noise.

    Parameters
    ----------
    contender : Contender
        Gives the ranges of true values, and its definition of D*.
    fit : callable
        Fits signals, shape (n_voxels, n_b).
    bvals : ndarray, shape (n_b,)
        b-values in s/mm^2.
    voxels : int
        Number of true values; a slow contender gets one second's worth, if that is fewer.

    Returns
    -------
    float
        Infinite if most voxels have no answer.
    """
    n = max(2, min(voxels, int(contender.pace)))
    uniform = np.random.default_rng(_SEED).uniform(size=(3, n))
    truth = {"S0": np.full(n, S0)}
    for row, name in zip(uniform, ("f", "D_star", "D"), strict=True):
        low, high = contender.checked[name]
        truth[name] = low + (high - low) * row
    params = whole_rates(fit(two_pool_signal(bvals, **truth)), contender)
    errors = [
        np.median(np.nan_to_num(np.abs(params[:, k] / truth[name] - 1.0), nan=np.inf))
        for k, name in enumerate(PARAMETERS)
        if name in contender.estimates
    ]
    return float(max(errors))
