"""Fits with one of the two decays: refit it alone, and test whether the other is missing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.memory import padded_in_kernel
from ivimkit.kernels.precision import in_single
from ivimkit.kernels.two_decays.atoms import NORMS, RATES, moments
from ivimkit.kernels.two_decays.descent import refine
from ivimkit.kernels.two_decays.fitted_decays import (
    CONVERGED,
    INSTANT_RATE,
    MIN_RATE_RATIO,
    Box,
    Fit,
    alone,
    better,
    survivor,
)
from ivimkit.kernels.two_decays.profile import SIGNAL_ROW

__all__ = ["missing_decays", "refit_merged", "simpler"]

# Squared slope over cost below which an entering decay gains nothing: with the first decay held, a
# decay of unit norm and slope q lowers the cost by at most q^2, at the amplitude q.
_MIN_ENTERING_SLOPE = 1e-9
# Costs that differ by less than this share are treated as equal.
_COST_TOLERANCE = 1e-11

in_single(__name__, _COST_TOLERANCE=1e-6)


@inlined
def _entering(
    single: float,
    amplitude: float,
    first: int,
    last: int,
    faster: bool,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the rate that would lower the cost of a fit of one decay most, and its squared slope.

    For a sum of decays with positive amplitudes this is the optimality condition: if no decay has
    a positive inner product with the residual, a second one cannot improve the fit.
    """
    # Half the cost has the slope -<e, r> by the amplitude of a decay e that enters at 0, with the
    # residual r = s - a e1. So <e, r> = <e, s> - a <e, e1>: the first is in `work`, the second is
    # a moment. Normalised by |e|, slopes of different decays can be compared.
    best = -math.inf
    entering = table[RATES, first]
    for k in range(first, last):
        rate = table[RATES, k]
        if (rate > MIN_RATE_RATIO * single) if faster else (MIN_RATE_RATIO * rate < single):
            product, _, _ = moments(table, single + rate)
            slope = (work[SIGNAL_ROW, k] - amplitude * product) / math.sqrt(table[NORMS, k])
            if slope > best:
                best = slope
                entering = rate
    return entering, best * best if best > 0.0 else -1.0


@device
def refit_merged(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    fit: Fit,
    box: Box,
    table: NDArray[np.float64],
) -> Fit:
    """Finish a fit whose two rates merged, or did not separate: refit that decay alone.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    fit : tuple
        As `refine` returns it.
    box : tuple of float
        Lower and upper bounds of S0, f, fast rate, slow rate.
    table : ndarray
        `ivimkit.kernels.two_decays.atoms.Dictionary.table`.

    Returns
    -------
    tuple
        As `refine` returns it.
    """
    r1, r2, a1, a2, cost, seen1, seen2, iterations, end = fit
    if end == CONVERGED:
        return fit
    which = survivor(r1, box)
    if which == 1:
        one = refine(b, root_weight, signal, r1, INSTANT_RATE, alone(1, box), table)
        r1 = one.slow
    elif which == 2:
        one = refine(b, root_weight, signal, 0.0, r2, alone(2, box), table)
        r2 = one.fast
    else:
        # The bounds on f require both decays: the rates stay as close as they are.
        return Fit(r1, r2, a1, a2, cost, seen1, seen2, iterations, CONVERGED)
    return Fit(
        r1, r2, one.slow_amplitude, one.fast_amplitude, one.cost, one.slow_seen, one.fast_seen,
        iterations + one.iterations, one.end,
    )  # fmt: skip


@device
def simpler(two: Fit, one: Fit, box: Box) -> Fit:
    """Return the fit with one decay if that with two is not better, with the iterations of both.

    The data do not determine the rate of an absent compartment, and rounding must not: it is put
    as close to the other rate as its bounds allow.
    """
    r1, r2, a1, a2, cost, seen1, seen2, n, end = better(two, one)
    if one.end == CONVERGED and one.cost <= two.cost * (1.0 + _COST_TOLERANCE):
        r1, r2, a1, a2, cost, seen1, seen2, _, end = one
    _, _, _, _, r2_low, r2_high, r1_low, r1_high = box
    if a2 == 0.0:
        r2 = min(max(r2_low, MIN_RATE_RATIO * r1), r2_high)
    elif a1 == 0.0:
        r1 = max(min(r1_high, r2 / MIN_RATE_RATIO), r1_low)
    return Fit(r1, r2, a1, a2, cost, seen1, seen2, n, end)


@device
def missing_decays(
    fit: Fit,
    box: Box,
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[Fit, float, float, float]:
    """Find the second decay that a fit of one decay lacks, if any, by its slope.

    Parameters
    ----------
    fit : tuple
        As `refit_merged` returns it.
    box, n1, n2, table
        As for `global_fit`.
    work : ndarray
        Scratch that contains the inner products of the signal with the dictionary.

    Returns
    -------
    fit : tuple
        The same with a rate for the absent decay; without iterations, which are counted already.
    single, faster, slower : float
        Rate of the decay that was fitted, and of a faster and a slower one to begin with in
        addition to it, negative where none can lower the cost.
    """
    r1, r2, a1, a2, cost, seen1, seen2, _, end = fit
    _, _, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    faster = slower = -1.0
    if (a1 > 0.0 and a2 > 0.0) or f_low == f_high:
        return fit, r1, faster, slower
    n1_padded = padded_in_kernel(n1)
    single = r1 if a2 == 0.0 else r2
    amplitude = a1 + a2
    if f_low == 0.0 and r1_low <= single <= r1_high:
        rate, slope = _entering(single, amplitude, n1_padded, n1_padded + n2, True, table, work)
        rate = min(max(rate, r2_low), r2_high)
        if a2 == 0.0:
            fit = Fit(r1, rate, a1, a2, cost, seen1, seen2, 0, end)
        if slope > _MIN_ENTERING_SLOPE * cost:
            faster = rate
    if f_high == 1.0 and r2_low <= single <= r2_high:
        rate, slope = _entering(single, amplitude, 0, n1, False, table, work)
        rate = min(max(rate, r1_low), r1_high)
        if a1 == 0.0:
            fit = Fit(rate, r2, a1, a2, cost, seen1, seen2, 0, end)
        if slope > _MIN_ENTERING_SLOPE * cost:
            slower = rate
    return fit, single, faster, slower
