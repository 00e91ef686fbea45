"""Maximum likelihood for magnitudes: what `search` does for Gaussian noise, for Rician noise.

A magnitude has lost its phase (with several coils: its direction). With the signal S, the part of
a magnitude m along S is on average m R(m S / v), with the noise variance v and the ratio R of two
Bessel functions: S plus the slope of the likelihood by S, times v. The likelihood is then raised
by least squares on other numbers, with other weights,

    z = S + (m R - S) / u  with the weight  w u,

in which u is the curvature of the likelihood by S in units of 1 / v. Where the fit ends that has
the slopes and the second derivatives of the likelihood itself, whatever the model and its bounds:
these are the steps of Newton. With u = 1 they are those of expectation-maximisation, which never
lower the likelihood; what lies between damps. So every step is one of `descent`, with its bounds.

Noise that is not known is a parameter more: the likelihood of the best signal for each v has the
slope (n - c) / 2 by ln v, where n is what the noise would leave on average and c the divisor; its
zero is found by secants, each taken back if the likelihood falls. The divisor makes v the residual
variance with its degrees of freedom where the signal is high.

The likelihood may have several maxima. The climb begins at the least-squares optimum, where the
floor may count as signal, and, where there is one, from what is left without it; then the whole
dictionary is asked what it makes of the magnitudes with their phase.

Weights count volumes: w magnitudes that were averaged are taken for w magnitudes that all had
their mean.

References
----------
Dempster AP, Laird NM, Rubin DB. J R Stat Soc B 1977;39:1-38.
doi:10.1111/j.2517-6161.1977.tb01600.x
Sijbers J et al. IEEE Trans Med Imaging 1998;17:357-361. doi:10.1109/42.712125
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.covariance import invert
from ivimkit.kernels.memory import matrix
from ivimkit.kernels.rician import bessel_ratio
from ivimkit.kernels.separable.descent import CONVERGED, UNFINISHED, Descent, descend
from ivimkit.kernels.separable.layout import Option, Problem, layout
from ivimkit.kernels.separable.search import global_fit
from ivimkit.kernels.separable.structure import Structure
from ivimkit.kernels.separable.voxel_fit import read_bounds, store
from ivimkit.kernels.templates import with_kernels
from ivimkit.kernels.voxel import Voxel

__all__ = ["MIN_VARIANCE_SHARE", "magnitude_function", "magnitude_plan", "squared_residual"]

# Templates' constants.
AT = layout(1, 1)
_OPTION = Option()
COILS, FIRST = _OPTION.size, _OPTION.size + 1
"""Own options: number of coils, and where the scratch of this module begins."""

# Arrays of scratch with a number for each measurement.
_ROWS = 8
_MAX_STEPS = 200
_MAX_ROUNDS = 8
# ln of likelihood that a step must gain, that a change of the noise must promise, that another
# basin must gain, and below which the steps may end anywhere.
_MIN_STEP_GAIN = 1e-11
_MIN_PROMISED_GAIN = 1e-12
_MIN_BASIN_GAIN = 1e-9
_MAX_STALLED_GAIN = 1e-5
# Least curvature of the likelihood by a signal: where it has none a step would have no end.
_MIN_CURVATURE = 0.05
# Damping after a step that failed, and below which it is none; a step that gains this share of
# what the one before did was too short, and steps are made longer up to this factor.
_DAMPING = 0.2
_MIN_DAMPING = 1e-3
_SLOW = 0.2
_MAX_LENGTH = 16.0
# Least first and largest change of ln v.
_MIN_LOG_STEP = 1e-3
_MAX_LOG_STEP = 1.0
# Signal to noise below which the floor is a part of a magnitude that counts.
_FLOOR = 4.0
# S0^2 times the number of volumes over the noise variance below which there is no signal.
_MIN_SQUARED_SNR = 1e-4
# Curvature that stands for none in the information on the amplitudes.
_NO_CURVATURE = 1e-6
_LEAST_SQUARES, _WITHOUT_FLOOR, _LOOK = 0, 1, 2

MIN_VARIANCE_SHARE = 1e-12
"""Noise variance over the mean square of the signal below which noise is rounding."""


class _Peak(NamedTuple):
    """Where a climb ended: likelihood, noise variance, passes, what the last step gained."""

    like: float
    variance: float
    iterations: int
    gain: float


def curve(*_: Any) -> float:
    """Stand for the signal of a model in one measurement."""
    raise AssertionError("a template: the functions of a structure are put in")


def owner(*_: Any) -> int:
    """Stand for the function that tells the compartment of a shape."""
    raise AssertionError("a template: the functions of a structure are put in")


def sums(*_: Any) -> float:
    """Stand for the pass over the measurements of a model."""
    raise AssertionError("a template: the functions of a structure are put in")


def _expect(
    voxel: Voxel,
    shapes: int,
    amplitudes: int,
    variance: float,
    line: NDArray[np.float64],
    whole: NDArray[np.float64],
    curvature: NDArray[np.float64],
) -> tuple[float, float]:
    """Write signals, magnitudes with their phase and curvatures, return likelihood and more.

    The likelihood lacks the term of the noise alone. The other number is twice the slope of the
    likelihood by the logarithm of the variance, that term left out.
    """
    coils = voxel.options[COILS]
    inverse = 1.0 / variance
    for j in range(line.size):
        line[j] = curve(voxel.x, j, voxel.work, shapes, amplitudes)
    like = spent = 0.0
    for j in range(line.size):
        w = voxel.root_weight[j] * voxel.root_weight[j]
        # A magnitude is not negative; what is was made by processing and stands for next to 0.
        m = voxel.signal[j] if voxel.signal[j] > 0.0 else 0.0
        size = abs(line[j])
        ratio, deficit, over, bessel = bessel_ratio(m * size * inverse, coils)
        slope = deficit * (1.0 + ratio) - (2.0 * coils - 1.0) * over
        slope = slope if slope > 0.0 else 0.0
        whole[j] = m * ratio if line[j] >= 0.0 else -m * ratio
        curvature[j] = 1.0 - m * m * inverse * slope
        away = m - size
        like += w * (bessel - 0.5 * inverse * away * away)
        spent += w * inverse * (away * away + 2.0 * size * m * deficit)
    return like, spent


def _copy(m_from: int, n_from: int, to: int, work: NDArray[np.float64]) -> None:
    """Copy shapes and amplitudes to a place where they stand one behind the other."""
    for q in range(AT.m):
        work[to + q] = work[m_from + q]
    for k in range(AT.n):
        work[to + AT.m + k] = work[n_from + k]


def _climb(voxel: Voxel, plain: bool, variance: float, count: float) -> _Peak:
    """Climb from shapes and amplitudes in the scratch to the nearest maximum, which stands there.

    `count` is the divisor of the noise, 0 if the noise is known.
    """
    options, work, rows = voxel.options, voxel.work, voxel.signal.size
    n, m = AT.n, AT.m
    here = int(options[FIRST])
    mark = here + n + m
    first = here + 3 * (n + m)
    aim = work[first : first + rows]
    root = work[first + rows : first + 2 * rows]
    line = work[first + 2 * rows : first + 3 * rows]
    whole = work[first + 3 * rows : first + 4 * rows]
    curvature = work[first + 4 * rows : first + 5 * rows]
    new_line = work[first + 5 * rows : first + 6 * rows]
    new_whole = work[first + 6 * rows : first + 7 * rows]
    new_curvature = work[first + 7 * rows : first + 8 * rows]
    problem = Problem(voxel.x, root, aim, plain, options, voxel.table[0], work)
    like, spent = _expect(voxel, here, here + m, variance, line, whole, curvature)
    like -= 0.5 * count * math.log(variance)
    iterations = 0
    damping, length = 0.0, 1.0
    before = gain = math.inf
    # The best noise so far, with the slope there, and the one tried before.
    best = -math.inf
    best_at = best_slope = other_at = other_slope = 0.0
    log_step = 0.0
    points = 0
    for _ in range(_MAX_STEPS):
        for j in range(rows):
            u = max(curvature[j], _MIN_CURVATURE)
            u = (u + damping * (1.0 - u)) / length
            root[j] = voxel.root_weight[j] * math.sqrt(u)
            aim[j] = line[j] + (whole[j] - line[j]) / u
        for q in range(m):
            work[AT.to + q] = work[here + q]
        fit = descend(problem, 0, math.inf, -1.0, 0.0)
        iterations += fit.iterations
        new_like, new_spent = _expect(
            voxel, AT.at, AT.kept, variance, new_line, new_whole, new_curvature
        )
        new_like -= 0.5 * count * math.log(variance)
        gain = new_like - like
        settled = abs(gain) <= _MIN_STEP_GAIN and damping == 0.0
        # What rounding decides must not move the result: the last step is always taken.
        if gain > 0.0 or settled:
            _copy(AT.at, AT.kept, here, work)
            like, spent = new_like, new_spent
            line, new_line = new_line, line
            whole, new_whole = new_whole, whole
            curvature, new_curvature = new_curvature, curvature
            damping = _DAMPING * damping if damping > _MIN_DAMPING else 0.0
            if damping == 0.0 and gain > _SLOW * before:
                length = min(2.0 * length, _MAX_LENGTH)
            before = gain
        elif length > 1.0:
            length, before, settled = 1.0, math.inf, False
        elif damping < 1.0:
            damping = min(1.0, _DAMPING if damping == 0.0 else damping / _DAMPING)
        else:
            # Not even a step that cannot fail gains anything.
            settled = True
        if not settled:
            continue
        if count == 0.0:
            break
        at, slope = math.log(variance), 0.5 * (spent - count)
        taken = like > best - _MIN_PROMISED_GAIN
        points += 1
        if taken:
            other_at, other_slope = best_at, best_slope
            best, best_at, best_slope = like, at, slope
            _copy(here, here + m, mark, work)
        else:
            other_at, other_slope = at, slope
        if points == 1:
            # The step of expectation-maximisation, far enough to tell the slope of the slope.
            log_step = math.log(spent / count)
            if abs(log_step) < _MIN_LOG_STEP:
                log_step = math.copysign(_MIN_LOG_STEP, log_step)
        else:
            bend = (best_slope - other_slope) / (best_at - other_at)
            way = -best_slope / bend if bend < 0.0 else math.copysign(math.inf, best_slope)
            most = 2.0 * abs(log_step) if taken else 0.5 * abs(log_step)
            most = max(most, abs(way)) if taken and bend < 0.0 else most
            log_step = min(max(way, -most), most)
        log_step = min(max(log_step, -_MAX_LOG_STEP), _MAX_LOG_STEP)
        if best_slope * log_step < _MIN_PROMISED_GAIN:
            break
        if not taken:
            _copy(mark, mark + m, here, work)
        variance = math.exp(best_at + log_step)
        like, spent = _expect(voxel, here, here + m, variance, line, whole, curvature)
        like -= 0.5 * count * math.log(variance)
        damping, length, before = 0.0, 1.0, math.inf
    if points > 0 and best > like + _MIN_PROMISED_GAIN:
        like, variance = best, math.exp(best_at)
        _copy(mark, mark + m, here, work)
    return _Peak(like, variance, iterations, gain)


def _see(voxel: Voxel, variance: float, count: float) -> None:
    """Write squared amplitudes of the best fit over their variances, for a noise variance of 1.

    The variances are those of the information that magnitudes have on all parameters, the noise
    among them if it is not known; shapes at a bound or without an amplitude drop out.
    """
    options, work, rows = voxel.options, voxel.work, voxel.signal.size
    n, m = AT.n, AT.m
    p = n + m
    first = int(options[FIRST]) + 3 * p
    aim = work[first : first + rows]
    root = work[first + rows : first + 2 * rows]
    line = work[first + 2 * rows : first + 3 * rows]
    whole = work[first + 3 * rows : first + 4 * rows]
    curvature = work[first + 4 * rows : first + 5 * rows]
    normal = matrix(work[first + _ROWS * rows :], p + 2, p + 1)
    _, spent = _expect(voxel, AT.best, AT.best_a, variance, line, whole, curvature)
    for q in range(m):
        work[AT.to + q] = work[AT.best + q]
    for k in range(n):
        work[AT.a + k] = work[AT.best_a + k]
    kept = 0.0
    # A pass with the curvatures > 0, and one with those < 0, which is taken off.
    for sign in (1.0, -1.0):
        for j in range(rows):
            w = voxel.root_weight[j] / math.sqrt(variance)
            least = _NO_CURVATURE if sign > 0.0 else 0.0
            u = max(sign * curvature[j], least)
            root[j] = w * math.sqrt(u)
            if sign > 0.0:
                # By the signal and ln v the likelihood has this second derivative, negative.
                aim[j] = line[j] + (whole[j] - line[j] * curvature[j]) / u
                kept += w * w * line[j] * line[j] * (1.0 - curvature[j])
        sums(voxel.x, root, aim, work)
        for i in range(p):
            for k in range(p):
                before = normal[i, k] if sign < 0.0 else 0.0
                normal[i, k] = before + sign * work[AT.gram + i * p + k]
            if sign > 0.0:
                normal[i, p] = work[AT.dots + i] if count > 0.0 else 0.0
    for q in range(m):
        free = work[AT.low + q] < work[AT.best + q] < work[AT.high + q]
        amplitude = work[AT.best_a + owner(q)] if free else 0.0
        for k in range(p + 1):
            normal[n + q, k] *= amplitude
        for i in range(p):
            normal[i, n + q] *= amplitude
    for i in range(p):
        normal[p, i] = normal[i, p]
    normal[p, p] = 0.5 * spent - kept if count > 0.0 else 0.0
    good = True
    for i in range(n):
        good = good and normal[i, i] > 0.0
    good = good and (count == 0.0 or normal[p, p] > 0.0) and invert(normal, 0, p + 1)
    for k in range(n):
        a = work[AT.best_a + k]
        seen = good and normal[k, k] > 0.0
        work[AT.seen + k] = a * a * variance / normal[k, k] if seen else 0.0


def squared_residual(
    voxel: Voxel, signal: NDArray[np.float64], shapes: int, amplitudes: int
) -> float:
    """Return the weighted sum of squares between a signal and the curve in the scratch.

    A template.
    """
    total = 0.0
    for j in range(signal.size):
        away = signal[j] - curve(voxel.x, j, voxel.work, shapes, amplitudes)
        total += voxel.root_weight[j] * voxel.root_weight[j] * away * away
    return total


def _variance_of_floor(voxel: Voxel) -> float:
    """Return the noise variance if the lowest magnitudes are noise alone."""
    total = mean = 0.0
    least = math.inf
    for j in range(voxel.signal.size):
        w = voxel.root_weight[j] * voxel.root_weight[j]
        total += w
        mean += w * voxel.signal[j]
        if w > 0.0:
            least = min(least, voxel.signal[j])
    limit = 0.5 * (least + mean / total)
    count = power = 0.0
    for j in range(voxel.signal.size):
        w = voxel.root_weight[j] * voxel.root_weight[j]
        if voxel.signal[j] <= limit:
            count += w
            power += w * voxel.signal[j] * voxel.signal[j]
    return power / (2.0 * voxel.options[COILS] * count) if count > 0.0 else 0.0


def magnitude_fit(voxel: Voxel, plain: bool, given: bool) -> tuple[Descent, float]:
    """Find the maximum of the likelihood of magnitudes inside the bounds, in the scratch.

    A template. Returns the squared residual of the magnitudes as cost, passes and end, and the
    noise variance; NaN where there is no degree of freedom to estimate it.
    """
    options, work, rows = voxel.options, voxel.work, voxel.signal.size
    signal, table = voxel.signal, voxel.table[0]
    n, m = AT.n, AT.m
    here = int(options[FIRST])
    top = here + 2 * (n + m)
    first = here + 3 * (n + m)
    aim = work[first : first + rows]
    line = work[first + 2 * rows : first + 3 * rows]
    whole = work[first + 3 * rows : first + 4 * rows]
    curvature = work[first + 4 * rows : first + 5 * rows]
    problem = Problem(voxel.x, voxel.root_weight, aim, plain, options, table, work)
    degrees = options[_OPTION.degrees]
    known = voxel.sigma > 0.0
    total = power = 0.0
    for j in range(rows):
        aim[j] = signal[j]
        w = voxel.root_weight[j] * voxel.root_weight[j]
        total += w
        power += w * signal[j] * signal[j]
    # The divisor of the noise: without phases every volume has 2 L - 1 numbers more.
    count = 0.0 if known else (2.0 * options[COILS] - 1.0) * total + degrees
    least = MIN_VARIANCE_SHARE * power / total
    variance = voxel.sigma * voxel.sigma if known else math.nan
    like = -math.inf
    iterations = 0
    stage = _LEAST_SQUARES
    end = UNFINISHED
    stalled = math.inf
    for _ in range(_MAX_ROUNDS):
        fit = global_fit(problem, given)
        iterations += fit.iterations
        trial = variance
        if stage == _LEAST_SQUARES:
            if not known:
                trial = variance = fit.cost / degrees if degrees > 0.0 else math.nan
            s0 = 0.0
            for k in range(n):
                s0 += work[AT.best_a + k]
            if fit.end == UNFINISHED or not s0 > 0.0 or not variance > least:
                return Descent(fit.cost, iterations, fit.end), variance
        elif stage == _WITHOUT_FLOOR and not known:
            trial = _variance_of_floor(voxel)
        _copy(AT.best, AT.best_a, here, work)
        if stage == _LOOK:
            now, _ = _expect(voxel, here, here + m, variance, line, whole, curvature)
            if not now - 0.5 * count * math.log(variance) > like + _MIN_BASIN_GAIN:
                end = CONVERGED
                break
        if trial > least:
            peak = _climb(voxel, plain, trial, count)
            iterations += peak.iterations
            # Of one maximum that is reached twice the first is kept.
            if peak.like > like + _MIN_BASIN_GAIN:
                stalled = peak.like - like if stage == _LOOK else peak.gain
                like, variance = peak.like, peak.variance
                _copy(here, here + m, top, work)
        if not variance > least:
            end = CONVERGED
            break
        _expect(voxel, top, top + m, variance, line, whole, curvature)
        floor = False
        for j in range(rows):
            below = line[j] * line[j] < _FLOOR * _FLOOR * options[COILS] * variance
            floor = floor or (voxel.root_weight[j] > 0.0 and below)
        if stage == _LEAST_SQUARES and floor:
            stage = _WITHOUT_FLOOR
            trial = variance if known else _variance_of_floor(voxel)
            for j in range(rows):
                # What is below the floor counts against what is above it.
                square = signal[j] * abs(signal[j]) - 2.0 * options[COILS] * trial
                aim[j] = math.copysign(math.sqrt(abs(square)), square)
        else:
            stage = _LOOK
            for j in range(rows):
                aim[j] = whole[j]
    if abs(stalled) <= _MAX_STALLED_GAIN:
        end = CONVERGED
    s0 = 0.0
    for q in range(m):
        work[AT.best + q] = work[top + q]
    for k in range(n):
        work[AT.best_a + k] = work[top + m + k]
        s0 += work[top + m + k]
    if s0 * s0 * total < _MIN_SQUARED_SNR * variance:
        for k in range(n):
            work[AT.best_a + k] = work[AT.seen + k] = 0.0
        return Descent(power, iterations, CONVERGED), variance
    _see(voxel, variance, count)
    cost = squared_residual(voxel, signal, AT.best, AT.best_a)
    return Descent(cost, iterations, end), variance


def store_magnitudes(fit: Descent, variance: float, voxel: Voxel, out: NDArray[np.float64]) -> int:
    """Write a fit of magnitudes, or of their means, with its sigma; return the status.

    A template. Which compartments count as seen depends on the noise, not on the residuals.
    """
    options = voxel.options
    degrees = options[_OPTION.degrees]
    noise = fit.cost / degrees if degrees > 0.0 else 0.0
    noise = variance if variance > 0.0 else noise
    code = store(fit, noise, voxel.start, voxel.lower, voxel.upper, options, voxel.work, out)
    size = voxel.lower.size
    out[size], out[size + 1] = fit.cost, fit.iterations
    out[size + 2] = math.sqrt(variance)
    return int(code)


def fit_magnitudes(voxel: Voxel, out: NDArray[np.float64]) -> int:
    """Fit the magnitudes of one voxel by maximum likelihood.

    A template: `magnitude_function` puts a model in.

    Parameters
    ----------
    voxel : Voxel
        As for `ivimkit.kernels.separable.voxel_fit.fit_voxel`, with options and scratch of
        `magnitude_plan`. Where sigma, the standard deviation of the noise in each channel of one
        volume, is not > 0, it is estimated, too.
    out : ndarray, shape (>= n_parameters + 3,)
        Parameters, weighted sum of squares between magnitudes and signal, passes over the
        measurements, sigma.

    Returns
    -------
    int
        A sum of `ivimkit.status.FitStatus` flags.
    """
    options = voxel.options
    plain, given = read_bounds(voxel.lower, voxel.upper, options, voxel.table[0], voxel.work)
    fit, variance = magnitude_fit(voxel, plain, given)
    return store_magnitudes(fit, variance, voxel, out)


def magnitude_plan(
    structure: Structure,
    options: NDArray[np.float64],
    scratch: int,
    n_rows: int,
    coils: int,
) -> tuple[NDArray[np.float64], int]:
    """Add what magnitudes need to a plan.

    Parameters
    ----------
    structure : Structure
        The model.
    options, scratch : ndarray, int
        Of `ivimkit.kernels.separable.dictionary.plan`.
    n_rows : int
        Number of values of a signal, padded.
    coils : int
        Number of coils whose squares were added: 1 is Rician noise.

    Returns
    -------
    options : ndarray
        With the number of coils and the place of the scratch behind.
    scratch : int
        Doubles of scratch that a fit needs.
    """
    p = structure.n + structure.m
    own = 3 * p + _ROWS * n_rows + (p + 2) * (p + 1)
    return np.concatenate([options, [float(coils), float(scratch)]]), scratch + own


@functools.cache
def magnitude_function(structure: Structure) -> Callable[..., Any]:
    """Return `fit_magnitudes` for a model.

    Parameters
    ----------
    structure : Structure
        The model.

    Returns
    -------
    callable
        A compiled function ``(voxel, out) -> status``.
    """
    return with_kernels(cast(FunctionType, fit_magnitudes), *structure.functions)
