"""The spectrum of one voxel, as the parameters of a sum of decays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.spectrum.active_set import (
    fitted_residuals,
    forward,
    refine,
    refine_dual,
    solve,
    solve_dual,
)
from ivimkit.kernels.spectrum.layout import (
    INFLUENCE,
    MAX_WINDOWS,
    SIZES,
    SPECTRUM,
    Option,
    Scratch,
    scratch_of,
)
from ivimkit.kernels.spectrum.penalty import differences
from ivimkit.kernels.spectrum.windows import (
    count_peaks,
    moments,
    variance_of_sum,
    variance_of_sum_dual,
)
from ivimkit.kernels.voxel import Voxel
from ivimkit.status import FitStatus

__all__ = ["fit_spectrum"]

AT = Option()
# Flags of FitStatus, which is in a layer without numba.
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
_NOT_CONVERGED = int(FitStatus.NOT_CONVERGED)
# A window is seen if its sum differs from 0 by 1.96 standard deviations (5 % level).
_LEAST_SEEN = 1.959964**2
# A share of the spectrum that is rounding, however low the noise.
_LEAST_SHARE = 1e-8


@inlined
def _scaled_signal(voxel: Voxel, out: NDArray[np.float64]) -> float:
    """Write the weighted signal relative to its largest value; return that."""
    scale = 0.0
    for j in range(out.size):
        out[j] = voxel.root_weight[j] * voxel.signal[j]
        scale = max(scale, abs(out[j]))
    for j in range(out.size):
        out[j] /= scale
    return scale


@inlined
def _residual_of(voxel: Voxel, out: NDArray[np.float64]) -> float:
    """Return the weighted sum of squares about the decays that the maps describe."""
    options = voxel.options
    n = int(options[AT.windows])
    cost = 0.0
    for j in range(voxel.signal.size):
        b, rest, value = voxel.x[0, j], 1.0, 0.0
        for k in range(n):
            place = int(options[AT.fraction + k])
            if place >= 0:
                share = out[place]
                rest -= share
                value += share * exp(-b * out[int(options[AT.rate + k])])
        for k in range(n):
            if options[AT.fraction + k] < 0.0:
                value += rest * exp(-b * out[int(options[AT.rate + k])])
        away = voxel.root_weight[j] * (voxel.signal[j] - out[0] * value)
        cost += away * away
    return cost


@device
def _influence(voxel: Voxel, one: Scratch, m: int) -> float:
    """Return the trace of the matrix that turns signals into fitted signals.

    With the decays e of a value, it is the sum over the values of e' A^-1 e, where A is the normal
    matrix of the bins above 0: see `variance_of_sum` and `variance_of_sum_dual`.
    """
    options, table = voxel.options, voxel.table
    n, dual = one.x.size, options[AT.dual] > 0.0
    total = options[AT.influence] if dual else 0.0
    for j in range(voxel.signal.size):
        for a in range(m):
            i = int(one.chosen[a])
            known = table[n + i, n + MAX_WINDOWS + j] if dual else table[i, n + j]
            value = forward(one, a, known, one.trial)
            one.trial[a] = value
            total += -value * value if dual else value * value
    return total


@device
def _describe_windows(
    voxel: Voxel, one: Scratch, m: int, noise: float, scale: float, out: NDArray[np.float64]
) -> int:
    """Write S0, fractions, rates, widths and flows; return the flags of unseen windows.

    `noise` is the variance of the scaled signal.
    """
    options = voxel.options
    n_bins, n = int(options[AT.bins]), int(options[AT.windows])
    log_rate = options[AT.log_rate : AT.log_rate + n_bins]
    whole = 0.0
    for i in range(n_bins):
        whole += one.x[i]
    out[0] = whole * scale
    widths = voxel.lower.size + 2
    code = 0
    for k in range(n):
        first, end = int(options[AT.first + k]), int(options[AT.end + k])
        total, mean, width = moments(one.x, log_rate, first, end)
        rate, fraction = int(options[AT.rate + k]), int(options[AT.fraction + k])
        out[rate] = options[AT.middle + k]
        if total > 0.0:
            # Rounding must not take a mean beyond the bins that it is the mean of.
            inside = min(max(mean, log_rate[first]), log_rate[end - 1])
            out[rate] = math.exp(inside)
        out[widths + k] = width
        if fraction >= 0:
            out[fraction] = min(total / whole, 1.0)
        seen = total > _LEAST_SHARE * whole
        if seen:
            if options[AT.dual] > 0.0:
                sums = voxel.table[n_bins:, n_bins + k]
                variance = variance_of_sum_dual(one, m, options[AT.spread + k], sums)
            else:
                variance = variance_of_sum(one, m, first, end)
            seen = total * total >= _LEAST_SEEN * noise * variance
        if not seen:
            code |= int(options[AT.unseen + k])
    for k in range(int(options[AT.flows])):
        window = int(options[AT.flow + k])
        share = out[int(options[AT.fraction + window])]
        out[widths + n + k] = share * out[int(options[AT.rate + window])]
    return code


@device
def fit_spectrum(voxel: Voxel, out: NDArray[np.float64]) -> int:
    """Find the spectrum of one voxel and write what the maps say of it; return the status.

    The noise that decides whether a window is seen is that of the voxel, or else the minimum of
    the penalised cost per value: with the prior that the penalty stands for, that is the estimate
    of the variance, as the signal has the covariance sigma^2 (1 + E (L'L)^-1 E' / mu^2).
    """
    options = voxel.options
    n, n_rows = int(options[AT.bins]), voxel.signal.size
    gram, inverse = voxel.table[:n, :n], voxel.table[n : 2 * n, :n]
    decays = voxel.table[:n, n : n + n_rows]
    signal = voxel.work[:n_rows]
    one = scratch_of(voxel.work[n_rows:], n, n_rows)
    scale = _scaled_signal(voxel, signal)
    for i in range(n):
        value = 0.0
        for j in range(n_rows):
            value += decays[i, j] * signal[j]
        one.target[i] = value
    order, weight = int(options[AT.order]), options[AT.weight]
    if options[AT.dual] > 0.0:
        m, changes = solve_dual(inverse, one)
        refine_dual(inverse, decays, signal, m, order, weight, one)
    else:
        m, changes = solve(gram, one)
        refine(decays, signal, m, order, weight, one)
    if m < 0:
        return _NOT_CONVERGED
    square = fitted_residuals(decays, signal, one)
    roughness = differences(one.x, order, one.difference)
    penalised = square + weight * weight * roughness
    noise = penalised / options[AT.values]
    if voxel.sigma > 0.0:
        noise = (voxel.sigma / scale) ** 2
    code = _describe_windows(voxel, one, m, noise, scale, out)
    if not out[0] > 0.0:
        return _NO_SIGNAL
    n_par = voxel.lower.size
    out[n_par] = _residual_of(voxel, out)
    out[n_par + 1] = changes
    last = n_par + 2 + int(options[AT.windows]) + int(options[AT.flows])
    out[last] = count_peaks(one.x)
    out[last + 1] = scale * math.sqrt(square / options[AT.total_weight])
    if options[AT.more] == SPECTRUM:
        for i in range(n):
            out[last + 2 + i] = one.x[i] * scale
    if options[AT.more] >= SIZES:
        out[last + 2] = square * scale * scale
        out[last + 3] = roughness * scale * scale
    if options[AT.more] == INFLUENCE:
        out[last + 4] = _influence(voxel, one, m)
    return code
