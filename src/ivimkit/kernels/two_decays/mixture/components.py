"""Sums of a posterior over a whitened lattice, for each Gaussian of its prior."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import exp_single, log
from ivimkit.kernels.two_decays.mixture.scan_posteriors import Moments
from ivimkit.kernels.two_decays.mixture.whitened import (
    MIN_LOG,
    N_FAST_NODES,
    N_FRACTION_NODES,
    N_SLOW_NODES,
    Place,
    unit_node,
)

__all__ = ["NEGLIGIBLE", "N_UNIT_SUMS", "N_WORK", "add_in_place", "component_sums", "keep_moments"]

N_UNIT_SUMS = 10
"""Sums of 1, u0, u1, u2, u0 u0, u0 u1, u0 u2, u1 u1, u1 u2 and u2 u2."""
# Rows of the scratch: sums over the rows of a plane of 1, u1 and u1^2, for each node of u2.
_SUM, _FIRST, _SECOND = 0, N_FRACTION_NODES, 2 * N_FRACTION_NODES
N_WORK = 3 * N_FRACTION_NODES
"""Numbers of scratch, see `component_sums`."""
NEGLIGIBLE = 16.0
"""Logarithm of the sum of a voxel over what the largest value of a row may be that is left out."""
_HALF = np.float32(0.5)


@finite
def _add_row(
    level: np.float32,
    s: np.float32,
    t: np.float32,
    u1: np.float32,
    row: NDArray[np.float32],
    work: NDArray[np.float32],
) -> None:
    """Add a row times exp(level - (s + t u2)^2 / 2) to the sums of its plane."""
    for k in range(N_FRACTION_NODES):
        off = s + t * np.float32(unit_node(k, N_FRACTION_NODES))
        value = exp_single(level - _HALF * off * off) * row[k]
        work[_SUM + k] += value
        work[_FIRST + k] += u1 * value
        work[_SECOND + k] += u1 * u1 * value


@finite
def _plane_sums(
    work: NDArray[np.float32],
) -> tuple[float, float, float, float, float, float]:
    """Return the sums of a plane: of 1, u1, u1^2, u2, u1 u2 and u2^2; begin those of the next."""
    all0 = all1 = all2 = first0 = first1 = second0 = 0.0
    for k in range(N_FRACTION_NODES):
        u = unit_node(k, N_FRACTION_NODES)
        value, times = float(work[_SUM + k]), float(work[_FIRST + k])
        all0 += value
        all1 += times
        all2 += float(work[_SECOND + k])
        first0 += value * u
        first1 += times * u
        second0 += value * u * u
    for k in range(N_WORK):
        work[k] = 0.0
    return all0, all1, all2, first0, first1, second0


@device
def component_sums(
    values: NDArray[np.float32],
    highest: NDArray[np.float64],
    place: Place,
    components: NDArray[np.float64],
    work: NDArray[np.float32],
    sums: NDArray[np.float64],
) -> float:
    """Write the sums of likelihood times each component of the prior.

    A component is the logarithm of its weight times the height of its Gaussian, its mean and the
    upper triangle of its inverse covariance P. With d = m - mu and P = R'R, R lower triangular,
    its exponent is -|R d + R L u|^2 / 2. As L is lower triangular, too, only the last entry of
    this vector contains u2; the others say whether a row matters at all, and are the same for all
    of it. Nodes are in single precision: an exponent is a number of the size of 1 to 50, and all
    terms are positive.

    Parameters
    ----------
    values, highest : ndarray
        As `ivimkit.kernels.two_decays.mixture.whitened.fill_likelihood` writes them.
    place : Place
        The lattice.
    components : ndarray, shape (n, N_COMPONENT)
        See `ivimkit.kernels.two_decays.lattice.prior_knots`.
    work : ndarray of float32, shape (N_WORK,)
        Scratch, 0 before and after.
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
    everything = 0.0
    limit = MIN_LOG
    # The last component, the broad one, comes first: it is never negligible, and says what is.
    for n in range(components.shape[0] - 1, -1, -1):
        for k in range(N_UNIT_SUMS):
            sums[n, k] = 0.0
        d0, d1, d2 = (
            mean[0] - components[n, 1],
            mean[1] - components[n, 2],
            mean[2] - components[n, 3],
        )
        # A coordinate that does not vary has no entry in P, and 0 in L and d.
        r22 = math.sqrt(components[n, 9]) if free[2] > 0 else 1.0
        r21, r20 = components[n, 8] / r22, components[n, 6] / r22
        r11 = math.sqrt(components[n, 7] - r21 * r21) if free[1] > 0 else 1.0
        r10 = (components[n, 5] - r21 * r20) / r11
        r00 = math.sqrt(components[n, 4] - r10 * r10 - r20 * r20) if free[0] > 0 else 1.0
        g0, g1, g2 = r00 * d0, r10 * d0 + r11 * d1, r20 * d0 + r21 * d1 + r22 * d2
        t00 = r00 * root[0, 0]
        t10, t11 = r10 * root[0, 0] + r11 * root[1, 0], r11 * root[1, 1]
        t20 = r20 * root[0, 0] + r21 * root[1, 0] + r22 * root[2, 0]
        t21, t22 = r21 * root[1, 1] + r22 * root[2, 1], r22 * root[2, 2]
        for i in range(n1):
            u0 = unit_node(i, N_SLOW_NODES) if n1 > 1 else 0.0
            w0, s = g0 + t00 * u0, g2 + t20 * u0
            level = components[n, 0] - 0.5 * w0 * w0
            if not level > limit:
                continue
            for j in range(n2):
                row = i * N_FAST_NODES + j
                u1 = unit_node(j, N_FAST_NODES) if n2 > 1 else 0.0
                off = g1 + t10 * u0 + t11 * u1
                here = level - 0.5 * off * off
                if here + highest[row] > limit:
                    _add_row(
                        np.float32(here), np.float32(s + t21 * u1), np.float32(t22),
                        np.float32(u1), values[row], work,
                    )  # fmt: skip
            all0, all1, all2, first0, first1, second0 = _plane_sums(work)
            sums[n, 0] += all0
            sums[n, 1] += all0 * u0
            sums[n, 2] += all1
            sums[n, 3] += first0
            sums[n, 4] += all0 * u0 * u0
            sums[n, 5] += all1 * u0
            sums[n, 6] += first0 * u0
            sums[n, 7] += all2
            sums[n, 8] += first1
            sums[n, 9] += second0
        everything += sums[n, 0]
        if everything > 0.0:
            limit = max(limit, log(everything) - NEGLIGIBLE)
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
