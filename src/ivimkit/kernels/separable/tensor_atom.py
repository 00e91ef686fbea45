"""The atom of a diffusion tensor: exp(-b g'Dg), with its derivatives.

The bounds of a fit are a box, and positive definite matrices are none. In the parameters used here
they are: D = 3 MD L L' / |L|^2 with the mean diffusivity MD > 0 and a lower triangular matrix L,
|L|^2 the sum of its squared elements, whose first element is 1 as its size does not matter. Every
positive definite D has one such L with a positive diagonal, and every such L gives one. The trace
of D is 3 MD whatever L is, so that MD is a parameter, with bounds and an order as D has them.
"""

from __future__ import annotations

from ivimkit.kernels.device import inlined
from ivimkit.kernels.exponential import exp

__all__ = ["tensor", "tensor_bend"]

Shapes = tuple[float, float, float, float, float, float]


@inlined
def tensor(
    b: float, gx: float, gy: float, gz: float, p: Shapes
) -> tuple[float, tuple[float, float, float, float, float, float]]:
    """Return exp(-b g'Dg) and its derivatives by MD, L_yy, L_zz, L_yx, L_zx and L_zy.

    With y = L'g, s = |y|^2 and t = |L|^2 the share of the direction is w = g'Dg / MD = 3 s / t,
    and its derivative by an element l of L is 3 (s_l - l 2 s / t) / t. Where g is 0, it is 0.
    """
    y1 = gx + p[3] * gy + p[4] * gz
    y2 = p[1] * gy + p[5] * gz
    y3 = p[2] * gz
    per_t = 1.0 / (1.0 + p[1] * p[1] + p[2] * p[2] + p[3] * p[3] + p[4] * p[4] + p[5] * p[5])
    ratio = (y1 * y1 + y2 * y2 + y3 * y3) * per_t
    value = exp(-3.0 * b * p[0] * ratio)
    slope = -6.0 * b * p[0] * per_t * value
    return value, (
        -3.0 * b * ratio * value,
        slope * (y2 * gy - ratio * p[1]),
        slope * (y3 * gz - ratio * p[2]),
        slope * (y1 * gy - ratio * p[3]),
        slope * (y1 * gz - ratio * p[4]),
        slope * (y2 * gz - ratio * p[5]),
    )


@inlined
def tensor_bend(b: float, gx: float, gy: float, gz: float, p: Shapes) -> tuple[float, ...]:
    """Return the second derivatives of `tensor`, the upper triangle row by row.

    With the ratio q = s / t its derivatives are q_l = (s_l - q t_l) / t and
    q_lm = (s_lm - q t_lm - q_l t_m - q_m t_l) / t; t_l is 2 l, t_lm is 2 where l and m are the
    same, and s_lm is 2 g_i g_k for elements of one column of L, in rows i and k.
    """
    y1 = gx + p[3] * gy + p[4] * gz
    y2 = p[1] * gy + p[5] * gz
    y3 = p[2] * gz
    per_t = 1.0 / (1.0 + p[1] * p[1] + p[2] * p[2] + p[3] * p[3] + p[4] * p[4] + p[5] * p[5])
    q = (y1 * y1 + y2 * y2 + y3 * y3) * per_t
    c = 3.0 * b * p[0]
    value = exp(-c * q)
    two = 2.0 * per_t
    q1 = two * (y2 * gy - q * p[1])
    q2 = two * (y3 * gz - q * p[2])
    q3 = two * (y1 * gy - q * p[3])
    q4 = two * (y1 * gz - q * p[4])
    q5 = two * (y2 * gz - q * p[5])
    # By MD and l: the derivative of -3 b q exp(-c q), that is 3 b q_l (c q - 1) exp(-c q).
    mixed = 3.0 * b * (c * q - 1.0) * value
    # By l and m: (c^2 q_l q_m - c q_lm) exp(-c q).
    own, other = c * c * value, c * value * two
    yy, yz, zz = gy * gy, gy * gz, gz * gz
    return (
        9.0 * b * b * q * q * value,
        mixed * q1,
        mixed * q2,
        mixed * q3,
        mixed * q4,
        mixed * q5,
        own * q1 * q1 - other * (yy - q - 2.0 * q1 * p[1]),
        own * q1 * q2 + other * (q1 * p[2] + q2 * p[1]),
        own * q1 * q3 + other * (q1 * p[3] + q3 * p[1]),
        own * q1 * q4 + other * (q1 * p[4] + q4 * p[1]),
        own * q1 * q5 - other * (yz - q1 * p[5] - q5 * p[1]),
        own * q2 * q2 - other * (zz - q - 2.0 * q2 * p[2]),
        own * q2 * q3 + other * (q2 * p[3] + q3 * p[2]),
        own * q2 * q4 + other * (q2 * p[4] + q4 * p[2]),
        own * q2 * q5 + other * (q2 * p[5] + q5 * p[2]),
        own * q3 * q3 - other * (yy - q - 2.0 * q3 * p[3]),
        own * q3 * q4 - other * (yz - q3 * p[4] - q4 * p[3]),
        own * q3 * q5 + other * (q3 * p[5] + q5 * p[3]),
        own * q4 * q4 - other * (zz - q - 2.0 * q4 * p[4]),
        own * q4 * q5 + other * (q4 * p[5] + q5 * p[4]),
        own * q5 * q5 - other * (zz - q - 2.0 * q5 * p[5]),
    )
