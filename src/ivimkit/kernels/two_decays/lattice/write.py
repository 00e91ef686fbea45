"""Write the summary of a posterior: estimates, their spread, information, evidence."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import pasted
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.two_decays.descent import squared_residual
from ivimkit.kernels.two_decays.fitted_decays import MIN_RATE_RATIO
from ivimkit.kernels.two_decays.lattice.axes import Axis, is_open, masses
from ivimkit.kernels.two_decays.lattice.lattice_options import (
    ESTIMATE,
    LOG_DENSITY,
    N_VALUES,
    POWER_CONSTANT,
)
from ivimkit.kernels.two_decays.lattice.pairs import Likelihood
from ivimkit.kernels.two_decays.lattice.prior_knots import Prior
from ivimkit.kernels.two_decays.lattice.quantiles import bits_gained, mode, quantile, write_spread
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    FAST_KNOT,
    FAST_MARGINAL,
    FAST_RATE,
    FAST_STEP,
    FRACTION_KNOT,
    FRACTION_MARGINAL,
    FRACTION_STEP,
    SLOW_KNOT,
    SLOW_MARGINAL,
    SLOW_STEP,
)
from ivimkit.kernels.two_decays.lattice.sums import Moments
from ivimkit.kernels.two_decays.lattice.variance import Variance
from ivimkit.kernels.two_decays.option_positions import FAST, FRACTION, S0, SLOW
from ivimkit.kernels.voxel import Voxel

__all__ = ["Lattice", "write_posterior"]

# Quantiles of the normal distribution, for S0.
_NORMAL_95 = 1.959964
_NORMAL_50 = 0.674490


class Lattice(NamedTuple):
    """Axes of a lattice, and the numbers of nodes of rates and fraction that are not fixed."""

    slow: Axis
    fast: Axis
    fraction: Axis
    nodes: tuple[int, int, int]


@pasted
def write_posterior(
    voxel: Voxel,
    measured: NDArray[np.float64],
    best: tuple[float, float, float],
    unit: float,
    likelihood: Likelihood,
    noise: Variance,
    prior: Prior,
    lattice: Lattice,
    found: Moments,
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write estimates, spread, information and evidence from sums and marginals in the scratch.

    Parameters
    ----------
    voxel : Voxel
        The voxel.
    measured : ndarray, shape (n_b,)
        The signal before the noise floor was subtracted.
    best : tuple of float
        Slow rate, fast rate and fraction of the best fit, for fixed parameters.
    unit : float
        Norm of the signal, the unit of S0 in the moments.
    likelihood : Likelihood
        The likelihood, for a signal in that unit.
    noise : Variance
        The noise variance.
    prior : Prior
        The prior; the information gained is relative to its marginals.
    lattice : Lattice
        The lattice that was summed.
    found : Moments
        Moments of the posterior.
    scratch : ndarray
        The scratch of a lattice, with the marginals.
    out : ndarray, shape (n_par + 2 + n_extras,)
        Receives estimates, cost, and `ivimkit.methods.bayes.Bayes.extras`.
    """
    options = voxel.options
    i_s0, i_f = int(options[S0]), int(options[FRACTION])
    i_fast, i_slow = int(options[FAST]), int(options[SLOW])
    axis1, axis2, axis3, nodes = lattice
    variance, _, power, residual, _ = noise
    prior1, prior2, prior3 = prior.slow_marginal, prior.fast_marginal, prior.fraction_marginal
    best1, best2, f = best
    n_par = voxel.lower.size
    first = n_par + 2
    m1 = nodes[0] if is_open(axis1) else 1
    m2 = nodes[1] if is_open(axis2) else 1
    m3 = nodes[2]
    mean1, mean2, mean_f = found.slow, found.fast, found.fraction
    sd1 = math.sqrt(max(found.slow_slow, 0.0))
    sd2 = math.sqrt(max(found.fast_fast, 0.0))
    sd_f = math.sqrt(max(found.fraction_fraction, 0.0))
    s0 = unit * found.s0
    # The posterior mean of an integrated variance, an inverse chi-squared one with 2 power degrees
    # of freedom and the sum of squares residual (1 + drop), is the latter over 2 power - 2.
    spread = variance
    if not variance > 0.0:
        spread = residual * (1.0 + found.drop) / max(2.0 * power - 2.0, 1.0)
    # Law of total variance: that of the means c/q over the lattice, plus the mean of sigma^2/q.
    s0_sd = math.sqrt(unit * unit * max(found.s0_s0, 0.0) + spread * found.inverse_norm)

    for k in range(first, out.size):
        out[k] = math.nan
    at = first + 5 * i_s0
    out[i_s0] = s0
    out[at] = s0_sd
    out[at + 1], out[at + 2] = s0 - _NORMAL_95 * s0_sd, s0 + _NORMAL_95 * s0_sd
    out[at + 3], out[at + 4] = s0 - _NORMAL_50 * s0_sd, s0 + _NORMAL_50 * s0_sd
    estimate = int(options[ESTIMATE])
    rest = first + 5 * n_par
    r1, r2 = best1, best2
    free1, free2, free3 = m1 > 1, m2 > 1 and i_fast >= 0, is_open(axis3) and i_f >= 0
    if free1:
        out[rest] = bits_gained(SLOW_MARGINAL, m1, SLOW_KNOT, prior1, scratch)
        masses(m1, SLOW_MARGINAL, SLOW_STEP, scratch)
        write_spread(SLOW_MARGINAL, m1, axis1, sd1, first + 5 * i_slow, out, scratch)
        if estimate == 0:
            r1 = mean1
        elif estimate == 1:
            r1 = quantile(SLOW_MARGINAL, m1, axis1, 0.5, scratch)
        else:
            for i in range(m1):
                scratch[SLOW_MARGINAL + i] /= scratch[SLOW_STEP + i]
            r1 = mode(SLOW_MARGINAL, m1, axis1, scratch)
    rest += 1
    if free2:
        at = first + 5 * i_fast
        out[rest] = bits_gained(FAST_MARGINAL, m2, FAST_KNOT, prior2, scratch)
        masses(m2, FAST_MARGINAL, FAST_STEP, scratch)
        write_spread(FAST_MARGINAL, m2, axis2, sd2, at, out, scratch)
        for k in range(at + 1, at + 5):
            out[k] = exp(out[k])
        if estimate == 0:
            r2 = mean2
        elif estimate == 1:
            r2 = exp(quantile(FAST_MARGINAL, m2, axis2, 0.5, scratch))
        else:
            # The lattice is in ln D*; the density of D* itself has a factor 1/D*.
            for j in range(m2):
                scratch[FAST_MARGINAL + j] /= scratch[FAST_STEP + j] * scratch[FAST_RATE + j]
            r2 = exp(mode(FAST_MARGINAL, m2, axis2, scratch))
            r2 = max(r2, MIN_RATE_RATIO * r1)
    rest += 1 if i_fast >= 0 else 0
    if free3:
        out[rest] = bits_gained(FRACTION_MARGINAL, m3, FRACTION_KNOT, prior3, scratch)
        masses(m3, FRACTION_MARGINAL, FRACTION_STEP, scratch)
        write_spread(FRACTION_MARGINAL, m3, axis3, sd_f, first + 5 * i_f, out, scratch)
        if estimate == 0:
            f = mean_f
        elif estimate == 1:
            f = quantile(FRACTION_MARGINAL, m3, axis3, 0.5, scratch)
        else:
            for k in range(m3):
                scratch[FRACTION_MARGINAL + k] /= scratch[FRACTION_STEP + k]
            f = mode(FRACTION_MARGINAL, m3, axis3, scratch)
    rest += 1 if i_f >= 0 else 0
    out[i_slow] = r1
    if i_f >= 0:
        out[i_f] = f
    if i_fast >= 0:
        out[i_fast] = r2
    if i_fast >= 0 and i_f >= 0:
        flow = found.flow if free2 or free3 else f * r2
        out[rest] = flow if estimate == 0 else f * r2
        if free2 or free3:
            out[rest + 1] = math.sqrt(max(found.flow_flow, 0.0))
        if sd_f > 0.0 and sd2 > 0.0 and free2 and free3:
            out[rest + 2] = found.fast_fraction / (sd_f * sd2)
        if sd_f > 0.0 and sd1 > 0.0 and free1 and free3:
            out[rest + 3] = found.slow_fraction / (sd_f * sd1)
        if sd1 > 0.0 and sd2 > 0.0 and free1 and free2:
            out[rest + 4] = found.slow_fast / (sd1 * sd2)
        rest += 5
    out[rest] = math.sqrt(spread)
    # The evidence is the integral of likelihood times prior, S0 integrated over a flat prior.
    # The total is relative to the best fit and lacks the factors that are the same at all nodes:
    # (2 pi v)^(-(n - 1) / 2) exp(-cost / (2 v)), or those of the integral over the variance.
    evidence = math.log(found.total) + options[LOG_DENSITY]
    if variance > 0.0:
        evidence -= 0.5 * (options[N_VALUES] - 1.0) * math.log(2.0 * math.pi * variance)
        evidence -= (1.0 - likelihood.top) * likelihood.inverse
    else:
        evidence += options[POWER_CONSTANT] - power * math.log(0.5 * residual)
    out[rest + 1] = evidence
    out[n_par] = squared_residual(
        voxel.x[0], voxel.root_weight, measured, r1, r2, (1.0 - f) * s0, f * s0
    )
