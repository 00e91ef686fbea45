"""Moments of a posterior from the sums over its lattice."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    FAST_COORDINATE,
    FAST_MARGINAL,
    FRACTION_MARGINAL,
    LOGIT,
    ROW,
    SLOW_COORDINATE,
    SLOW_MARGINAL,
)
from ivimkit.kernels.two_decays.lattice.single_rows import (
    DROP_SUM,
    FAST_SQUARES,
    FAST_SUMS,
    INVERSE_SUM,
    MASS,
    OFFSET,
    S0_SQUARES,
    S0_SUMS,
    SLOW_SUMS,
)

__all__ = ["N_LOG_SUMS", "Centre", "Moments", "collected", "outside", "write_log_moments"]

N_LOG_SUMS = 10
"""Means of 1, x, y, z, xx, xy, xz, yy, yz and zz with x = ln r1, y = ln r2 and z = logit f."""


class Centre(NamedTuple):
    """From where distances are summed: slow and fast rate or their logarithms, fraction, S0."""

    slow: float
    fast: float
    fraction: float
    s0: float


class Moments(NamedTuple):
    """Moments of a posterior.

    Parameters
    ----------
    total : float
        The integral; all others are divided by it.
    slow, fast, fraction, s0, flow : float
        Means; `flow` is the product of fast rate and fraction.
    slow_slow, ..., flow_flow : float
        Variances and covariances; that of S0 is of the means c/q alone.
    inverse_norm, drop : float
        Means of 1/q and of the drop below the best fit.
    """

    total: float
    slow: float
    fast: float
    fraction: float
    slow_slow: float
    slow_fast: float
    slow_fraction: float
    fast_fast: float
    fast_fraction: float
    fraction_fraction: float
    flow: float
    flow_flow: float
    s0: float
    s0_s0: float
    inverse_norm: float
    drop: float


@device
def collected(
    n1: int,
    n2: int,
    length: float,
    logarithms: bool,
    product: float,
    centre: Centre,
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
) -> Moments:
    """Return the moments of a posterior whose sums are in the scratch.

    Parameters
    ----------
    n1, n2 : int
        Numbers of slow and of fast rates.
    length : float
        Fraction per unit of `OFFSET`.
    logarithms : bool
        Whether the coordinates are logarithms: then that of the fraction is the logit, its centre
        is 0, and the flow is meaningless.
    product : float
        Sum of the products of the distances of both rates from their centres.
    centre : Centre
        The centre.
    scratch, single : ndarray
        The scratch of a lattice.
    """
    total = slow = slow2 = 0.0
    for i in range(n1):
        mass, x = scratch[SLOW_MARGINAL + i], scratch[SLOW_COORDINATE + i]
        total += mass
        slow += mass * x
        slow2 += mass * x * x
    fast = fast2 = 0.0
    for j in range(n2):
        mass, y = scratch[FAST_MARGINAL + j], scratch[FAST_COORDINATE + j]
        fast += mass * y
        fast2 += mass * y * y
    # With z, the distance of the fraction: sums of z, z^2, x z, y z, y^2 z, y z^2 and y^2 z^2.
    z1 = z2 = xz = yz = yyz = yzz = yyzz = s0 = s00 = inverse = drop = mass3 = 0.0
    for k in range(ROW):
        z = scratch[LOGIT + k] if logarithms else length * single[OFFSET + k]
        mass = single[MASS + k]
        scratch[FRACTION_MARGINAL + k] = mass
        mass3 += mass
        z1 += mass * z
        z2 += mass * z * z
        xz += single[SLOW_SUMS + k] * z
        yz += single[FAST_SUMS + k] * z
        yyz += single[FAST_SQUARES + k] * z
        yzz += single[FAST_SUMS + k] * z * z
        yyzz += single[FAST_SQUARES + k] * z * z
        s0 += single[S0_SUMS + k]
        s00 += single[S0_SQUARES + k]
        inverse += single[INVERSE_SUM + k]
        drop += single[DROP_SUM + k]
    over = 1.0 / total if total > 0.0 else 0.0
    # Sums of one precision are divided by their own total.
    over3 = 1.0 / mass3 if mass3 > 0.0 else 0.0
    slow, fast, product = slow * over, fast * over, product * over
    slow2, fast2 = slow2 * over, fast2 * over
    z1, z2, xz, yz, s0 = z1 * over3, z2 * over3, xz * over3, yz * over3, s0 * over3
    yyz, yzz, yyzz = yyz * over3, yzz * over3, yyzz * over3
    # (F + z) (R + y) - F R = F y + R z + y z at the centre (R, F): its mean and its square's.
    r, f = centre.fast, centre.fraction
    flow = f * fast + r * z1 + yz
    flow2 = f * f * fast2 + r * r * z2 + yyzz + 2.0 * (f * r * yz + f * yyz + r * yzz)
    return Moments(
        total, centre.slow + slow, r + fast, (0.0 if logarithms else f) + z1,
        slow2 - slow * slow, product - slow * fast, xz - slow * z1,
        fast2 - fast * fast, yz - fast * z1, z2 - z1 * z1,
        f * r + flow, flow2 - flow * flow, centre.s0 + s0, s00 * over3 - s0 * s0,
        inverse * over3, drop * over3,
    )  # fmt: skip


@device
def outside() -> Moments:
    """Return what says that a posterior is not inside its lattice."""
    return Moments(-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@device
def write_log_moments(found: Moments, unit: float, out: NDArray[np.float64]) -> None:
    """Write the total, the `N_LOG_SUMS` - 1 means of logarithms and the mean of S0.

    Parameters
    ----------
    found : Moments
        Moments of logarithms.
    unit : float
        Unit of S0.
    out : ndarray, shape (N_LOG_SUMS + 1,)
        Receives them.
    """
    x, y, z = found.slow, found.fast, found.fraction
    out[0] = found.total
    out[1], out[2], out[3] = x, y, z
    out[4], out[5], out[6] = (
        found.slow_slow + x * x,
        found.slow_fast + x * y,
        found.slow_fraction + x * z,
    )
    out[7], out[8] = found.fast_fast + y * y, found.fast_fraction + y * z
    out[9] = found.fraction_fraction + z * z
    out[10] = unit * found.s0
