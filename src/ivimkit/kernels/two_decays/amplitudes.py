"""The linear half of a fit of two decays: amplitudes inside their bounds, in closed form.

With the decays e1(b), e2(b) given, the signal a1 e1 + a2 e2 is linear in a1 = S0 (1 - f) and
a2 = S0 f. Bounds on f make a cone, bounds on S0 cut it; the least-squares problem on that polygon
has two unknowns and is solved by looking at its interior, edges and corners.

With p_k = <e_k, s> and the Gram matrix G, amplitudes a explain the gain 2 a.p - a.G a of the
squared norm of the signal. It is concave, so if its free maximum G^-1 p is outside the polygon,
the maximum over the polygon is on an edge; on an edge it is a parabola in one variable, clipped to
the ends.
"""

from __future__ import annotations

import math

from ivimkit.kernels.device import device

__all__ = ["solve_amplitudes"]


@device
def _on_fraction(
    f: float,
    s0_low: float,
    s0_high: float,
    g11: float,
    g12: float,
    g22: float,
    p1: float,
    p2: float,
) -> tuple[float, float, float, int]:
    """Return (gain, a1, a2, free dimensions) of the best S0 with the fraction given.

    The signal is S0 e with e = (1 - f) e1 + f e2: S0 = <e, s> / <e, e>, clipped to its bounds.
    """
    k = 1.0 - f
    norm = k * k * g11 + 2.0 * k * f * g12 + f * f * g22
    dot = k * p1 + f * p2
    s0 = dot / norm if norm > 0.0 else 0.0
    free = 1
    if not s0_low < s0 < s0_high:
        s0 = min(max(s0, s0_low), s0_high)
        free = 0
    return s0 * (2.0 * dot - s0 * norm), k * s0, f * s0, free


@device
def _on_s0(
    s0: float,
    f_low: float,
    f_high: float,
    g11: float,
    g12: float,
    g22: float,
    p1: float,
    p2: float,
) -> tuple[float, float, float, int]:
    """Return (gain, a1, a2, free dimensions) of the best fraction with S0 given.

    The signal is S0 e1 + x (e2 - e1) with x = S0 f, so x = <e2 - e1, s - S0 e1> / |e2 - e1|^2.
    """
    norm = g11 - 2.0 * g12 + g22
    x = ((p2 - p1) - s0 * (g12 - g11)) / norm if norm > 0.0 else 0.0
    free = 1
    if not f_low * s0 < x < f_high * s0:
        x = min(max(x, f_low * s0), f_high * s0)
        free = 0
    a1 = s0 - x
    gain = 2.0 * (a1 * p1 + x * p2) - a1 * a1 * g11 - 2.0 * a1 * x * g12 - x * x * g22
    return gain, a1, x, free


@device
def solve_amplitudes(
    g11: float,
    g12: float,
    g22: float,
    p1: float,
    p2: float,
    f_low: float,
    f_high: float,
    s0_low: float,
    s0_high: float,
) -> tuple[float, float, int, float, float]:
    """Minimise ||s - a1 e1 - a2 e2||^2 with f and S0 inside their bounds.

    Parameters
    ----------
    g11, g12, g22 : float
        Weighted inner products of e1 and e2.
    p1, p2 : float
        Weighted inner products of e1 and e2 with the signal.
    f_low, f_high, s0_low, s0_high : float
        Bounds.

    Returns
    -------
    a1, a2 : float
        The amplitudes.
    free : int
        How many directions are free: 2 inside, 1 on an edge, 0 in a corner.
    z1, z2 : float
        The free direction on an edge.
    """
    det = g11 * g22 - g12 * g12
    if det > 1e-15 * g11 * g22:
        a1 = (g22 * p1 - g12 * p2) / det
        a2 = (g11 * p2 - g12 * p1) / det
        s0 = a1 + a2
        if s0_low < s0 < s0_high and f_low * s0 < a2 < f_high * s0:
            return a1, a2, 2, 0.0, 0.0
    best, a1, a2, free = _on_fraction(f_low, s0_low, s0_high, g11, g12, g22, p1, p2)
    z1 = 1.0 - f_low
    z2 = f_low
    gain, x1, x2, freedom = _on_fraction(f_high, s0_low, s0_high, g11, g12, g22, p1, p2)
    if gain > best:
        best, a1, a2, free = gain, x1, x2, freedom
        z1 = 1.0 - f_high
        z2 = f_high
    if s0_low > 0.0:
        gain, x1, x2, freedom = _on_s0(s0_low, f_low, f_high, g11, g12, g22, p1, p2)
        if gain > best:
            best, a1, a2, free = gain, x1, x2, freedom
            z1 = -1.0
            z2 = 1.0
    if s0_high < math.inf:
        gain, x1, x2, freedom = _on_s0(s0_high, f_low, f_high, g11, g12, g22, p1, p2)
        if gain > best:
            best, a1, a2, free = gain, x1, x2, freedom
            z1 = -1.0
            z2 = 1.0
    return a1, a2, free, z1, z2
