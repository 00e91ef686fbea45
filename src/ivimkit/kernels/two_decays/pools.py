"""Parameters of a model to and from the four parameters of a sum of two decays.

A model with one decay, or with a fast compartment without signal at b > 0, lacks some of them;
they get fixed values here, so that one search serves all models.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.two_decays.fitted_decays import (
    INSTANT_RATE,
    MIN_RATE_RATIO,
    UNFINISHED,
    Box,
    Fit,
)
from ivimkit.kernels.two_decays.option_positions import DEGREES, FAST, FRACTION, S0, SLOW
from ivimkit.status import FitStatus

__all__ = ["pool_bounds", "store_pools"]

_MIN_FAST_RATE = 1e-6
# Flags of FitStatus, which is in a layer without numba.
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
_NOT_CONVERGED = int(FitStatus.NOT_CONVERGED)
_PERFUSION_NOT_DETECTED = int(FitStatus.PERFUSION_NOT_DETECTED)
_TISSUE_NOT_DETECTED = int(FitStatus.TISSUE_NOT_DETECTED)
# An amplitude is detected if it differs from 0 by 1.96 standard deviations (5 % level). This is
# the square, for squared amplitudes over their variances.
_MIN_DETECTABILITY = 1.959964**2
# A share of the signal that is rounding, however low the noise.
_MIN_AMPLITUDE_SHARE = 1e-8
# A value this close to its bound, relative, is put on it: the two may differ by rounding.
_BOUND_TOLERANCE = 1e-7


@device
def pool_bounds(
    lower: NDArray[np.float64], upper: NDArray[np.float64], options: NDArray[np.float64]
) -> Box:
    """Return lower and upper bounds of S0, f, fast rate and slow rate; equal ones if missing."""
    i_s0, i_f, i_fast, i_slow = (
        int(options[S0]),
        int(options[FRACTION]),
        int(options[FAST]),
        int(options[SLOW]),
    )
    # The fast rate is searched in its logarithm.
    return Box(
        lower[i_s0],
        upper[i_s0],
        lower[i_f] if i_f >= 0 else 0.0,
        upper[i_f] if i_f >= 0 else 0.0,
        max(lower[i_fast], _MIN_FAST_RATE) if i_fast >= 0 else INSTANT_RATE,
        max(upper[i_fast], _MIN_FAST_RATE) if i_fast >= 0 else INSTANT_RATE,
        lower[i_slow],
        upper[i_slow],
    )


@inlined
def _on_bound(value: float, low: float, high: float) -> float:
    """Return a rate or a fraction, or the bound that it is on."""
    if abs(value - low) <= _BOUND_TOLERANCE * low:
        return low
    return high if abs(value - high) <= _BOUND_TOLERANCE * high else value


@device
def store_pools(
    fit: Fit,
    options: NDArray[np.float64],
    box: Box,
    out: NDArray[np.float64],
) -> int:
    """Write the result of a fit of two decays to the model's parameters and return the status.

    Parameters
    ----------
    fit : tuple
        As `ivimkit.kernels.two_decays.descent.refine` returns it.
    options : ndarray
        As `ivimkit.kernels.two_decays.option_positions.two_decay_options` makes it.
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
    if end == UNFINISHED:
        return _NOT_CONVERGED
    s0 = a1 + a2
    if not s0 > 0.0:
        return _NO_SIGNAL
    i_s0, i_f, i_fast, i_slow = (
        int(options[S0]),
        int(options[FRACTION]),
        int(options[FAST]),
        int(options[SLOW]),
    )
    # The rate of an absent compartment stays on its side of the other.
    if a1 == 0.0 and box.slow_low < box.slow_high:
        r1 = max(min(r1, r2 / MIN_RATE_RATIO), box.slow_low)
    if a2 == 0.0 and box.fast_low < box.fast_high:
        r2 = min(max(r2, MIN_RATE_RATIO * r1), box.fast_high)
    r1 = _on_bound(r1, box.slow_low, box.slow_high)
    r2 = _on_bound(r2, box.fast_low, box.fast_high)
    out[i_s0] = min(max(s0, box.s0_low), box.s0_high)
    out[i_slow] = r1
    if i_f >= 0:
        out[i_f] = _on_bound(min(max(a2 / s0, box.f_low), box.f_high), box.f_low, box.f_high)
    if i_fast >= 0:
        out[i_fast] = r2
    out[-2] = cost
    out[-1] = iterations
    code = 0
    # The residuals estimate the noise variance, in units of which `seen` is.
    noise = cost / options[DEGREES] if options[DEGREES] > 0.0 else 0.0
    if i_fast >= 0 and (a2 <= _MIN_AMPLITUDE_SHARE * s0 or seen2 < _MIN_DETECTABILITY * noise):
        code |= _PERFUSION_NOT_DETECTED
    if i_f >= 0 and (a1 <= _MIN_AMPLITUDE_SHARE * s0 or seen1 < _MIN_DETECTABILITY * noise):
        code |= _TISSUE_NOT_DETECTED
    return code
