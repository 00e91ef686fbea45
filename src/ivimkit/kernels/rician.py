"""Ratio and logarithm of modified Bessel functions, for the noise of magnitude images.

A magnitude m of a signal A with noise sigma in each of 2 L channels has the density (Rician for
L = 1, non-central chi for L coils) ``m^L A^(1-L) / sigma^2 exp(-(m^2 + A^2) / (2 sigma^2))
I_(L-1)(x)`` with ``x = m A / sigma^2``. Its derivatives need I_L(x) / I_(L-1)(x).

At an order that is 16 higher, both the ratio and the function have short asymptotic series that
are accurate for every x (Debye's expansion and its logarithmic derivative). From there 16 steps of
the recurrence I_(k-1)(x) = I_(k+1)(x) + (2 k / x) I_k(x) lead down to order L, the direction in
which relative errors decay. Without branches and with one division, a loop over b-values becomes
vector instructions.

References
----------
Amos DE. Computation of modified Bessel functions and their ratios. Math Comp 1974;28:239-251.
doi:10.1090/S0025-5718-1974-0333287-7
Constantinides CD, Atalar E, McVeigh ER. Signal-to-noise measurements in magnitude images from NMR
phased arrays. Magn Reson Med 1997;38:852-857. doi:10.1002/mrm.1910380524
"""

from __future__ import annotations

import math

from ivimkit.kernels.device import inlined
from ivimkit.kernels.exponential import log

__all__ = ["bessel_ratio"]

_STEPS = 16
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@inlined
def bessel_ratio(x: float, coils: float) -> tuple[float, float, float, float]:
    """Return the ratio of two modified Bessel functions, its complement, and their logarithm.

    Parameters
    ----------
    x : float
        0 to 1e30.
    coils : float
        L, an integer >= 1.

    Returns
    -------
    ratio : float
        I_L(x) / I_(L-1)(x), relative error below 1e-12.
    deficit : float
        1 - ratio without cancellation, relative error below 1e-10.
    slope : float
        ratio / x, finite at 0.
    log_bessel : float
        ln(x^(1-L) exp(-x) I_(L-1)(x)), error below 1e-8 and smooth.
    """
    high = coils + _STEPS
    s = math.sqrt(high * high + x * x)
    t = 1.0 / s
    q = high * high * t * t
    # x I'(x) / I(x) = s + series, with I of order `high` and s^2 = high^2 + x^2; `above` is s - x.
    above = high * high / (s + x)
    series = 0.5 * (q - 1.0) + t * (
        (q - 1.0)
        * (
            -0.125 * (5.0 * q - 1.0)
            + t
            * (
                0.125 * ((15.0 * q - 12.0) * q + 1.0)
                + t
                * (
                    -0.0078125 * (((1105.0 * q - 1547.0) * q + 531.0) * q - 25.0)
                    + t
                    * (0.03125 * ((((1695.0 * q - 3390.0) * q + 2124.0) * q - 426.0) * q + 13.0))
                )
            )
        )
    )
    # The ratio of orders k + 1 and k is 1 - top / (x bottom): its complement is carried along, as
    # the difference from 1 would cancel at large x. All are scaled by powers of 1 + x against
    # overflow.
    scale = 1.0 / (1.0 + x)
    share = x * scale
    bottom = (high + s + series) * scale
    top = share * (high + above + series)
    for step in range(1, _STEPS):
        twice = 2.0 * (high - step)
        rest = twice * bottom - top
        bottom = share * bottom + scale * rest
        top = share * rest
    rest = 2.0 * coils * bottom - top
    last = x * bottom + rest
    inverse = 1.0 / last
    slope = bottom * inverse
    # Debye's series for the logarithm, and the product of all ratios on the way down.
    debye = t * (
        (3.0 - 5.0 * q) / 24.0
        + t
        * (
            ((5.0 * q - 6.0) * q + 1.0) / 16.0
            + t
            * (
                ((-1105.0 / 1152.0 * q + 221.0 / 128.0) * q - 531.0 / 640.0) * q
                + 25.0 / 384.0
                + t
                * (
                    (((565.0 * q - 1356.0) * q + 1062.0) * q - 284.0) * q / 128.0
                    + 13.0 / 128.0
                    + t
                    * (
                        (
                            (
                                ((-82825.0 / 3072.0 * q + 82825.0 / 1024.0) * q - 44899.0 / 512.0)
                                * q
                                + 186821.0 / 4608.0
                            )
                            * q
                            - 50049.0 / 7168.0
                        )
                        * q
                        + 1073.0 / 5120.0
                    )
                )
            )
        )
    )
    far = high + s
    shrink = (1.0 + x) / far
    shrink2 = shrink * shrink
    shrink4 = shrink2 * shrink2
    shrink8 = shrink4 * shrink4
    product = last * scale * shrink8 * shrink8 * shrink
    log_bessel = above + debye + 0.5 * log(product * product * t) - (coils - 1.0) * log(far)
    return x * slope, rest * inverse, slope, log_bessel - _HALF_LOG_2PI
