"""Maximum likelihood for magnitudes: the fit of `search` with Rician instead of Gaussian noise.

A magnitude has lost its phase (with several coils: its direction). Expectation-maximisation
replaces it by its expected value: given a signal A, the part of a magnitude m along A is on
average m R(m A / sigma^2) with the ratio R of two Bessel functions. Least squares on these numbers
instead of the magnitudes gives the next signal, and the likelihood never falls. So every fit here
is a least-squares fit of two decays, with its bounds. These steps are slow where most of the
signal is noise; Newton steps on the likelihood replace them, each finished by the same
least-squares fit and rejected if the likelihood does not rise.

With x = m A / sigma^2 and L coils, the logarithm of the likelihood of a magnitude is, up to a
constant,

    ln p = ln(x^(1-L) exp(-x) I_(L-1)(x)) - (m - A)^2 / (2 sigma^2) - L ln sigma^2,

and as d ln(x^(1-L) I_(L-1)(x)) / dx = R(x) = I_L(x) / I_(L-1)(x),

    d ln p / dA              = (m R - A) / sigma^2
    d2 ln p / dA^2           = -(1 - m^2 R' / sigma^2) / sigma^2,  R' = 1 - R^2 - (2 L - 1) R / x
    d ln p / d ln sigma^2    = (m^2 + A^2 - 2 m A R) / (2 sigma^2) - L
    d2 ln p / (d ln sigma^2)^2 = -(m^2 + A^2 - 2 m A R) / (2 sigma^2) + x^2 R'
    d2 ln p / dA d ln sigma^2  = -(m R - A + m x R') / sigma^2.

Weights count volumes: w magnitudes that were averaged are treated as w magnitudes that all had
their mean. Unknown noise is one more parameter, with the divisor that makes it the residual
variance with its degrees of freedom where the signal is high.

References
----------
Dempster AP, Laird NM, Rubin DB. J R Stat Soc B 1977;39:1-38.
doi:10.1111/j.2517-6161.1977.tb01600.x
Sijbers J et al. IEEE Trans Med Imaging 1998;17:357-361. doi:10.1109/42.712125
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.covariance import invert
from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.memory import matrix
from ivimkit.kernels.rician import bessel_ratio
from ivimkit.kernels.two_decays.descent import refine, squared_residual
from ivimkit.kernels.two_decays.fitted_decays import (
    CONVERGED,
    MERGED,
    UNFINISHED,
    Box,
    Fit,
    ordered,
)
from ivimkit.kernels.two_decays.one_decay import refit_merged
from ivimkit.kernels.two_decays.option_positions import DEGREES, N_SLOW
from ivimkit.kernels.two_decays.profile import search_rows_in_kernel
from ivimkit.kernels.two_decays.search import global_fit
from ivimkit.kernels.voxel import Voxel, with_signal

__all__ = ["magnitude_fit", "magnitude_scratch"]

# Columns of the scratch array behind the matrix that is inverted.
_MATRIX, _SLOPE, _JUMP, _LEFT = 5, 10, 11, 12
_MATRIX_ROWS, _MATRIX_COLUMNS = 6, 13
# Kinds of steps: the first fit, which ignores the noise floor; Newton; expectation-maximisation
# from the present rates; the same with a search of the whole dictionary, to find other basins.
_BEGIN, _NEWTON, _EXPECT, _LOOK = 0, 1, 2, 3
_MAX_STEPS = 200
# Slope times step that a Newton step must promise, which is its squared length in standard
# deviations and twice the gain; gain of the log-likelihood that a step must reach.
_MIN_PROMISED_GAIN = 1e-12
_MIN_STEP_GAIN = 1e-11
# Gain of the log-likelihood that another basin must reach, and that of the last step below which
# the fit is treated as converged.
_MIN_BASIN_GAIN = 1e-9
_MAX_STALLED_GAIN = 1e-5
# Largest step of ln r2 and of the logarithm of the variance.
_MAX_LOG_STEP = 1.5
# Damping after a Newton step that failed, and beyond which expectation-maximisation takes over.
_MIN_DAMPING = 1e-6
_MAX_DAMPING = 1e3
_DAMPING_INCREASE = 6.0
_DAMPING_DECREASE = 0.2
# S0^2 times the number of volumes over the noise variance below which the voxel has no signal.
_MIN_SQUARED_SNR = 1e-4
_BOUND_TOLERANCE = 1e-12
# Noise variance over the mean square of the signal below which the noise is rounding.
_MIN_VARIANCE_SHARE = 1e-12
Sums: TypeAlias = tuple[
    float, float, float, float,
    float, float, float, float, float, float, float, float, float, float,
    float, float, float, float, float, float, float, float,
    float, float, float, float, float, float,
]  # fmt: skip
"""Sums of `_expect` over the b-values. The first four: likelihood; m^2 + A^2 - 2 m A R over the
variance; x^2 R'; m^2 - (m R)^2, the squares that the missing phase leaves. Then ten curvatures by
the parameters, four slopes, four curvatures by parameter and noise, two terms of the second
derivatives of the signal, four curvatures of least squares."""
Step: TypeAlias = tuple[float, float, float, float, float, float, float, Box]
"""Promised gain, damping, changes of the four parameters and of the noise, bounds kept."""


@inlined
def _expect(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    r1: float,
    r2: float,
    a1: float,
    a2: float,
    variance: float,
    coils: float,
    whole: NDArray[np.float64],
) -> Sums:
    """Write the expected parts along the signal to `whole`; return likelihood, slopes, curvatures.

    The likelihood lacks the term of the noise alone. Parameters are a1, a2, r1 and ln r2. Slopes
    are those of the log-likelihood, curvatures those of its negative, and R' is not below 0; the
    third group is the curvature between a parameter and the logarithm of the variance. The
    formulas are at the top of this file; by a parameter, dA is multiplied by u = dA/dparameter.
    """
    like = spent = kept = squares = 0.0
    h11 = h12 = h13 = h14 = h22 = h23 = h24 = h33 = h34 = h44 = 0.0
    g1 = g2 = g3 = g4 = c1 = c2 = c3 = c4 = k3 = k4 = 0.0
    q1 = q2 = q3 = q4 = 0.0
    inverse = 1.0 / variance
    for j in range(b.size):
        bj = b[j]
        w = root_weight[j] * root_weight[j] * inverse
        u1 = exp(-bj * r1)
        u2 = exp(-bj * r2)
        u3 = -bj * a1 * u1
        u4 = -bj * r2 * a2 * u2
        model = a1 * u1 + a2 * u2
        # A magnitude is not negative; a negative one comes from processing and is treated as 0.
        m = signal[j] if signal[j] > 0.0 else 0.0
        x = m * model * inverse
        ratio, deficit, over, bessel = bessel_ratio(x, coils)
        whole[j] = m * ratio
        away = m - model
        lost = m * deficit
        slope = deficit * (1.0 + ratio) - (2.0 * coils - 1.0) * over
        slope = slope if slope > 0.0 else 0.0
        information = w * (1.0 - m * m * inverse * slope)
        pull = w * (away - lost)
        mixed = pull + w * m * x * slope
        like += w * (bessel * variance - 0.5 * away * away)
        spent += w * (away * away + 2.0 * model * lost)
        kept += w * variance * x * x * slope
        squares += w * lost * (m + whole[j])
        g1 += pull * u1
        g2 += pull * u2
        g3 += pull * u3
        g4 += pull * u4
        q1 += w * u1 * u1
        q2 += w * u2 * u2
        q3 += w * u3 * u3
        q4 += w * u4 * u4
        k3 -= pull * bj * u3
        k4 -= pull * bj * u4
        c1 += mixed * u1
        c2 += mixed * u2
        c3 += mixed * u3
        c4 += mixed * u4
        u1i = information * u1
        u2i = information * u2
        u3i = information * u3
        h11 += u1i * u1
        h12 += u1i * u2
        h13 += u1i * u3
        h14 += u1i * u4
        h22 += u2i * u2
        h23 += u2i * u3
        h24 += u2i * u4
        h33 += u3i * u3
        h34 += u3i * u4
        h44 += information * u4 * u4
    return (
        like, spent, kept, squares * variance,
        h11, h12, h13, h14, h22, h23, h24, h33, h34, h44,
        g1, g2, g3, g4, c1, c2, c3, c4,
        k3, k4,
        q1, q2, q3, q4,
    )  # fmt: skip


@inlined
def _may_move(amplitude: float, rate: float, low: float, high: float, slope: float) -> bool:
    """Return whether a rate has an amplitude and is not held by a bound."""
    return amplitude > 0.0 and (low < rate or slope > 0.0) and (rate < high or slope < 0.0)


@device
def _curvatures(
    work: NDArray[np.float64], fit: Fit, sums: Sums, known: bool, count: float, damping: float
) -> None:
    """Write slopes and curvatures in a1, a2, r1, ln r2 and the logarithm of the variance.

    The curvature by two parameters is sum i u_k u_l - sum p d2A/(d_k d_l), with the information i
    and the slope p of each b-value. Second derivatives of A = a1 e1 + a2 e2 are d2A/(da1 dr1) =
    u3 / a1, d2A/dr1^2 = -b u3, d2A/(da2 d ln r2) = u4 / a2 and d2A/(d ln r2)^2 = u4 - b r2 u4.
    Damping adds multiples of the curvatures of least squares, as in Levenberg and Marquardt's
    method.
    """
    h11, h12, h13, h14, h22, h23, h24, h33, h34, h44 = sums[4:14]
    g1, g2, g3, g4, c1, c2, c3, c4 = sums[14:22]
    bend3, bend4, q1, q2, q3, q4 = sums[22:]
    work[0, _MATRIX] = h11 + damping * q1
    work[0, _MATRIX + 1] = h12
    work[0, _MATRIX + 2] = h13 - g3 / fit.slow_amplitude if fit.slow_amplitude > 0.0 else 0.0
    work[0, _MATRIX + 3] = h14
    work[1, _MATRIX + 1] = h22 + damping * q2
    work[1, _MATRIX + 2] = h23
    work[1, _MATRIX + 3] = h24 - g4 / fit.fast_amplitude if fit.fast_amplitude > 0.0 else 0.0
    work[2, _MATRIX + 2] = h33 - bend3 + damping * q3
    work[2, _MATRIX + 3] = h34
    work[3, _MATRIX + 3] = h44 - fit.fast * bend4 - g4 + damping * q4
    work[0, _MATRIX + 4] = 0.0 if known else c1
    work[1, _MATRIX + 4] = 0.0 if known else c2
    work[2, _MATRIX + 4] = 0.0 if known else c3
    work[3, _MATRIX + 4] = 0.0 if known else c4
    work[4, _MATRIX + 4] = 1.0 if known else 0.5 * (sums[1] + damping * count) - sums[2]
    for i in range(5):
        for k in range(i):
            work[i, _MATRIX + k] = work[k, _MATRIX + i]
    work[0, _SLOPE], work[1, _SLOPE], work[2, _SLOPE], work[3, _SLOPE] = g1, g2, g3, g4
    work[4, _SLOPE] = 0.0 if known else 0.5 * (sums[1] - count)


@device
def _solve(
    work: NDArray[np.float64], free: int, z1: float, z2: float, move1: bool, move2: bool
) -> bool:
    """Add the best changes of the free parameters to the given jumps of the others.

    With `free` 2 both amplitudes may move, with 1 along (z1, z2), with 0 not at all. Given the
    jumps j, the slope of the rest is g - H j; with the rows of what may not move taken out, the
    change is H^-1 (g - H j). False if the curvatures are not those of a maximum; then nothing is
    added.
    """
    for i in range(5):
        slope = work[i, _SLOPE]
        for k in range(5):
            slope -= work[i, _MATRIX + k] * work[k, _JUMP]
            work[i, k] = work[i, _MATRIX + k]
        work[i, _LEFT] = slope
    if free == 1:
        for k in range(5):
            work[0, k] = z1 * work[0, k] + z2 * work[1, k]
        work[0, 0] = z1 * work[0, 0] + z2 * work[0, 1]
        for k in range(2, 5):
            work[k, 0] = work[0, k]
        work[0, _LEFT] = z1 * work[0, _LEFT] + z2 * work[1, _LEFT]
    for i in range(4):
        moves = free > i if i < 2 else (move1 if i == 2 else move2)
        if not moves:
            for k in range(5):
                work[i, k] = work[k, i] = 0.0
        elif not work[i, i] > 0.0:
            return False
    if not (work[4, 4] > 0.0 and invert(work, 0, 5)):
        return False
    first = second = 0.0
    for k in range(5):
        first += work[0, k] * work[k, _LEFT]
        second += work[1, k] * work[k, _LEFT]
    for i in range(2, 5):
        for k in range(5):
            work[i, _JUMP] += work[i, k] * work[k, _LEFT]
    work[0, _JUMP] += z1 * first if free == 1 else first
    work[1, _JUMP] += z2 * first if free == 1 else second
    return True


@device
def _newton(
    fit: Fit,
    sums: Sums,
    box: Box,
    known: bool,
    count: float,
    damping: float,
    work: NDArray[np.float64],
) -> Step:
    """Find the Newton step on the bounds, damped until its curvatures are those of a maximum.

    A parameter that would cross a bound goes to it, the others move on along it. The changes are
    those of a1, a2, r1, ln r2 and the logarithm of the variance. If no step is found, the damping
    is at its limit.
    """
    r1, r2, a1, a2 = fit.slow, fit.fast, fit.slow_amplitude, fit.fast_amplitude
    s0_low, s0_high, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    s0 = a1 + a2
    while damping < _MAX_DAMPING:
        _curvatures(work, fit, sums, known, count, damping)
        move1 = _may_move(a1, r1, r1_low, r1_high, sums[16])
        move2 = _may_move(a2, r2, r2_low, r2_high, sums[17])
        at1, at2 = r1, r2
        on_low = a2 <= f_low * s0 * (1.0 + _BOUND_TOLERANCE)
        on_high = a2 >= f_high * s0 * (1.0 - _BOUND_TOLERANCE)
        held = s0 <= s0_low * (1.0 + _BOUND_TOLERANCE) or s0 >= s0_high * (1.0 - _BOUND_TOLERANCE)
        jump1 = log_jump = y1 = y2 = 0.0
        # Every round fixes at least one more parameter at its bound.
        for _ in range(5):
            face = on_low or on_high
            f = f_low if on_low else f_high
            free = 2 - (1 if face else 0) - (1 if held else 0)
            work[0, _JUMP], work[1, _JUMP], work[4, _JUMP] = y1, y2, 0.0
            work[2, _JUMP], work[3, _JUMP] = jump1, log_jump
            z1, z2 = (1.0 - f, f) if face else (-1.0, 1.0)
            if not _solve(work, free, z1, z2, move1, move2):
                break
            d1, d2, d3 = work[0, _JUMP], work[1, _JUMP], work[2, _JUMP]
            d4, d5 = work[3, _JUMP], work[4, _JUMP]
            again = False
            if move1 and not r1_low <= r1 + d3 <= r1_high:
                at1 = r1_low if d3 < 0.0 else r1_high
                jump1 = at1 - r1
                move1, again = False, True
            if abs(d4) > _MAX_LOG_STEP:
                break
            if move2 and not r2_low <= r2 * exp(d4) <= r2_high:
                at2 = r2_low if d4 < 0.0 else r2_high
                log_jump = math.log(at2 / r2)
                move2, again = False, True
            total = a1 + d1 + a2 + d2
            if not face and not f_low * total <= a2 + d2 <= f_high * total:
                on_low = a2 + d2 < f_low * total
                on_high = not on_low
                f = f_low if on_low else f_high
                y1 = (1.0 - f) * s0 - a1
                y2 = f * s0 - a2
                move1 = move1 and f < 1.0
                move2 = move2 and f > 0.0
                again = True
            if again:
                continue
            promise = 0.0
            for i in range(5):
                promise += work[i, _SLOPE] * work[i, _JUMP]
            if not promise >= 0.0:
                break
            f_from, f_to = (f, f) if face else (f_low, f_high)
            r2_from, r2_to = (r2_low, r2_high) if move2 else (at2, at2)
            r1_from, r1_to = (r1_low, r1_high) if move1 else (at1, at1)
            kept = Box(s0_low, s0_high, f_from, f_to, r2_from, r2_to, r1_from, r1_to)
            return promise, damping, d1, d2, d3, d4, d5, kept
        damping = max(_DAMPING_INCREASE * damping, _MIN_DAMPING)
    return 0.0, damping, 0.0, 0.0, 0.0, 0.0, 0.0, box


def magnitude_scratch(n_b: int, search: int) -> int:
    """Return how many numbers of scratch `magnitude_fit` needs, with those of the search."""
    return search + 3 * n_b + _MATRIX_ROWS * _MATRIX_COLUMNS


@device
def magnitude_fit(voxel: Voxel, coils: float, box: Box) -> tuple[Fit, float]:
    """Find the maximum of the likelihood of magnitudes inside the bounds.

    Parameters
    ----------
    voxel : Voxel
        As for `ivimkit.kernels.two_decays.search.global_fit`, with magnitudes as its signal, and
        scratch of `magnitude_scratch`. Where sigma, the standard deviation of the noise in each
        channel of one volume, is not > 0, it is estimated, too.
    coils : float
        Number of coils whose squares were added: 1 is Rician noise.
    box : Box
        Bounds.

    Returns
    -------
    fit : Fit
        With the sum of squared residuals of the magnitudes as its cost, and detectabilities from
        the information in the magnitudes.
    variance : float
        The noise variance; NaN without a degree of freedom to estimate it.
    """
    b, root_weight, signal, sigma = voxel.x[0], voxel.root_weight, voxel.signal, voxel.sigma
    table, degrees = voxel.table, voxel.options[DEGREES]
    n = b.size
    first = search_rows_in_kernel(int(voxel.options[N_SLOW])) * table.shape[1]
    whole = voxel.work[first : first + n]
    other = voxel.work[first + n : first + 2 * n]
    aim = voxel.work[first + 2 * n : first + 3 * n]
    work = matrix(voxel.work[first + 3 * n :], _MATRIX_ROWS, _MATRIX_COLUMNS)
    aimed = with_signal(voxel, aim)
    bounds = ordered(box)
    total = power = 0.0
    for j in range(b.size):
        aim[j] = signal[j]
        w = root_weight[j] * root_weight[j]
        total += w
        power += w * signal[j] * signal[j]
    known = sigma > 0.0
    # The divisor of the noise variance: all 2 L channels of a volume have noise. 2 L - 1 of these
    # numbers are lost with the phase; they are counted in addition to the degrees of freedom of
    # the residuals.
    count = (2.0 * coils - 1.0) * total + degrees
    variance = sigma * sigma if known else math.nan
    fit = Fit(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, CONVERGED)
    like = -math.inf
    sums = (0.0,) * 28
    kept = bounds
    trial = variance
    damping = 0.0
    iterations = 0
    how = _BEGIN
    gain = math.inf
    end = UNFINISHED
    for _ in range(_MAX_STEPS):
        if how == _NEWTON:
            promise, damping, d1, d2, d3, d4, d5, kept = _newton(
                fit, sums, bounds, known, count, damping, work
            )
            if not damping < _MAX_DAMPING:
                how = _EXPECT
            elif promise * (1.0 + damping) < _MIN_PROMISED_GAIN:
                how = _LOOK
            else:
                # The signal after the step, to first order. The step is the least-squares fit of
                # it, which stays inside the bounds.
                for j in range(b.size):
                    u1 = exp(-b[j] * fit.slow)
                    u2 = exp(-b[j] * fit.fast)
                    aim[j] = (fit.slow_amplitude + d1 - b[j] * fit.slow_amplitude * d3) * u1 + (
                        fit.fast_amplitude + d2 - b[j] * fit.fast * fit.fast_amplitude * d4
                    ) * u2
                trial = variance * exp(min(max(d5, -_MAX_LOG_STEP), _MAX_LOG_STEP))
        if how in (_EXPECT, _LOOK):
            kept = bounds
            damping = min(damping, 1.0)
            for j in range(b.size):
                aim[j] = whole[j]
        if how in (_BEGIN, _LOOK):
            tried = global_fit(aimed, box)
        else:
            r1 = min(max(fit.slow, kept.slow_low), kept.slow_high)
            r2 = min(max(fit.fast, kept.fast_low), kept.fast_high)
            tried = refine(b, root_weight, aim, r1, r2, kept, table)
            if tried.end == MERGED:
                tried = refit_merged(b, root_weight, aim, tried, kept, table)
        iterations += tried.iterations
        # The aim of a step from one decay is one decay up to rounding.
        least = _BOUND_TOLERANCE * (tried.slow_amplitude + tried.fast_amplitude)
        y1 = 0.0 if tried.slow_amplitude < least and bounds.f_high == 1.0 else tried.slow_amplitude
        y2 = 0.0 if tried.fast_amplitude < least and bounds.f_low == 0.0 else tried.fast_amplitude
        tried = Fit(
            tried.slow, tried.fast, y1, y2, tried.cost, tried.slow_seen, tried.fast_seen,
            tried.iterations, tried.end,
        )  # fmt: skip
        if how == _BEGIN:
            fit = tried
            if not known:
                trial = tried.cost / degrees if degrees > 0.0 else math.nan
                variance = trial
            if (
                tried.end == UNFINISHED
                or not tried.slow_amplitude + tried.fast_amplitude > 0.0
                or not trial > _MIN_VARIANCE_SHARE * power / total
            ):
                return tried, variance
        elif how != _NEWTON and not known:
            # The squares about the new signal: those lost with the phase and those of the fit.
            trial = (sums[3] + tried.cost) / count
        there = _expect(
            b,
            root_weight,
            signal,
            tried.slow,
            tried.fast,
            tried.slow_amplitude,
            tried.fast_amplitude,
            trial,
            coils,
            other,
        )
        now = there[0] if known else there[0] - 0.5 * count * math.log(trial)
        gain = now - like
        if gain > (_MIN_BASIN_GAIN if how == _LOOK else _MIN_STEP_GAIN):
            like = now
            fit = tried
            variance = trial
            whole, other = other, whole
            sums = there
            if (
                fit.slow_amplitude + fit.fast_amplitude
            ) ** 2 * total < _MIN_SQUARED_SNR * variance:
                none = Fit(fit.slow, fit.fast, 0.0, 0.0, power, 0.0, 0.0, iterations, CONVERGED)
                return none, variance
            if not variance > _MIN_VARIANCE_SHARE * power / total:
                end = CONVERGED
                break
            damping = _DAMPING_DECREASE * damping if damping > _MIN_DAMPING else 0.0
            # Hardly any gain without a converged step: a flat valley.
            how = _NEWTON if gain > _MIN_BASIN_GAIN else _LOOK
        elif how == _NEWTON:
            damping = max(_DAMPING_INCREASE * damping, _MIN_DAMPING)
        elif how == _EXPECT:
            how = _LOOK
        else:
            end = CONVERGED
            break
    if gain <= _MAX_STALLED_GAIN:
        end = CONVERGED
    cost = squared_residual(
        b, root_weight, signal, fit.slow, fit.fast, fit.slow_amplitude, fit.fast_amplitude
    )
    inside1 = fit.slow_amplitude > 0.0 and bounds.slow_low < fit.slow < bounds.slow_high
    inside2 = fit.fast_amplitude > 0.0 and bounds.fast_low < fit.fast < bounds.fast_high
    seen1 = seen2 = 0.0
    _curvatures(work, fit, sums, known, count, 0.0)
    if _solve(work, 2, 0.0, 0.0, inside1, inside2):
        seen1 = fit.slow_amplitude * fit.slow_amplitude * variance / work[0, 0]
        seen2 = fit.fast_amplitude * fit.fast_amplitude * variance / work[1, 1]
    best = Fit(
        fit.slow, fit.fast, fit.slow_amplitude, fit.fast_amplitude, cost, seen1, seen2, iterations,
        end,
    )  # fmt: skip
    return best, variance
