"""Where a model keeps the four parameters of a two-pool signal.

A model with one pool, or with a fast pool that is gone at once, lacks some of them; they get
fixed values here, so that one search serves all models.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.status import FitStatus

__all__ = ["EXTRA", "GONE", "N_BOUNDS", "pool_bounds", "pool_options", "store_pools"]

GONE = 1e9
"""Rate in mm^2/s of a pool without signal at any b > 0."""

N_BOUNDS = 8
"""Scratch numbers for the bounds: lower and upper of S0, f, fast rate, slow rate."""

EXTRA = 7
"""Position of a method's own numbers behind those of `pool_options`."""

# Flags of FitStatus, which stands in a layer that knows no numba.
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
_NOT_CONVERGED = int(FitStatus.NOT_CONVERGED)
_PERFUSION_NOT_DETECTED = int(FitStatus.PERFUSION_NOT_DETECTED)
_TISSUE_NOT_DETECTED = int(FitStatus.TISSUE_NOT_DETECTED)
# An amplitude is seen if it differs from 0 by this many standard deviations (5 % level).
_DETECTED = 1.959964**2


def pool_options(
    positions: tuple[int, int, int, int], n_slow: int, n_fast: int, degrees: int, *extra: float
) -> NDArray[np.float64]:
    """Return the options array that `pool_bounds` and `store_pools` read.

    Parameters
    ----------
    positions : tuple of int
        Positions of S0, fraction, fast and slow rate among the model's parameters; -1 for none.
    n_slow, n_fast : int
        Number of slow and of fast rates in the dictionary.
    degrees : int
        Degrees of freedom of the residual.
    *extra : float
        A method's own numbers, from position `EXTRA` on.

    Returns
    -------
    ndarray, shape (EXTRA + number of extra values,)
    """
    return np.array([*positions, n_slow, n_fast, degrees, *extra], dtype=np.float64)


@device
def pool_bounds(
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    layout: NDArray[np.float64],
    bounds: NDArray[np.float64],
) -> None:
    """Write lower and upper bounds of S0, f, fast and slow rate to bounds[0:4] and bounds[4:8]."""
    for k in range(4):
        index = int(layout[k])
        missing = GONE if k == 2 else 0.0
        bounds[k] = lower[index] if index >= 0 else missing
        bounds[4 + k] = upper[index] if index >= 0 else missing
    # The fast rate is searched in its logarithm.
    bounds[2] = max(bounds[2], 1e-6)
    bounds[6] = max(bounds[6], 1e-6)


@device
def store_pools(
    fit: tuple[float, float, float, float, float, float, float, int, int],
    options: NDArray[np.float64],
    bounds: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Write the result of a two-pool fit to the model's parameters and return the status.

    Parameters
    ----------
    fit : tuple
        As `ivimkit.kernels.two_pools.refine` returns it.
    options : ndarray
        As `pool_options` makes it.
    bounds : ndarray, shape (8,)
        As `pool_bounds` makes it.
    out : ndarray, shape (n_par + 2,)
        Parameters, weighted sum of squares, iterations.

    Returns
    -------
    int
        A sum of `ivimkit.status.FitStatus` flags.
    """
    r1, r2, a1, a2, cost, seen1, seen2, iterations, end = fit
    if end == 2:
        return _NOT_CONVERGED
    s0 = a1 + a2
    if not s0 > 0.0:
        return _NO_SIGNAL
    i_s0, i_f, i_fast, i_slow = int(options[0]), int(options[1]), int(options[2]), int(options[3])
    out[i_s0] = min(max(s0, bounds[0]), bounds[4])
    out[i_slow] = r1
    if i_f >= 0:
        out[i_f] = min(max(a2 / s0, bounds[1]), bounds[5])
    if i_fast >= 0:
        out[i_fast] = r2
    out[-2] = cost
    out[-1] = iterations
    code = 0
    noise = cost / options[6] if options[6] > 0.0 else 0.0
    if i_fast >= 0 and (a2 == 0.0 or seen2 < _DETECTED * noise):
        code |= _PERFUSION_NOT_DETECTED
    if i_f >= 0 and (a1 == 0.0 or seen1 < _DETECTED * noise):
        code |= _TISSUE_NOT_DETECTED
    return code
