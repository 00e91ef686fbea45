"""A decay whose logarithm is a parabola in b, and blood of a given rate: what kurtosis explains.

The signal is ``P exp(-b r) + exp(c0 + c1 x + c2 x^2)`` with x = b / 1000: blood of the rate r, and
tissue with D = -c1 / 1000 and the kurtosis K = 6 c2 / c1^2. It has as many parameters as two
decays of b, so that the two can be compared voxel by voxel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.voxel import Voxel

__all__ = ["B_SCALE", "CurvedDecay", "curved_decay", "curved_decay_table"]

B_SCALE = 1000.0
"""Unit of x in s/mm^2, which makes the coefficients numbers of the order of 1."""

# The start is taken where little blood is left, if that leaves enough b-values.
_MIN_B_OF_START = 100.0
_MIN_N_OF_START = 4
_MIN_SIGNAL_SHARE = 1e-3
_MIN_SIGNAL = 1e-100

_MAX_STEPS = 4
# The model is linear for changes of an exponent up to about this one.
_MAX_CHANGE = 0.7
_MAX_EXPONENT, _MIN_EXPONENT = 600.0, -300.0
# A step that lowers the cost by less than this share is the last one.
_MIN_GAIN = 1e-2
_SINGULAR = 1e-12


class CurvedDecay(NamedTuple):
    """The result of `curved_decay`.

    Attributes
    ----------
    c0, c1, c2, blood : float
        The parameters; NaN if there is no start.
    cost : float
        Weighted sum of squares.
    variance : float
        Variance of c2 for noise with a standard deviation of 1, from the curvature.
    steps : int
        Number of steps.
    """

    c0: float
    c1: float
    c2: float
    blood: float
    cost: float
    variance: float
    steps: int


class _Step(NamedTuple):
    """Changes of the coefficients, and the variance of the last one for noise of 1."""

    c0: float
    c1: float
    c2: float
    variance: float


class _Gram(NamedTuple):
    """Normal equations for 1, x and x^2: the upper triangle, and the right side."""

    a00: float
    a01: float
    a02: float
    a11: float
    a12: float
    a22: float
    g0: float
    g1: float
    g2: float


def curved_decay_table(
    b: NDArray[np.float64], weight: NDArray[np.float64], rate: float
) -> NDArray[np.float64]:
    """Return the table of `curved_decay`, shape (3, n_rows).

    Parameters
    ----------
    b, weight : ndarray, shape (n_rows,)
        b-values in s/mm^2, and their weights.
    rate : float
        Rate of blood, mm^2/s.

    Returns
    -------
    ndarray, shape (3, n_rows)
        x; the decay of blood; 1 for the values from which the start is taken.
    """
    used = weight > 0.0
    far = used & (b >= _MIN_B_OF_START)
    start = far if np.count_nonzero(far) >= _MIN_N_OF_START else used
    return np.stack([b / B_SCALE, np.exp(-b * rate), start.astype(np.float64)])


@device
def _solved(gram: _Gram) -> _Step:
    """Solve normal equations by elimination; NaN where they are singular."""
    a11 = gram.a11 - gram.a01 * gram.a01 / gram.a00
    a12 = gram.a12 - gram.a01 * gram.a02 / gram.a00
    a22 = gram.a22 - gram.a02 * gram.a02 / gram.a00
    g1 = gram.g1 - gram.a01 * gram.g0 / gram.a00
    g2 = gram.g2 - gram.a02 * gram.g0 / gram.a00
    left = a22 - a12 * a12 / a11
    if not (
        gram.a00 > 0.0 and a11 > _SINGULAR * abs(gram.a11) and left > _SINGULAR * abs(gram.a22)
    ):
        return _Step(math.nan, math.nan, math.nan, math.nan)
    c2 = (g2 - g1 * a12 / a11) / left
    c1 = (g1 - a12 * c2) / a11
    return _Step((gram.g0 - gram.a01 * c1 - gram.a02 * c2) / gram.a00, c1, c2, 1.0 / left)


@device
def _start(voxel: Voxel) -> _Step:
    """Fit the parabola to logarithms, with weights S^2."""
    signal, root_weight, table = voxel.signal, voxel.root_weight, voxel.table
    peak = 0.0
    for j in range(signal.size):
        peak = max(peak, signal[j])
    least = max(_MIN_SIGNAL_SHARE * peak, _MIN_SIGNAL)
    m0 = m1 = m2 = m3 = m4 = g0 = g1 = g2 = 0.0
    for j in range(signal.size):
        x = table[0, j]
        used = table[2, j] > 0.0 and signal[j] > least
        level = signal[j] if used else 1.0
        w = root_weight[j] * level
        w = w * w if used else 0.0
        y = w * log(level)
        m0 += w
        m1 += w * x
        m2 += w * x * x
        m3 += w * x * x * x
        m4 += w * x * x * x * x
        g0 += y
        g1 += y * x
        g2 += y * x * x
    return _solved(_Gram(m0, m1, m2, m2, m3, m4, g0, g1, g2))


@device
def curved_decay(voxel: Voxel) -> CurvedDecay:
    """Fit the curve to a voxel by Gauss-Newton steps, from a parabola through the logarithms.

    The amplitude of blood is not negative: where a step would make it so, it becomes 0, and the
    step is that of the parabola alone. The best of all steps counts, so that one too far does no
    harm; where the steps miss the minimum, the curve seems to be worse than it is, never better.

    Parameters
    ----------
    voxel : Voxel
        With the table of `curved_decay_table`.

    Returns
    -------
    CurvedDecay
    """
    signal, root_weight, table = voxel.signal, voxel.root_weight, voxel.table
    first = _start(voxel)
    c0, c1, c2, blood = first.c0, first.c1, first.c2, 0.0
    best = CurvedDecay(math.nan, math.nan, math.nan, math.nan, math.inf, math.nan, 0)
    for step in range(_MAX_STEPS):
        if not math.isfinite(c0 + c1 + c2):
            break
        m0 = m1 = m2 = m3 = m4 = 0.0
        q0 = q1 = q2 = qq = 0.0
        g0 = g1 = g2 = gq = cost = 0.0
        for j in range(signal.size):
            w, x, q = root_weight[j] * root_weight[j], table[0, j], table[1, j]
            tissue = exp(min(max(c0 + (c1 + c2 * x) * x, _MIN_EXPONENT), _MAX_EXPONENT))
            residual = signal[j] - tissue - blood * q
            slope = w * tissue
            square, product, both = slope * tissue, slope * residual, slope * q
            cost += w * residual * residual
            m0 += square
            m1 += square * x
            m2 += square * x * x
            m3 += square * x * x * x
            m4 += square * x * x * x * x
            q0 += both
            q1 += both * x
            q2 += both * x * x
            qq += w * q * q
            g0 += product
            g1 += product * x
            g2 += product * x * x
            gq += w * residual * q
        gain = best.cost - cost
        if not gain > 0.0:
            break
        # The amplitude of blood, linear in the signal, is eliminated from the equations.
        move = _solved(
            _Gram(
                m0 - q0 * q0 / qq, m1 - q0 * q1 / qq, m2 - q0 * q2 / qq,
                m2 - q1 * q1 / qq, m3 - q1 * q2 / qq, m4 - q2 * q2 / qq,
                g0 - q0 * gq / qq, g1 - q1 * gq / qq, g2 - q2 * gq / qq,
            )
        )  # fmt: skip
        change = (gq - q0 * move.c0 - q1 * move.c1 - q2 * move.c2) / qq
        if not blood + change > 0.0:
            # The residuals of a curve without blood: its signal is given back to them.
            move = _solved(
                _Gram(
                    m0, m1, m2, m2, m3, m4,
                    g0 + blood * q0, g1 + blood * q1, g2 + blood * q2,
                )
            )  # fmt: skip
            change = -blood
        best = CurvedDecay(c0, c1, c2, blood, cost, move.variance, step + 1)
        if gain < _MIN_GAIN * cost:
            break
        c0 += min(max(move.c0, -_MAX_CHANGE), _MAX_CHANGE)
        c1 += min(max(move.c1, -_MAX_CHANGE), _MAX_CHANGE)
        c2 += min(max(move.c2, -_MAX_CHANGE), _MAX_CHANGE)
        blood += change
    return best
