"""Maximum likelihood for magnitudes: what `search` does for Gaussian noise, for Rician noise.

A magnitude has lost its phase (with several coils: its direction). Expectation-maximisation puts
back what is expected of it: given a signal A, the part of a magnitude m along A is on average
m R(m A / sigma^2) with the ratio R of two Bessel functions. Least squares on these numbers in
place of the magnitudes is the next signal, and the likelihood never falls. So every fit here is
one of `two_pools`, with its bounds. These steps are slow where most of the signal is noise; in
their place come Newton steps on the likelihood, each finished by the same least-squares fit and
taken back if the likelihood does not rise.

Weights count volumes: w magnitudes that were averaged are taken for w magnitudes that all had
their mean. Noise that is not known is a parameter more, with the divisor that makes it the
residual variance with its degrees of freedom where the signal is high.

References
----------
Dempster AP, Laird NM, Rubin DB. J R Stat Soc B 1977;39:1-38.
doi:10.1111/j.2517-6161.1977.tb01600.x
Sijbers J et al. IEEE Trans Med Imaging 1998;17:357-361. doi:10.1109/42.712125
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.covariance import invert
from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.rician import bessel_ratio
from ivimkit.kernels.search import global_fit, ordered, settle
from ivimkit.kernels.two_pools import Box, Fit, refine, squared_residual

__all__ = ["magnitude_fit"]

# What a step is: the fit without regard to the noise, Newton's, one of expectation-maximisation,
# and one of these that looks at the whole dictionary, to see whether there is more to find.
_BEGIN, _NEWTON, _EXPECT, _LOOK = 0, 1, 2, 3
_MOST_STEPS = 100
# ln of likelihood that a step must promise, in squared standard deviations of what is estimated,
# and that a step must gain.
_PROMISE = 1e-12
_GAIN = 1e-11
# ln of likelihood that another basin must gain, and below which the steps may end anywhere.
_FOUND = 1e-9
_STALLED = 1e-5
_MAX_LOG_STEP = 1.0
# Damping of a Newton step that failed, and beyond which it is one of expectation-maximisation.
_LEAST_DAMPING = 1e-3
_MOST_DAMPING = 1e4
_MORE = 6.0
_LESS = 0.2
# S0^2 times the number of volumes over the noise variance below which there is no signal.
_NOTHING = 1e-4
_ON_BOUND = 1e-12
# Noise below this share of the signal changes no digit.
_EXACT = 1e-26


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
) -> tuple[
    float, float, float, float,
    float, float, float, float, float, float, float, float, float, float,
    float, float, float, float,
    float, float, float, float,
    float, float,
    float, float, float, float,
]:  # fmt: skip
    """Write the magnitudes with their phase to `whole`; return likelihood, slopes, curvatures.

    The likelihood lacks the term of the noise alone. Parameters are a1, a2, r1 and ln r2. Slopes
    are those of the likelihood, curvatures those of its negative, information counted at least in
    part; the third group is the curvature between a parameter and the logarithm of the variance.
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
        # A magnitude is not negative; what is was made by processing and stands for next to 0.
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
def _free_amplitudes(a1: float, a2: float, box: Box) -> tuple[float, float, float, float]:
    """Return two directions in which the amplitudes may move; (0, 0) if there is none."""
    s0_low, s0_high, f_low, f_high = box[0], box[1], box[2], box[3]
    s0 = a1 + a2
    at_low = a2 <= f_low * s0 * (1.0 + _ON_BOUND)
    at_high = a2 >= f_high * s0 * (1.0 - _ON_BOUND)
    held = s0 <= s0_low * (1.0 + _ON_BOUND) or s0 >= s0_high * (1.0 - _ON_BOUND)
    if at_low or at_high:
        f = f_low if at_low else f_high
        return (0.0, 0.0, 0.0, 0.0) if held else (1.0 - f, f, 0.0, 0.0)
    return (-1.0, 1.0, 0.0, 0.0) if held else (1.0, 0.0, 0.0, 1.0)


@inlined
def _may_move(amplitude: float, rate: float, low: float, high: float, slope: float) -> bool:
    """Return whether a rate has an amplitude and no bound that holds it back."""
    return amplitude > 0.0 and (low < rate or slope > 0.0) and (rate < high or slope < 0.0)


@device
def _fill(
    matrix: NDArray[np.float64],
    z11: float, z12: float, z21: float, z22: float,
    move1: bool, move2: bool, noise: bool,
    h11: float, h12: float, h13: float, h14: float, h22: float,
    h23: float, h24: float, h33: float, h34: float, h44: float,
    c1: float, c2: float, c3: float, c4: float, h55: float,
) -> bool:  # fmt: skip
    """Write the curvatures in what may move, and 0 to the rows of what may not.

    The rows are two directions of the amplitudes, both rates and the noise. Returns whether the
    curvatures of what may move are positive.
    """
    k1 = 1.0 if move1 else 0.0
    k2 = 1.0 if move2 else 0.0
    k3 = 1.0 if noise else 0.0
    matrix[0, 0] = z11 * z11 * h11 + 2.0 * z11 * z12 * h12 + z12 * z12 * h22
    matrix[1, 1] = z21 * z21 * h11 + 2.0 * z21 * z22 * h12 + z22 * z22 * h22
    matrix[2, 2] = k1 * h33
    matrix[3, 3] = k2 * h44
    matrix[4, 4] = k3 * h55
    matrix[0, 1] = z21 * (z11 * h11 + z12 * h12) + z22 * (z11 * h12 + z12 * h22)
    matrix[0, 2] = k1 * (z11 * h13 + z12 * h23)
    matrix[1, 2] = k1 * (z21 * h13 + z22 * h23)
    matrix[0, 3] = k2 * (z11 * h14 + z12 * h24)
    matrix[1, 3] = k2 * (z21 * h14 + z22 * h24)
    matrix[2, 3] = k1 * k2 * h34
    matrix[0, 4] = k3 * (z11 * c1 + z12 * c2)
    matrix[1, 4] = k3 * (z21 * c1 + z22 * c2)
    matrix[2, 4] = k3 * k1 * c3
    matrix[3, 4] = k3 * k2 * c4
    for i in range(5):
        for j in range(i):
            matrix[i, j] = matrix[j, i]
    return (
        (matrix[0, 0] > 0.0 or (z11 == 0.0 and z12 == 0.0))
        and (matrix[1, 1] > 0.0 or (z21 == 0.0 and z22 == 0.0))
        and (matrix[2, 2] > 0.0 or not move1)
        and (matrix[3, 3] > 0.0 or not move2)
        and (matrix[4, 4] > 0.0 or not noise)
    )


@inlined
def _row(
    matrix: NDArray[np.float64], i: int, s1: float, s2: float, s3: float, s4: float, s5: float
) -> float:
    """Return the inner product of a row with five numbers."""
    total: float = (
        matrix[i, 0] * s1
        + matrix[i, 1] * s2
        + matrix[i, 2] * s3
        + matrix[i, 3] * s4
        + matrix[i, 4] * s5
    )
    return total


@device
def magnitude_fit(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    sigma: float,
    coils: float,
    box: Box,
    n1: int,
    n2: int,
    degrees: float,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[Fit, float]:
    """Find the maximum of the likelihood of magnitudes inside the bounds.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, magnitudes.
    sigma : float
        Standard deviation of the noise in each channel of one volume; estimated, too, where it is
        not > 0.
    coils : float
        Number of coils whose squares were added: 1 is Rician noise.
    box : tuple of float
        Lower and upper bounds of S0, f, fast rate, slow rate.
    n1, n2 : int
        Number of slow and of fast rates in the dictionary.
    degrees : float
        Degrees of freedom of the residual.
    table : ndarray, shape (n_rows, n)
        `ivimkit.kernels.atoms.Dictionary.table`.
    work : ndarray, shape (n_work_rows, n)
        Scratch.

    Returns
    -------
    fit : tuple
        As `ivimkit.kernels.two_pools.refine` returns it, with the sum of squared residuals of the
        magnitudes as its cost, and detectabilities for the information that they have.
    variance : float
        The noise variance; NaN where there is no degree of freedom to estimate it.
    """
    bounds = ordered(box)
    whole = np.empty(b.size)
    other = np.empty(b.size)
    aim = np.empty(b.size)
    total = power = 0.0
    for j in range(b.size):
        aim[j] = signal[j]
        w = root_weight[j] * root_weight[j]
        total += w
        power += w * signal[j] * signal[j]
    known = sigma > 0.0
    # The divisor of the noise: without phases every volume has 2 L - 1 numbers more.
    count = (2.0 * coils - 1.0) * total + degrees
    variance = sigma * sigma if known else math.nan
    fit = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0
    like = -math.inf
    spent = kept = squares = 0.0
    h11 = h12 = h13 = h14 = h22 = h23 = h24 = h33 = h34 = h44 = 0.0
    g1 = g2 = g3 = g4 = c1 = c2 = c3 = c4 = k3 = k4 = 0.0
    q1 = q2 = q3 = q4 = 0.0
    trial = variance
    damping = 0.0
    iterations = 0
    how = _BEGIN
    gain = math.inf
    end = 2
    for _ in range(_MOST_STEPS):
        if how == _NEWTON:
            z11, z12, z21, z22 = _free_amplitudes(fit[2], fit[3], bounds)
            move1 = _may_move(fit[2], fit[0], bounds[6], bounds[7], g3)
            move2 = _may_move(fit[3], fit[1], bounds[4], bounds[5], g4)
            s1 = z11 * g1 + z12 * g2
            s2 = z21 * g1 + z22 * g2
            s3 = g3 if move1 else 0.0
            s4 = g4 if move2 else 0.0
            s5 = 0.0 if known else 0.5 * (spent - count)
            n13 = h13 - g3 / fit[2] if move1 else 0.0
            n24 = h24 - g4 / fit[3] if move2 else 0.0
            n33 = h33 - k3
            n44 = h44 - fit[1] * k4 - g4
            n55 = 0.5 * spent - kept
            solved = False
            while not solved and damping < _MOST_DAMPING:
                solved = _fill(
                    work, z11, z12, z21, z22, move1, move2, not known,
                    h11 + damping * q1, h12, n13, h14, h22 + damping * q2, h23, n24,
                    n33 + damping * q3, h34, n44 + damping * q4, c1, c2, c3, c4,
                    n55 + 0.5 * damping * count,
                ) and invert(work, 0, 5)  # fmt: skip
                if not solved:
                    damping = max(_MORE * damping, _LEAST_DAMPING)
            how = _EXPECT
            if solved:
                d1 = _row(work, 0, s1, s2, s3, s4, s5)
                d2 = _row(work, 1, s1, s2, s3, s4, s5)
                d3 = _row(work, 2, s1, s2, s3, s4, s5)
                d4 = _row(work, 3, s1, s2, s3, s4, s5)
                d5 = _row(work, 4, s1, s2, s3, s4, s5)
                how = _NEWTON
                promise = s1 * d1 + s2 * d2 + s3 * d3 + s4 * d4 + s5 * d5
                if promise * (1.0 + damping) < _PROMISE:
                    how = _LOOK
                else:
                    # The fit of this aim is the step, curved so that it keeps inside the bounds.
                    e1 = z11 * d1 + z21 * d2
                    e2 = z12 * d1 + z22 * d2
                    for j in range(b.size):
                        u1 = exp(-b[j] * fit[0])
                        u2 = exp(-b[j] * fit[1])
                        aim[j] = (fit[2] + e1 - b[j] * fit[2] * d3) * u1 + (
                            fit[3] + e2 - b[j] * fit[1] * fit[3] * d4
                        ) * u2
                    step = min(max(d5, -_MAX_LOG_STEP), _MAX_LOG_STEP)
                    trial = variance * exp(step)
        if how in (_EXPECT, _LOOK):
            damping = min(damping, 1.0)
            for j in range(b.size):
                aim[j] = whole[j]
        if how in (_BEGIN, _LOOK):
            tried = global_fit(b, root_weight, aim, box, n1, n2, degrees, table, work)
        else:
            tried = refine(b, root_weight, aim, fit[0], fit[1], bounds, table)
            if tried[8] == 1:
                tried = settle(b, root_weight, aim, tried, bounds, table)
        iterations += tried[7]
        if how == _BEGIN:
            fit = tried
            if not known:
                trial = tried[4] / degrees if degrees > 0.0 else math.nan
                variance = trial
            if (
                tried[8] == 2
                or not tried[2] + tried[3] > 0.0
                or not trial > _EXACT * power / total
            ):
                return tried, variance
        elif how != _NEWTON and not known:
            trial = (squares + tried[4]) / count
        there = _expect(
            b, root_weight, signal, tried[0], tried[1], tried[2], tried[3], trial, coils, other
        )
        now = there[0] if known else there[0] - 0.5 * count * math.log(trial)
        gain = now - like
        if gain > (_FOUND if how == _LOOK else _GAIN):
            like = now
            fit = tried
            variance = trial
            whole, other = other, whole
            _, spent, kept, squares = there[:4]
            h11, h12, h13, h14, h22, h23, h24, h33, h34, h44 = there[4:14]
            g1, g2, g3, g4, c1, c2, c3, c4, k3, k4 = there[14:24]
            q1, q2, q3, q4 = there[24:]
            if (fit[2] + fit[3]) ** 2 * total < _NOTHING * variance:
                return (fit[0], fit[1], 0.0, 0.0, power, 0.0, 0.0, iterations, 0), variance
            damping = _LESS * damping if damping > _LEAST_DAMPING else 0.0
            how = _NEWTON
        elif how == _NEWTON:
            damping = max(_MORE * damping, _LEAST_DAMPING)
        elif how == _EXPECT:
            how = _LOOK
        else:
            end = 0
            break
    if gain <= _STALLED:
        end = 0
    cost = squared_residual(b, root_weight, signal, fit[0], fit[1], fit[2], fit[3])
    inside1 = fit[2] > 0.0 and bounds[6] < fit[0] < bounds[7]
    inside2 = fit[3] > 0.0 and bounds[4] < fit[1] < bounds[5]
    seen1 = seen2 = 0.0
    if _fill(
        work, 1.0, 0.0, 0.0, 1.0, inside1, inside2, False,
        h11, h12, h13, h14, h22, h23, h24, h33, h34, h44, c1, c2, c3, c4, 0.0,
    ) and invert(work, 0, 5):  # fmt: skip
        seen1 = fit[2] * fit[2] * variance / work[0, 0]
        seen2 = fit[3] * fit[3] * variance / work[1, 1]
    return (fit[0], fit[1], fit[2], fit[3], cost, seen1, seen2, iterations, end), variance
