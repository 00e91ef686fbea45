"""Where a model keeps the four parameters of a two-pool signal.

A model with one pool, or with a fast pool that is gone at once, lacks some of them; they get
fixed values here, so that one search serves all models.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.two_pools import APART, GONE, Box, Fit
from ivimkit.status import FitStatus

__all__ = ["EXTRA", "pool_bounds", "pool_options", "store_pools"]

EXTRA = 7
"""Position of a method's own numbers behind those of `pool_options`."""

_SLOWEST = 1e-6
# Flags of FitStatus, which stands in a layer that knows no numba.
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
_NOT_CONVERGED = int(FitStatus.NOT_CONVERGED)
_PERFUSION_NOT_DETECTED = int(FitStatus.PERFUSION_NOT_DETECTED)
_TISSUE_NOT_DETECTED = int(FitStatus.TISSUE_NOT_DETECTED)
# An amplitude is seen if it differs from 0 by this many standard deviations (5 % level).
_DETECTED = 1.959964**2
# A share of the signal that is rounding, however little noise there is.
_NOTHING = 1e-8
# What is this close to its bound, relative, is on it: rounding may put the two apart.
_ON_BOUND = 1e-7


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
    lower: NDArray[np.float64], upper: NDArray[np.float64], options: NDArray[np.float64]
) -> Box:
    """Return lower and upper bounds of S0, f, fast rate and slow rate; equal ones if missing."""
    i_s0, i_f, i_fast, i_slow = int(options[0]), int(options[1]), int(options[2]), int(options[3])
    # The fast rate is searched in its logarithm.
    return (
        lower[i_s0],
        upper[i_s0],
        lower[i_f] if i_f >= 0 else 0.0,
        upper[i_f] if i_f >= 0 else 0.0,
        max(lower[i_fast], _SLOWEST) if i_fast >= 0 else GONE,
        max(upper[i_fast], _SLOWEST) if i_fast >= 0 else GONE,
        lower[i_slow],
        upper[i_slow],
    )


@inlined
def _on_bound(value: float, low: float, high: float) -> float:
    """Return a rate or a fraction, or the bound that it is on."""
    if abs(value - low) <= _ON_BOUND * low:
        return low
    return high if abs(value - high) <= _ON_BOUND * high else value


@device
def store_pools(
    fit: Fit,
    options: NDArray[np.float64],
    box: Box,
    out: NDArray[np.float64],
) -> int:
    """Write the result of a two-pool fit to the model's parameters and return the status.

    Parameters
    ----------
    fit : tuple
        As `ivimkit.kernels.two_pools.refine` returns it.
    options : ndarray
        As `pool_options` makes it.
    box : tuple of float
        As `pool_bounds` returns it.
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
    # The rate of a pool that is not there keeps its side of the other.
    if a1 == 0.0 and box[6] < box[7]:
        r1 = max(min(r1, r2 / APART), box[6])
    if a2 == 0.0 and box[4] < box[5]:
        r2 = min(max(r2, APART * r1), box[5])
    r1 = _on_bound(r1, box[6], box[7])
    r2 = _on_bound(r2, box[4], box[5])
    out[i_s0] = min(max(s0, box[0]), box[1])
    out[i_slow] = r1
    if i_f >= 0:
        out[i_f] = _on_bound(min(max(a2 / s0, box[2]), box[3]), box[2], box[3])
    if i_fast >= 0:
        out[i_fast] = r2
    out[-2] = cost
    out[-1] = iterations
    code = 0
    noise = cost / options[6] if options[6] > 0.0 else 0.0
    if i_fast >= 0 and (a2 <= _NOTHING * s0 or seen2 < _DETECTED * noise):
        code |= _PERFUSION_NOT_DETECTED
    if i_f >= 0 and (a1 <= _NOTHING * s0 or seen1 < _DETECTED * noise):
        code |= _TISSUE_NOT_DETECTED
    return code
