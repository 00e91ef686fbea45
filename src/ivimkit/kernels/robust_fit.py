"""A fit of one voxel that values which do not belong to it hardly move."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device

__all__ = ["MAX_RESIDUAL", "robust_fit", "robust_rows"]

MAX_RESIDUAL = 3.0
"""Scale of the loss of Geman and McClure, in standard deviations of the noise: the pull of a value
grows up to a residual of 1.7, and falls again beyond."""

_MAX_STEPS = 40
_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-2, 1e-8, 1e8
_CHANGE = 1e-4
_LEAST_PIVOT = 1e-12


def signal_kernel(*_: Any) -> tuple[float, Any]:
    """Stand for the kernel of a model."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def robust_rows(n: int) -> int:
    """Return how many rows of scratch, each of n + 1 numbers, `robust_fit` needs."""
    return 2 * n + 2


@device
def _solved(matrix: NDArray[np.float64], n: int) -> bool:
    """Solve the n rows of a symmetric system in place: the last column becomes the solution."""
    for k in range(n):
        pivot = matrix[k, k]
        if not pivot > _LEAST_PIVOT:
            return False
        for j in range(k, n + 1):
            matrix[k, j] /= pivot
        for i in range(n):
            if i != k:
                factor = matrix[i, k]
                for j in range(k, n + 1):
                    matrix[i, j] -= factor * matrix[k, j]
    return True


@device
def _step(
    normal: NDArray[np.float64],
    params: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    damping: float,
    system: NDArray[np.float64],
    trial: NDArray[np.float64],
) -> bool:
    """Write parameters after a damped step inside the bounds to `trial`; False if there is none.

    The system is scaled to ones on its diagonal, as parameters have different units.
    """
    n = params.size
    for i in range(n):
        slope, size = normal[i, n], normal[i, i]
        # Fixed, or held by its bound.
        held = not size > 0.0 or lower[i] >= upper[i]
        held = held or (params[i] <= lower[i] and slope < 0.0)
        held = held or (params[i] >= upper[i] and slope > 0.0)
        trial[i] = 0.0 if held else 1.0 / math.sqrt(size)
    for i in range(n):
        for k in range(n):
            system[i, k] = trial[i] * trial[k] * normal[i, k]
        system[i, n] = trial[i] * normal[i, n]
        system[i, i] = 1.0 + damping
    if not _solved(system, n):
        return False
    for i in range(n):
        moved = params[i] + trial[i] * system[i, n]
        trial[i] = min(max(moved, lower[i]), upper[i])
    return True


def _normal(
    x: NDArray[np.float64],
    signal: NDArray[np.float64],
    scale: NDArray[np.float64],
    precision: float,
    params: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> float:
    """Write the weighted normal matrix and the slopes of the loss, and return the loss.

    The loss of a residual of z standard deviations is z^2 / (1 + z^2 / c^2) / 2, and its weight in
    the normal matrix 1 / (1 + z^2 / c^2)^2: those of Geman and McClure with c = `MAX_RESIDUAL`.
    """
    n = params.size
    for i in range(n):
        for k in range(n + 1):
            normal[i, k] = 0.0
    loss = 0.0
    for j in range(signal.size):
        if not scale[j] > 0.0:
            continue
        value, slopes = signal_kernel(x, j, params)
        own = precision * scale[j]
        z = own * (signal[j] - value)
        share = 1.0 / (1.0 + z * z / (MAX_RESIDUAL * MAX_RESIDUAL))
        loss += 0.5 * z * z * share
        weight = own * share * share
        for i in range(len(slopes)):
            pull = weight * slopes[i]
            normal[i, n] += pull * z
            for k in range(i + 1):
                normal[i, k] += pull * own * slopes[k]
    for i in range(n):
        for k in range(i):
            normal[k, i] = normal[i, k]
    return loss


def robust_fit(
    x: NDArray[np.float64],
    signal: NDArray[np.float64],
    scale: NDArray[np.float64],
    sigma: float,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    params: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Move parameters to a minimum of the loss of Geman and McClure, from where they are.

    It is a template: `ivimkit.engine.bind` puts the kernel of the model in. Damped steps of
    Gauss and Newton with weights that follow the residuals; parameters at a bound that the loss
    pushes against are held.

    Parameters
    ----------
    x : ndarray, shape (n_variables, n_rows)
        The acquisition.
    signal : ndarray, shape (n_rows,)
        Signal, a.u.
    scale : ndarray, shape (n_rows,)
        Root of the weight of each value; 0 leaves it out.
    sigma : float
        Noise of a value of weight 1, a.u.
    lower, upper : ndarray, shape (n_par,)
        Bounds.
    params : ndarray, shape (n_par,)
        Where to begin; receives the result.
    work : ndarray, shape (>= robust_rows(n_par), n_par + 1)
        Scratch.
    """
    n = params.size
    precision = 1.0 / sigma
    # Two normal matrices, of which one is that of the best parameters; the system is solved in
    # the rows of the other one, before these are written anew.
    best, other = work[:n], work[n : 2 * n]
    trial = work[2 * n, :n]
    loss = _normal(x, signal, scale, precision, params, best)
    damping = _DAMPING
    for _ in range(_MAX_STEPS):
        if not _step(best, params, lower, upper, damping, other, trial):
            break
        now = _normal(x, signal, scale, precision, trial, other)
        if now <= loss:
            change = loss - now
            for i in range(n):
                params[i] = trial[i]
            best, other = other, best
            loss = now
            damping = max(0.1 * damping, _LEAST_DAMPING)
            if change <= _CHANGE * (loss + _CHANGE):
                break
        else:
            damping *= 10.0
            if not damping < _MOST_DAMPING:
                break
