"""The posterior of one voxel: locate it, integrate it, write what it says."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.two_decays.descent import squared_residual
from ivimkit.kernels.two_decays.fit import MIN_RATE_RATIO, Box, Fit
from ivimkit.kernels.two_decays.lattice.integrate import integrate
from ivimkit.kernels.two_decays.lattice.layout import (
    FAST_KNOT,
    FAST_MARGINAL,
    FAST_RATE,
    FAST_STEP,
    FRACTION_KNOT,
    FRACTION_MARGINAL,
    FRACTION_STEP,
    MAX_NODES,
    N_FRACTIONS,
    N_SCRATCH_ROWS,
    ROW_LENGTH,
    SLOW_KNOT,
    SLOW_MARGINAL,
    SLOW_STEP,
    SUMS,
)
from ivimkit.kernels.two_decays.lattice.locate import (
    N_COARSE_NODES,
    TAIL,
    bulk,
    curvature,
    locate,
    look_around,
)
from ivimkit.kernels.two_decays.lattice.options import (
    ARRAYS,
    CONSTANT,
    DEGREES,
    ESTIMATE,
    IS_FLAT,
    N_KNOTS,
    N_VALUES,
    POWER_CONSTANT,
    ROWS,
    SCALE,
    WRITES_BASIS,
)
from ivimkit.kernels.two_decays.lattice.quantiles import bits_gained, mode, quantile, write_spread
from ivimkit.kernels.two_decays.pools import EXTRA
from ivimkit.status import FitStatus

__all__ = ["posterior_voxel"]

# A flag of FitStatus, which stands in a layer that knows no numba.
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
# Nodes of the rates where the best fit is a good guide, and where there may be a long tail.
_N_NODES = 24
# The box to begin with, in units of what the curvature at the best fit says.
_CLEAR_REACH = 1.3
_UNCLEAR_REACH = 4.0
# Squared amplitude over its variance above which that curvature is worth listening to.
_MIN_CLEAR_DETECTABILITY = 40.0
# A noise variance below this share of the signal's squared norm is taken for it: beyond, the
# rounding of the inner products would be seen.
_MIN_VARIANCE_SHARE = 1e-11
# With this many degrees of freedom, a distribution of the variance is one value.
_MIN_KNOWN_DEGREES = 1e4
# Quantiles of the normal distribution, for S0.
_NORMAL_95 = 1.959964
_NORMAL_50 = 0.674490


@device
def posterior_voxel(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    measured: NDArray[np.float64],
    sigma: float,
    fit: Fit,
    box: Box,
    n_par: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Replace the best fit in `out` by what the posterior says.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    measured : ndarray, shape (n_b,)
        The signal before the noise floor was taken off.
    sigma : float
        Noise of one volume, a.u.; NaN if it is not known.
    fit : tuple
        As `ivimkit.kernels.two_decays.search.global_fit` returns it.
    box : tuple of float
        Bounds as `ivimkit.kernels.two_decays.pools.pool_bounds` returns them.
    n_par : int
        Number of parameters of the model.
    options : ndarray
        As `ivimkit.posterior_method.posterior_options` makes them.
    table : ndarray
        `ivimkit.kernels.two_decays.atoms.Dictionary.table`.
    work : ndarray
        Scratch.
    out : ndarray, shape (n_par + 2 + n_extras,)
        Holds the parameters of the best fit and its cost; receives the estimates, their cost and
        number of lattices, and `ivimkit.methods.bayes.Bayes.extras`; or, if the options ask for
        it, the integrals of the likelihood with each knot's function in place of the extras.

    Returns
    -------
    int
        0, or the flag of a voxel without signal: S0 is above 0 nowhere around the best fit.
    """
    own = options[EXTRA:]
    n1, n2, n3 = int(own[N_KNOTS]), int(own[N_KNOTS + 1]), int(own[N_KNOTS + 2])
    at = ARRAYS
    knots1, knots2 = own[at : at + n1], own[at + n1 : at + n1 + n2]
    at += n1 + n2
    knots3, prior1 = own[at : at + n3], own[at + n3 : at + n3 + n1]
    at += n3 + n1
    prior2, prior3 = own[at : at + n2], own[at + n2 : at + n2 + n3]
    at += n2 + n3
    size = 0 if own[IS_FLAT] > 0.0 else n1 * n2 * n3
    density = own[at : at + size].reshape((size // n3, n3))
    flat = work[int(own[ROWS]) :].reshape(-1)
    scratch = flat[: N_SCRATCH_ROWS * ROW_LENGTH].reshape((N_SCRATCH_ROWS, ROW_LENGTH))
    column = flat[N_SCRATCH_ROWS * ROW_LENGTH + b.size :][:n3]
    basis_size = n1 * n2 * n3 if own[WRITES_BASIS] > 0.0 else 0
    first = n_par + 2
    basis = out[first : first + basis_size].reshape((basis_size // n3, n3))
    for i in range(basis.shape[0]):
        for k in range(n3):
            basis[i, k] = 0.0

    i_s0, i_f, i_fast, i_slow = int(options[0]), int(options[1]), int(options[2]), int(options[3])
    best1 = out[i_slow]
    best2 = out[i_fast] if i_fast >= 0 else box.fast_low
    norm = 0.0
    for j in range(b.size):
        norm += (root_weight[j] * signal[j]) ** 2
    cost = out[n_par]
    top = norm - cost
    least = _MIN_VARIANCE_SHARE * norm
    degrees, scale = own[DEGREES], own[SCALE]
    variance = math.nan
    if sigma > 0.0:
        variance = max(sigma * sigma, least)
    elif degrees >= _MIN_KNOWN_DEGREES:
        variance = max(scale, least)
    power = 0.0
    if variance > 0.0:
        inverse = 0.5 / variance
        limit = top - 2.0 * TAIL * variance
        residual = 0.0
    else:
        power = 0.5 * (degrees + own[N_VALUES] - 1.0)
        residual = max(degrees * scale + cost, 2.0 * power * least)
        inverse = 1.0 / residual
        limit = top - residual * (math.exp(min(TAIL / power, 30.0)) - 1.0)
    limit = max(limit, 0.0)
    f_low, f_high = box.f_low, box.f_high
    extent = (
        max(box.slow_low, knots1[0]) if n1 > 1 else box.slow_low,
        min(box.slow_high, knots1[n1 - 1]) if n1 > 1 else box.slow_high,
        max(log(box.fast_low), knots2[0]) if n2 > 1 else log(box.fast_low),
        min(log(box.fast_high), knots2[n2 - 1]) if n2 > 1 else log(box.fast_high),
        f_low,
        f_high,
    )
    f = out[i_f] if i_f >= 0 else 0.0
    log2 = log(best2)
    judged = variance if variance > 0.0 else cost / max(options[6], 1.0)
    clear = min(fit.slow_seen, fit.fast_seen) > _MIN_CLEAR_DETECTABILITY * judged
    noise = math.sqrt(variance if variance > 0.0 else 0.5 * residual / power)
    sd1, sd2, sd_f = curvature((best1, best2, fit.slow_amplitude, fit.fast_amplitude), table)
    reach = (_CLEAR_REACH if clear else _UNCLEAR_REACH) * math.sqrt(top - limit)
    low1, high1, low2, high2, levels = locate(
        b,
        root_weight,
        signal,
        best1,
        best2,
        reach * sd1,
        reach * sd2,
        limit,
        extent,
        scratch,
        table,
    )
    centre = (best1, log2, f)
    peak = (noise * sd1, noise * sd2, noise * sd_f)
    nodes = _N_NODES
    if not clear:
        look = (low1, high1, low2, high2, f_low, f_high)
        look_around(b, root_weight, signal, best1, log2, limit, look, scratch, table)
        c1, w1, c2, w2, c3, w3 = bulk(top, inverse, power, look, scratch)
        # What is narrower than the steps of the coarse lattice, only the curvature can see.
        seen1 = peak[0] > 0.5 * (high1 - low1) / N_COARSE_NODES and w1 < math.inf
        seen2 = peak[1] > 0.5 * (high2 - low2) / N_COARSE_NODES and w2 < math.inf
        seen3 = peak[2] > 0.5 * (f_high - f_low) / N_FRACTIONS and w3 < math.inf
        centre = (c1 if seen1 else best1, c2 if seen2 else log2, c3 if seen3 else f)
        peak = (w1 if seen1 else peak[0], w2 if seen2 else peak[1], w3 if seen3 else peak[2])
        nodes = MAX_NODES
    axis1, axis2, axis3 = integrate(
        b,
        root_weight,
        signal,
        top,
        limit,
        inverse,
        power,
        nodes,
        centre,
        peak,
        (low1, high1, low2, high2, f_low, f_high),
        knots1,
        knots2,
        knots3,
        density,
        basis,
        scratch,
        column,
        table,
    )
    out[n_par + 1] = levels
    total = scratch[SUMS, 0]
    if not total > 0.0:
        return _NO_SIGNAL
    if basis_size > 0:
        for i in range(basis.shape[0]):
            for k in range(n3):
                basis[i, k] /= total
        return 0

    for k in range(1, 15):
        scratch[SUMS, k] /= total
    m1 = nodes if axis1[2] < axis1[3] else 1
    m2 = nodes if axis2[2] < axis2[3] else 1
    mean1, mean_f, mean2 = scratch[SUMS, 1], scratch[SUMS, 3], scratch[SUMS, 5]
    sd1 = math.sqrt(max(scratch[SUMS, 2] - mean1 * mean1, 0.0))
    sd_f = math.sqrt(max(scratch[SUMS, 4] - mean_f * mean_f, 0.0))
    sd2 = math.sqrt(max(scratch[SUMS, 6] - mean2 * mean2, 0.0))
    s0 = scratch[SUMS, 11]
    spread = variance
    if not variance > 0.0:
        spread = max(residual + top - scratch[SUMS, 14], residual) / max(2.0 * power - 2.0, 1.0)
    s0_sd = math.sqrt(max(scratch[SUMS, 12] - s0 * s0, 0.0) + spread * scratch[SUMS, 13])

    for k in range(first, out.size):
        out[k] = math.nan
    at = first + 5 * i_s0
    out[i_s0] = s0
    out[at] = s0_sd
    out[at + 1], out[at + 2] = s0 - _NORMAL_95 * s0_sd, s0 + _NORMAL_95 * s0_sd
    out[at + 3], out[at + 4] = s0 - _NORMAL_50 * s0_sd, s0 + _NORMAL_50 * s0_sd
    estimate = int(own[ESTIMATE])
    rest = first + 5 * n_par
    r1, r2 = best1, best2
    free1, free2, free3 = m1 > 1, m2 > 1 and i_fast >= 0, axis3[2] < axis3[3] and i_f >= 0
    if free1:
        write_spread(SLOW_MARGINAL, m1, axis1, sd1, first + 5 * i_slow, out, scratch)
        out[rest] = bits_gained(SLOW_MARGINAL, m1, SLOW_KNOT, prior1, scratch)
        if estimate == 0:
            r1 = mean1
        elif estimate == 1:
            r1 = quantile(SLOW_MARGINAL, m1, axis1, 0.5, scratch)
        else:
            for i in range(m1):
                scratch[SLOW_MARGINAL, i] /= scratch[SLOW_STEP, i]
            r1 = mode(SLOW_MARGINAL, m1, axis1, scratch)
    rest += 1
    if free2:
        at = first + 5 * i_fast
        write_spread(FAST_MARGINAL, m2, axis2, sd2, at, out, scratch)
        for k in range(at + 1, at + 5):
            out[k] = exp(out[k])
        out[rest] = bits_gained(FAST_MARGINAL, m2, FAST_KNOT, prior2, scratch)
        if estimate == 0:
            r2 = mean2
        elif estimate == 1:
            r2 = exp(quantile(FAST_MARGINAL, m2, axis2, 0.5, scratch))
        else:
            # The lattice is one of ln D*; the density of D* itself has a factor 1/D*.
            for j in range(m2):
                scratch[FAST_MARGINAL, j] /= scratch[FAST_STEP, j] * scratch[FAST_RATE, j]
            r2 = exp(mode(FAST_MARGINAL, m2, axis2, scratch))
            r2 = max(r2, MIN_RATE_RATIO * r1)
    rest += 1 if i_fast >= 0 else 0
    if free3:
        write_spread(FRACTION_MARGINAL, N_FRACTIONS, axis3, sd_f, first + 5 * i_f, out, scratch)
        out[rest] = bits_gained(FRACTION_MARGINAL, N_FRACTIONS, FRACTION_KNOT, prior3, scratch)
        if estimate == 0:
            f = mean_f
        elif estimate == 1:
            f = quantile(FRACTION_MARGINAL, N_FRACTIONS, axis3, 0.5, scratch)
        else:
            for k in range(N_FRACTIONS):
                scratch[FRACTION_MARGINAL, k] /= scratch[FRACTION_STEP, k]
            f = mode(FRACTION_MARGINAL, N_FRACTIONS, axis3, scratch)
    rest += 1 if i_f >= 0 else 0
    out[i_slow] = r1
    if i_f >= 0:
        out[i_f] = f
    if i_fast >= 0:
        out[i_fast] = r2
    if i_fast >= 0 and i_f >= 0:
        flow = scratch[SUMS, 8] if free2 or free3 else f * r2
        out[rest] = flow if estimate == 0 else f * r2
        if free2 or free3:
            out[rest + 1] = math.sqrt(max(scratch[SUMS, 10] - flow * flow, 0.0))
        if sd_f > 0.0 and sd2 > 0.0 and free2 and free3:
            out[rest + 2] = (scratch[SUMS, 8] - mean_f * mean2) / (sd_f * sd2)
        if sd_f > 0.0 and sd1 > 0.0 and free1 and free3:
            out[rest + 3] = (scratch[SUMS, 7] - mean_f * mean1) / (sd_f * sd1)
        if sd1 > 0.0 and sd2 > 0.0 and free1 and free2:
            out[rest + 4] = (scratch[SUMS, 9] - mean1 * mean2) / (sd1 * sd2)
        rest += 5
    out[rest] = math.sqrt(spread)
    evidence = math.log(total) + own[CONSTANT]
    if variance > 0.0:
        evidence -= 0.5 * (own[N_VALUES] - 1.0) * math.log(2.0 * math.pi * variance)
        evidence -= (norm - top) * inverse
    else:
        evidence += own[POWER_CONSTANT] - power * math.log(0.5 * residual)
    out[rest + 1] = evidence
    out[n_par] = squared_residual(b, root_weight, measured, r1, r2, (1.0 - f) * s0, f * s0)
    return 0
