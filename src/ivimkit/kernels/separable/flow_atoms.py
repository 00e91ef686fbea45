"""Atoms of blood that flows: what its random velocities leave of the signal.

A spin with the velocity v(t) along the gradient g(t) has the phase gamma int Q(t) v(t) dt with
Q(t) = int_0^t g. In many vessels this phase is Gaussian, with a variance that follows from the
autocorrelation of the velocity, <v(0) v(t)> = (v^2 / 3) exp(-t / tau): v is the root mean square
of the speed, a third of whose square is along the gradient, and tau the time after which blood has
turned. The signal is exp(-variance / 2):

    F = exp(-b v^2 h(tau) / 3),  h = int_0^inf A(u) exp(-u / tau) du / A(0),

with the autocorrelation A of Q, because b = gamma^2 A(0). h is the time during which a velocity
acts: tau if that is short (pseudo-diffusion, D* = v^2 tau / 3), and half the square of the flow
weighting c by b if tau is long (ballistic flow, F = exp(-c^2 v^2 / 6)).
"""

from __future__ import annotations

import math

from ivimkit.conventions import D_BLOOD
from ivimkit.kernels.device import inlined
from ivimkit.kernels.exponential import exp

__all__ = ["ballistic", "ballistic_bend", "turning", "turning_bend"]

# Below this argument the power series of a function are used, above it the function as it is
# written, in which leading terms cancel.
_SMALL = 0.5
# y - 1 + e^-y = y^2 sum (-y)^k / (k + 2)!
_GROWTH = tuple((-1.0) ** k / math.factorial(k + 2) for k in range(13))
# e^x + e^-x - 2 - x^2 = x^4 sum 2 z^k / (2k + 4)! and e^x - e^-x - 2x - x^3/3 = x^5 sum 2 z^k /
# (2k + 5)! with z = x^2; then each x d/dx of them.
_EVEN, _EVEN1, _EVEN2 = (
    tuple(2.0 * (2 * k + 4) ** n / math.factorial(2 * k + 4) for k in range(6)) for n in range(3)
)
_ODD, _ODD1, _ODD2 = (
    tuple(2.0 * (2 * k + 5) ** n / math.factorial(2 * k + 5) for k in range(6)) for n in range(3)
)
# Shortest time of a gradient, ms: keeps 0 / 0 away where there is none.
_MIN_TIME = 1e-6

# Four lobes (Wetscherek 2015) as shares of the encoding time: the gradient changes its sign at
# _FIRST, 1/2 and 1 - _FIRST, so that 0th and 1st moment vanish. A(0) = G^2 T^3 _BY_CUBE.
_FIRST = 0.5 - math.sqrt(2.0) / 4.0
_BY_CUBE = 1.0 / (36.0 * math.sqrt(2.0) + 48.0)
_LAGS = (
    (-4.0, _FIRST),
    (4.0, 0.5),
    (-4.0, 1.0 - _FIRST),
    (1.0, 1.0),
    (-8.0, 0.5 - _FIRST),
    (4.0, 1.0 - 2.0 * _FIRST),
)
# The same as a power series from X^5 on, for X up to this; then each X d/dX of it.
_SMALL_LOBES = 1.0
_LOBES, _LOBES1, _LOBES2 = (
    tuple(
        float(power) ** n
        * (-1.0) ** power
        * math.fsum(weight * lag**power for weight, lag in _LAGS)
        / math.factorial(power)
        for power in range(5, 20)
    )
    for n in range(3)
)


@inlined
def ballistic(b: float, c: float, p: tuple[float]) -> tuple[float, tuple[float]]:
    """Return exp(-b Db - c^2 v^2 / 6) and its derivative by v."""
    rate = c * c / 3.0
    value = exp(-b * D_BLOOD - 0.5 * rate * p[0] * p[0])
    return value, (-rate * p[0] * value,)


@inlined
def ballistic_bend(b: float, c: float, p: tuple[float]) -> tuple[float]:
    """Return the second derivative of `ballistic`."""
    rate = c * c / 3.0
    slope = rate * p[0]
    return ((slope * slope - rate) * exp(-b * D_BLOOD - 0.5 * slope * p[0]),)


@inlined
def _six(terms: tuple[float, ...], z: float) -> float:
    """Return the polynomial with six coefficients."""
    high = terms[3] + z * (terms[4] + z * terms[5])
    return terms[0] + z * (terms[1] + z * (terms[2] + z * high))


@inlined
def _fifteen(terms: tuple[float, ...], z: float) -> float:
    """Return the polynomial with fifteen coefficients."""
    high = terms[10] + z * (terms[11] + z * (terms[12] + z * (terms[13] + z * terms[14])))
    middle = terms[5] + z * (
        terms[6] + z * (terms[7] + z * (terms[8] + z * (terms[9] + z * high)))
    )
    return terms[0] + z * (
        terms[1] + z * (terms[2] + z * (terms[3] + z * (terms[4] + z * middle)))
    )


@inlined
def _growth(y: float, e: float) -> float:
    """Return y - 1 + e^-y, with e = e^-y, for y >= 0."""
    z = min(y, _SMALL)
    t = _GROWTH
    high = t[8] + z * (t[9] + z * (t[10] + z * (t[11] + z * t[12])))
    low = t[3] + z * (t[4] + z * (t[5] + z * (t[6] + z * (t[7] + z * high))))
    series = z * z * (t[0] + z * (t[1] + z * (t[2] + z * low)))
    return series if y < _SMALL else y - 1.0 + e


@inlined
def _pair(x: float, y: float, ex: float, ey: float) -> tuple[float, float, float]:
    """Return A of one pair of gradients, transformed, and its first two r d/dr.

    Gradients +G and -G of duration x tau, y tau apart. Q is a box convolved with a box, and the
    integral of A exp(-u / tau) over u > 0 is G^2 tau^4 times

        J = x^2 y - x^3 / 3 - 2 (x - 1 + e^-x) + e^-y (e^x + e^-x - 2).

    Small x and y cancel to fourth order in this form. With g(y) = y - 1 + e^-y it is
    x^2 g(y) - E(x) (1 - e^-y) + O(x), where E and O are the even and odd remainders above.
    """
    gy = _growth(y, ey)
    rise = y - gy
    s = min(x, _SMALL)
    z = s * s
    s4 = z * z
    s5 = s4 * s
    even, even1, even2 = s4 * _six(_EVEN, z), s4 * _six(_EVEN1, z), s4 * _six(_EVEN2, z)
    small = s5 * _six(_ODD, z) - even * rise
    small1 = s5 * _six(_ODD1, z) - even1 * rise - even * y * ey
    small2 = s5 * _six(_ODD2, z) - even2 * rise - (2.0 * even1 + even * (1.0 - y)) * y * ey
    # Above, e^(x - y) is one exponential, as e^x may be too large: x <= y.
    xx = x * x
    p, q = exp(x - y), ex * ey
    u, w = x - y, x + y
    k = 2.0 + xx
    rest = 2.0 * (ex - 1.0 + x - xx * (0.5 - x / 6.0))
    rest1 = 2.0 * (x - x * ex - xx * (1.0 - 0.5 * x))
    rest2 = 2.0 * (x - x * ex + xx * ex - xx * (2.0 - 1.5 * x))
    large = p + q - k * ey - rest
    large1 = u * p - w * q - (2.0 * xx - k * y) * ey - rest1
    large2 = (
        (u + u * u) * p
        + (w * w - w) * q
        - (4.0 * xx - 4.0 * xx * y - k * y + k * y * y) * ey
        - rest2
    )
    below = x < _SMALL
    return (
        xx * gy + (small if below else large),
        xx * (2.0 * gy + y * rise) + (small1 if below else large1),
        xx * (4.0 * gy + 5.0 * y * rise + y * y * ey) + (small2 if below else large2),
    )


@inlined
def _lobes(length: float) -> tuple[float, float, float]:
    """Return A of four lobes, transformed, and its first two r d/dr; `length` is T / tau.

    Q'' is a sum of impulses where the gradient changes, so that the integral is a sum over their
    distances u of e^(-u / tau) + u / tau + (u / tau)^3 / 6, with the weights `_LAGS`.
    """
    x = max(length, _SMALL_LOBES)
    first, rest = exp(-_FIRST * x), exp(-(0.5 - _FIRST) * x)
    half, far = first * rest, first * rest * rest
    e0, e1, e2, e3, e4, e5 = (
        -4.0 * first, 4.0 * half, -4.0 * far, half * half, -8.0 * rest, 4.0 * rest * rest
    )  # fmt: skip
    z0, z1, z2, z3, z4, z5 = (
        _FIRST * x, 0.5 * x, (1.0 - _FIRST) * x, x, (0.5 - _FIRST) * x, (1.0 - 2.0 * _FIRST) * x
    )  # fmt: skip
    cube = _BY_CUBE * x * x * x
    large = 7.0 + (e0 + e1 + e2) + (e3 + e4 + e5) - x + cube
    one = (z0 * e0 + z1 * e1 + z2 * e2) + (z3 * e3 + z4 * e4 + z5 * e5)
    two = (z0 * z0 * e0 + z1 * z1 * e1 + z2 * z2 * e2) + (
        z3 * z3 * e3 + z4 * z4 * e4 + z5 * z5 * e5
    )
    s = min(length, _SMALL_LOBES)
    s5 = s * s * s * s * s
    below = length < _SMALL_LOBES
    return (
        s5 * _fifteen(_LOBES, s) if below else large,
        s5 * _fifteen(_LOBES1, s) if below else 3.0 * cube - one - x,
        s5 * _fifteen(_LOBES2, s) if below else 9.0 * cube + two - one - x,
    )


@inlined
def _acting_time(
    duration: float, separation: float, encoding: float, code: float, tau: float
) -> tuple[float, float, float]:
    """Return the time h during which a velocity acts, and its first two derivatives by tau.

    With r = 1 / tau it is a constant times r^-4 M(r); M and its r d/dr are those of one pair of
    gradients, of two (`code` 1 or -1), or of four lobes (-2).
    """
    r = 1.0 / tau
    y = max(separation, _MIN_TIME) * r
    x = min(max(duration, _MIN_TIME) * r, y)
    ex, ey = exp(-x), exp(-y)
    one, one1, one2 = _pair(x, y, ex, ey)
    # The second pair multiplies: the integral of Q exp(t / tau) over the first pair, and of
    # Q exp(-t / tau) over the second, a gap later.
    gap = max(encoding * r - 2.0 * (x + y), 0.0)
    rise_x, rise_y = x - _growth(x, ex), y - _growth(y, ey)
    both = rise_x * rise_y
    cross = 0.5 * code * both * both * exp(-gap)
    qx, qy = x * ex / rise_x, y * ey / rise_y
    log1 = 2.0 * (qx + qy) - gap
    log2 = 2.0 * (qx * (1.0 - x / rise_x) + qy * (1.0 - y / rise_y)) - gap
    length = max(encoding, _MIN_TIME) * r
    four, four1, four2 = _lobes(length)
    lobes = code < -1.5
    m = four if lobes else one + cross
    m1 = four1 if lobes else one1 + cross * log1
    m2 = four2 if lobes else one2 + cross * (log1 * log1 + log2)
    scale = _BY_CUBE * length * length * length if lobes else x * x * (y - x / 3.0)
    return (
        tau * m / scale,
        (4.0 * m - m1) / scale,
        (m2 - 7.0 * m1 + 12.0 * m) / (tau * scale),
    )


@inlined
def turning(
    b: float,
    duration: float,
    separation: float,
    encoding: float,
    code: float,
    p: tuple[float, float],
) -> tuple[float, tuple[float, float]]:
    """Return exp(-b Db) F and its derivatives by v (mm/s) and tau (ms).

    Parameters
    ----------
    b : float
        b-value, s/mm^2.
    duration, separation, encoding : float
        Of one gradient, between the starts of a pair, and from the start of the first gradient to
        the end of the last, in ms.
    code : float
        0 for one pair of gradients, 1 for two pairs, -1 for two opposite ones that compensate
        flow, -2 for four lobes that do.
    p : tuple of float
        v, the root mean square of the speed, and tau, its correlation time.
    """
    h, h1, _ = _acting_time(duration, separation, encoding, code, p[1])
    # tau is in ms and b v^2 in 1/s.
    scale = 1e-3 / 3.0 * b * p[0]
    value = exp(-b * D_BLOOD - scale * p[0] * h)
    return value, (-2.0 * scale * h * value, -scale * p[0] * h1 * value)


@inlined
def turning_bend(
    b: float,
    duration: float,
    separation: float,
    encoding: float,
    code: float,
    p: tuple[float, float],
) -> tuple[float, float, float]:
    """Return the second derivatives of `turning` by v twice, by v and tau, and by tau twice."""
    h, h1, h2 = _acting_time(duration, separation, encoding, code, p[1])
    scale = 1e-3 / 3.0 * b
    v = p[0]
    value = exp(-b * D_BLOOD - scale * v * v * h)
    # Of the exponent e: e_v = 2 scale v h and e_tau = scale v^2 h'.
    by_v, by_tau = 2.0 * scale * v * h, scale * v * v * h1
    return (
        (by_v * by_v - 2.0 * scale * h) * value,
        (by_v * by_tau - 2.0 * scale * v * h1) * value,
        (by_tau * by_tau - scale * v * v * h2) * value,
    )
