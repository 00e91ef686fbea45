"""Sums of a posterior over a whitened lattice, for each Gaussian of its prior."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.two_decays.mixture.scan_posteriors import Moments
from ivimkit.kernels.two_decays.mixture.whitened import (
    N_FAST_NODES,
    N_FRACTION_NODES,
    N_SLOW_NODES,
    Place,
    unit_node,
)

__all__ = ["N_UNIT_SUMS", "add_in_place", "component_sums", "keep_moments"]

N_UNIT_SUMS = 10
"""Sums of 1, u0, u1, u2, u0 u0, u0 u1, u0 u2, u1 u1, u1 u2 and u2 u2."""
# Logarithm of prior times likelihood, relative to the largest likelihood, that is negligible: the
# broad component of a prior keeps the sum of a voxel far above it.
_MIN_LOG = -45.0


@finite
def _row_sums(
    at_zero: float, linear: float, curve: float, top: float, row: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the sums of 1, u2 and u2^2 over a row, weighted by likelihood times Gaussian."""
    total = first = second = 0.0
    for k in range(N_FRACTION_NODES):
        u = unit_node(k, N_FRACTION_NODES)
        value = exp(at_zero + u * (linear + u * curve) + (row[k] - top))
        total += value
        first += value * u
        second += value * u * u
    return total, first, second


@device
def component_sums(
    values: NDArray[np.float64],
    highest: NDArray[np.float64],
    top: float,
    place: Place,
    components: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> float:
    """Write the sums of likelihood times each component of the prior.

    A component is the logarithm of its weight times the height of its Gaussian, its mean and the
    upper triangle of its inverse covariance P. With d = m - mu its exponent is
    -(d + L u)' P (d + L u) / 2: a polynomial in u, and along a row a parabola, whose summit says
    whether the row matters at all.

    Parameters
    ----------
    values, highest : ndarray
        As `ivimkit.kernels.two_decays.mixture.whitened.fill_likelihood` writes them.
    top : float
        The largest of the values.
    place : Place
        The lattice.
    components : ndarray, shape (n, N_COMPONENT)
        See `ivimkit.kernels.two_decays.lattice.prior_knots`.
    sums : ndarray, shape (n, N_UNIT_SUMS)
        Receives the sums, relative to the largest likelihood.

    Returns
    -------
    float
        The sum of all components.
    """
    mean, root, free = place
    n1 = N_SLOW_NODES if free[0] > 0 else 1
    n2 = N_FAST_NODES if free[1] > 0 else 1
    l00, l10, l11 = root[0, 0], root[1, 0], root[1, 1]
    l20, l21, l22 = root[2, 0], root[2, 1], root[2, 2]
    everything = 0.0
    for n in range(components.shape[0]):
        for k in range(N_UNIT_SUMS):
            sums[n, k] = 0.0
        p00, p01, p02 = components[n, 4], components[n, 5], components[n, 6]
        p11, p12, p22 = components[n, 7], components[n, 8], components[n, 9]
        d0, d1, d2 = (
            mean[0] - components[n, 1],
            mean[1] - components[n, 2],
            mean[2] - components[n, 3],
        )
        # P d, and P L column by column.
        e0 = p00 * d0 + p01 * d1 + p02 * d2
        e1 = p01 * d0 + p11 * d1 + p12 * d2
        e2 = p02 * d0 + p12 * d1 + p22 * d2
        constant = components[n, 0] - 0.5 * (d0 * e0 + d1 * e1 + d2 * e2)
        b0 = e0 * l00 + e1 * l10 + e2 * l20
        b1 = e1 * l11 + e2 * l21
        b2 = e2 * l22
        q0 = p00 * l00 + p01 * l10 + p02 * l20
        q1 = p01 * l00 + p11 * l10 + p12 * l20
        q2 = p02 * l00 + p12 * l10 + p22 * l20
        a00 = l00 * q0 + l10 * q1 + l20 * q2
        a01 = l11 * q1 + l21 * q2
        a02 = l22 * q2
        a11 = l11 * (p11 * l11 + p12 * l21) + l21 * (p12 * l11 + p22 * l21)
        a12 = l22 * (p12 * l11 + p22 * l21)
        a22 = p22 * l22 * l22
        for i in range(n1):
            u0 = unit_node(i, N_SLOW_NODES) if n1 > 1 else 0.0
            for j in range(n2):
                row = i * N_FAST_NODES + j
                u1 = unit_node(j, N_FAST_NODES) if n2 > 1 else 0.0
                at_zero = (
                    constant
                    - u0 * (b0 + 0.5 * a00 * u0)
                    - u1 * (b1 + 0.5 * a11 * u1)
                    - a01 * u0 * u1
                )
                linear = -(b2 + a02 * u0 + a12 * u1)
                summit = at_zero + (0.5 * linear * linear / a22 if a22 > 0.0 else 0.0)
                if not summit + (highest[row] - top) > _MIN_LOG:
                    continue
                total, first, second = _row_sums(at_zero, linear, -0.5 * a22, top, values[row])
                sums[n, 0] += total
                sums[n, 1] += total * u0
                sums[n, 2] += total * u1
                sums[n, 3] += first
                sums[n, 4] += total * u0 * u0
                sums[n, 5] += total * u0 * u1
                sums[n, 6] += first * u0
                sums[n, 7] += total * u1 * u1
                sums[n, 8] += first * u1
                sums[n, 9] += second
        everything += sums[n, 0]
    return everything


@device
def add_in_place(
    place: Place, unit: NDArray[np.float64], scale: float, out: NDArray[np.float64]
) -> None:
    """Add sums over u, times a number, to sums over eta = m + L u: of 1, eta and eta eta'.

    Parameters
    ----------
    place : Place
        The lattice.
    unit : ndarray, shape (N_UNIT_SUMS,)
        Sums over u.
    scale : float
        Factor.
    out : ndarray, shape (N_UNIT_SUMS,)
        The sums that they are added to: 1, eta, upper triangle of eta eta'.
    """
    mean, root, _ = place
    n = unit[0]
    out[0] += scale * n
    first = (
        root[0, 0] * unit[1],
        root[1, 0] * unit[1] + root[1, 1] * unit[2],
        root[2, 0] * unit[1] + root[2, 1] * unit[2] + root[2, 2] * unit[3],
    )
    position = 4
    for i in range(3):
        out[1 + i] += scale * (n * mean[i] + first[i])
        for j in range(i, 3):
            # (L S L')_ij with the symmetric matrix S of the second sums.
            second = 0.0
            for k in range(i + 1):
                for m in range(j + 1):
                    low, high = min(k, m), max(k, m)
                    second += root[i, k] * root[j, m] * unit[4 + low * (5 - low) // 2 + high]
            out[position] += scale * (
                n * mean[i] * mean[j] + mean[i] * first[j] + mean[j] * first[i] + second
            )
            position += 1


@device
def keep_moments(sums: NDArray[np.float64], v: int, moments: Moments) -> None:
    """Write mean and covariance of eta, from sums of 1, eta and eta eta', for a voxel."""
    for i in range(3):
        moments.mean[v, i] = sums[1 + i] / sums[0]
    position = 0
    for i in range(3):
        for j in range(i, 3):
            product = moments.mean[v, i] * moments.mean[v, j]
            moments.covariance[v, position] = sums[4 + position] / sums[0] - product
            position += 1
