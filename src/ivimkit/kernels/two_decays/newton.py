"""The Newton step on two rates and the ends of a descent, for one voxel and for SIMD lanes.

They serve `ivimkit.kernels.two_decays.descent` and `ivimkit.kernels.two_decays.lanes`.

With the residual r = s - a1 e1 - a2 e2, e_k = exp(-b r_k) and weighted inner products < , >, half
the cost F = <r, r> / 2 has de_k/dr_k = -b e_k, so that

    dF/dr_k          = a_k <b e_k, r>
    d2F/(dr_k dr_l)  = a_k a_l <b e_k, b e_l> - [k = l] a_k <b^2 e_k, r>
    c_kl = d2F/(da_k dr_l) = [k = l] <b e_k, r> - a_l <e_k, b e_l>
    d2F/(da_k da_l)  = <e_k, e_l> = G_kl

With the amplitudes eliminated, F as a function of the rates alone (the projected cost) has the
same slope, as dF/da = 0 at the best amplitudes, and the second derivative F_rr - c^T G^-1 c (the
Schur complement). Free amplitudes follow the rates by t = -G^-1 c, so it is F_rr + c^T t.
"""

from __future__ import annotations

from ivimkit.kernels.device import inlined

__all__ = [
    "BOUND_TOLERANCE",
    "GAIN_TOLERANCE",
    "MAX_DAMPED_STEPS",
    "MAX_INVERSE_DETERMINANT",
    "MAX_ITERATIONS",
    "MAX_PROMISED_GAINS",
    "MAX_SETTLED_ROUNDINGS",
    "MAX_STEP",
    "MIN_DAMPED_GAIN",
    "MIN_RATIO_TO_CROSS",
    "ROUNDING_SHARE",
    "SAME_FAST_TOLERANCE",
    "SAME_SLOW_TOLERANCE",
    "STEP_TOLERANCE",
    "detectability",
    "promised",
    "response",
    "second_order",
]

# These decide when a descent ends, for one voxel and in `ivimkit.kernels.two_decays.lanes`.
MAX_ITERATIONS = 40
# A Newton step below this (relative in r1, in units of ln r2) leaves an error of its square.
STEP_TOLERANCE = 1e-5
# A step that promises less than this share of the cost moves the rates by about 1e-4 standard
# deviations at most: a distance of one raises the cost by the noise variance, which is cost over
# degrees, and the rise is quadratic in the distance.
GAIN_TOLERANCE = 1e-9
# Rates with a larger ratio do not cross in one step: they meet half way at most.
MIN_RATIO_TO_CROSS = 1.2
# Largest step d of the fast rate r, to r (2 + d) / (2 - d): a factor of 4.5.
MAX_STEP = 1.27
# A descent ends if it would have to lower the cost by more than this many times what its next step
# promises for half the cost (2.0 would be exactly the promise) to reach the cost it has to beat.
MAX_PROMISED_GAINS = 20.0
# This many damped steps in a row, each with less than this relative gain, interrupt the descent;
# a large damping that is no longer needed decays in fewer.
MIN_DAMPED_GAIN = 1e-6
MAX_DAMPED_STEPS = 8
BOUND_TOLERANCE = 1e-12
# Rounding of the cost as a share of the squared norm of the signal, and the gain, in units of that
# rounding, at or below which a descent has settled.
ROUNDING_SHARE = 1e-14
MAX_SETTLED_ROUNDINGS = 1.0
# G11 G22 / det G beyond which the two decays are linearly dependent to working precision.
MAX_INVERSE_DETERMINANT = 1e15
# Squared norm of a decay without signal at any b-value: `exp` does not go below 1e-152.
MIN_DECAY_NORM = 1e-200
# A descent whose rates come this close to a known minimum, relative, is assumed to end there.
SAME_SLOW_TOLERANCE = 0.05
SAME_FAST_TOLERANCE = 0.25


@inlined
def second_order(
    y1: float, y2: float, d1: float, d2: float,
    qb1: float, qb2: float, qbb1: float, qbb2: float,
    gb11: float, gb12: float, gb22: float,
    gbb11: float, gbb12: float, gbb22: float,
) -> tuple[float, ...]:  # fmt: skip
    """Return slopes and second derivatives of half the cost at the amplitudes y.

    These are g1, g2 by the rates; c_kl by amplitude k and rate l; the Gauss-Newton part m11, m12,
    m22 by the rates; what the curvature of the decays adds to m11 and m22. The sums qb and qbb are
    those at the amplitudes y - d; the formulas are at the top of this file.
    """
    # Products of the residual with b e and b^2 e at the new amplitudes. The residual is linear in
    # the amplitudes, r(y) = r(y - d) - d1 e1 - d2 e2, so no second pass over b is needed.
    u1 = qb1 - gb11 * d1 - gb12 * d2
    u2 = qb2 - gb12 * d1 - gb22 * d2
    v1 = qbb1 - gbb11 * d1 - gbb12 * d2
    v2 = qbb2 - gbb12 * d1 - gbb22 * d2
    return (
        y1 * u1, y2 * u2,
        u1 - y1 * gb11, -y2 * gb12, -y1 * gb12, u2 - y2 * gb22,
        y1 * y1 * gbb11, y1 * y2 * gbb12, y2 * y2 * gbb22,
        -y1 * v1, -y2 * v2,
    )  # fmt: skip


@inlined
def response(
    g11: float, g12: float, g22: float, inverse: float,
    c11: float, c12: float, c21: float, c22: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Return how free amplitudes follow a change of the rates: t = -G^-1 c.

    dF/da = 0 stays true along the valley if G da + c dr = 0.
    """
    return (
        -(g22 * c11 - g12 * c21) * inverse,
        -(g22 * c12 - g12 * c22) * inverse,
        -(g11 * c21 - g12 * c11) * inverse,
        -(g11 * c22 - g12 * c12) * inverse,
    )


@inlined
def promised(
    g1: float, g2: float, h11: float, h12: float, h22: float, d1: float, d2: float
) -> float:
    """Return by how much half the cost falls in a step d of its quadratic model."""
    return -(g1 * d1 + g2 * d2) - 0.5 * (h11 * d1 * d1 + h22 * d2 * d2) - h12 * d1 * d2


@inlined
def detectability(
    g11: float, g12: float, g22: float,
    c11: float, c12: float, c21: float, c22: float,
    m11: float, m12: float, m22: float,
    a1: float, a2: float,
) -> tuple[float, float]:  # fmt: skip
    """Return a1^2 and a2^2 over their variances, in units of the noise variance.

    The variances are the marginal ones of the Gauss-Newton matrix, rates included; a row and
    column of zeros (a rate that is fixed or at a bound) drops out. Without branches, for lanes.
    """
    # The information of the amplitudes with the rates eliminated is S = G - c M^-1 c^T, M being
    # the Gauss-Newton matrix of the rates. The variance of a1 is (S^-1)_11 = s22 / det S, so a1^2
    # / variance = a1^2 det S / s22, here det S s11 / (s11 s22), which saves a division.
    both = (m11 > 0.0) & (m22 > 0.0)
    m12 = m12 if both else 0.0
    m11 = m11 if m11 > 0.0 else 1.0
    m22 = m22 if m22 > 0.0 else 1.0
    det = m11 * m22 - m12 * m12
    over = 1.0 / det
    s11 = g11 - (c11 * c11 * m22 - 2.0 * c11 * c12 * m12 + c12 * c12 * m11) * over
    s22 = g22 - (c21 * c21 * m22 - 2.0 * c21 * c22 * m12 + c22 * c22 * m11) * over
    s12 = g12 - (c11 * c21 * m22 - (c11 * c22 + c12 * c21) * m12 + c12 * c22 * m11) * over
    info = s11 * s22 - s12 * s12
    apart = det > 1e-14 * m11 * m22
    # Without information both would be 0 times infinity.
    known = apart & (info > 0.0)
    over = 1.0 / (s11 * s22)
    seen1 = a1 * a1 * info * s11 * over
    seen1 = seen1 if known & (s22 > 0.0) else 0.0
    seen2 = a2 * a2 * info * s22 * over
    seen2 = seen2 if known & (s11 > 0.0) else 0.0
    # A fast decay without signal at any b cannot be mistaken for the slow one: a1 stands alone.
    gone = g22 < MIN_DECAY_NORM
    only1 = a1 * a1 * s11 if apart & (s11 > 0.0) else 0.0
    return only1 if gone else seen1, 0.0 if gone else seen2
