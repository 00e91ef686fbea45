"""Built-in atoms: what one compartment of unit amplitude gives, with its derivatives.

An atom is ``atom(variable, ..., p) -> (value, slopes)`` with the variables of the acquisition that
its compartment declares, as numbers, and a tuple `p` of its shape parameters. A second function of
the same arguments gives the upper triangle of its second derivatives, row by row.
"""

from __future__ import annotations

from ivimkit.kernels.device import inlined
from ivimkit.kernels.exponential import exp, log

__all__ = [
    "decay",
    "decay_bend",
    "instant",
    "kurtosis",
    "kurtosis_bend",
    "relaxing",
    "relaxing_bend",
    "stretched",
    "stretched_bend",
]

# Below this product of b and rate a stretched decay is 1, and its logarithm must not be taken.
_NOTHING = 1e-200


@inlined
def decay(b: float, p: tuple[float]) -> tuple[float, tuple[float]]:
    """Return exp(-b D) and its derivative."""
    value = exp(-b * p[0])
    return value, (-b * value,)


@inlined
def decay_bend(b: float, p: tuple[float]) -> tuple[float]:
    """Return the second derivative of `decay`."""
    return (b * b * exp(-b * p[0]),)


@inlined
def instant(b: float, p: tuple[()]) -> tuple[float, tuple[()]]:
    """Return 1 at b = 0 and 0 at every other b-value."""
    return 1.0 if b == 0.0 else 0.0, ()


@inlined
def kurtosis(b: float, p: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """Return exp(-b D + (b D)^2 K / 6) and its derivatives by D and K."""
    bd = b * p[0]
    value = exp(-bd + bd * bd * p[1] / 6.0)
    return value, ((bd * p[1] / 3.0 - 1.0) * b * value, bd * bd / 6.0 * value)


@inlined
def kurtosis_bend(b: float, p: tuple[float, float]) -> tuple[float, float, float]:
    """Return the second derivatives of `kurtosis` by D twice, by D and K, and by K twice."""
    bd = b * p[0]
    value = exp(-bd + bd * bd * p[1] / 6.0)
    # With the exponent u: u_D = b (b D K / 3 - 1), u_K = (b D)^2 / 6.
    u_d = (bd * p[1] / 3.0 - 1.0) * b
    u_k = bd * bd / 6.0
    return (
        (u_d * u_d + b * b * p[1] / 3.0) * value,
        (u_d * u_k + b * bd / 3.0) * value,
        u_k * u_k * value,
    )


@inlined
def stretched(b: float, p: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """Return exp(-(b DDC)^alpha) and its derivatives by DDC > 0 and alpha > 0."""
    z = b * p[0]
    z = z if z > _NOTHING else _NOTHING
    ln = log(z)
    u = exp(p[1] * ln)
    value = exp(-u)
    return value, (-p[1] * u / p[0] * value, -ln * u * value)


@inlined
def stretched_bend(b: float, p: tuple[float, float]) -> tuple[float, float, float]:
    """Return the second derivatives of `stretched` by DDC twice, by both, and by alpha twice."""
    z = b * p[0]
    z = z if z > _NOTHING else _NOTHING
    ln = log(z)
    u = exp(p[1] * ln)
    value = exp(-u)
    # With u = z^alpha: u_DDC = alpha u / DDC and u_alpha = u ln z; (e^-u)'' = e^-u (u'^2 - u'').
    u_d = p[1] * u / p[0]
    u_a = u * ln
    return (
        (u_d * u_d - (p[1] - 1.0) * u_d / p[0]) * value,
        (u_d * u_a - (u / p[0] + p[1] * u_a / p[0])) * value,
        (u_a * u_a - u_a * ln) * value,
    )


@inlined
def relaxing(b: float, te: float, p: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """Return exp(-b D - TE / T2) and its derivatives by D and T2."""
    rate = 1.0 / p[1]
    value = exp(-b * p[0] - te * rate)
    return value, (-b * value, te * rate * rate * value)


@inlined
def relaxing_bend(b: float, te: float, p: tuple[float, float]) -> tuple[float, float, float]:
    """Return the second derivatives of `relaxing` by D twice, by D and T2, and by T2 twice."""
    rate = 1.0 / p[1]
    value = exp(-b * p[0] - te * rate)
    slope = te * rate * rate
    return (
        b * b * value,
        -b * slope * value,
        (slope * slope - 2.0 * slope * rate) * value,
    )
