"""Sums of a posterior over a whitened lattice, for each Gaussian of its prior."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.two_decays.mixture.scan_posteriors import Moments
from ivimkit.kernels.two_decays.mixture.whitened import (
    MIN_LOG,
    N_FAST_NODES,
    N_FRACTION_NODES,
    N_SLOW_NODES,
    REACH,
    Place,
    unit_node,
)

__all__ = ["N_UNIT_SUMS", "N_WORK_ROWS", "add_in_place", "component_sums", "keep_moments"]

N_UNIT_SUMS = 10
"""Sums of 1, u0, u1, u2, u0 u0, u0 u1, u0 u2, u1 u1, u1 u2 and u2 u2."""
_PLANE, _LEVELS, _SCALES, _CROSS = 0, 1, 2, 3
N_WORK_ROWS = _CROSS + N_FAST_NODES
"""Rows of scratch, see `component_sums`."""
# Exponents up to this are split into factors, none of which then over- or underflows.
_MAX_SPLIT = 100.0


@finite
def _fill_cross(rate: float, factors: NDArray[np.float64], cross: NDArray[np.float64]) -> None:
    """Write exp(-rate u1 u2) for all pairs of nodes: each row is the one before times a factor."""
    step = unit_node(1, N_FAST_NODES) - unit_node(0, N_FAST_NODES)
    for k in range(N_FRACTION_NODES):
        u2 = unit_node(k, N_FRACTION_NODES)
        factors[k] = exp(-rate * step * u2)
        cross[0, k] = exp(-rate * unit_node(0, N_FAST_NODES) * u2)
    for j in range(1, N_FAST_NODES):
        for k in range(factors.size):
            cross[j, k] = cross[j - 1, k] * factors[k]


@finite
def _fill_scales(
    level: float,
    line: tuple[float, float],
    cross: tuple[float, float],
    levels: NDArray[np.float64],
    scales: NDArray[np.float64],
) -> None:
    """Write the exponents of the rows of a plane at their summits, and the factors of the rows.

    All at once: a single exponential takes as long as a row.
    """
    for j in range(N_FAST_NODES):
        u1 = unit_node(j, N_FAST_NODES)
        off, v = line[0] + line[1] * u1, cross[1] * u1
        at = level - 0.5 * off * off
        levels[j] = at
        scales[j] = at - v * (cross[0] + 0.5 * v)
    for j in range(N_FAST_NODES):
        scales[j] = exp(scales[j])


@finite
def _fill_plane(line: tuple[float, float], plane: NDArray[np.float64]) -> None:
    """Write the Gaussian of a line in u2 at the nodes."""
    for k in range(N_FRACTION_NODES):
        off = line[0] + line[1] * unit_node(k, N_FRACTION_NODES)
        plane[k] = exp(-0.5 * off * off)


@finite
def _row_sums(
    plane: NDArray[np.float64], cross: NDArray[np.float64], row: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the sums of 1, u2 and u2^2 over a row, weighted by the product of the three."""
    total = first = second = 0.0
    # With a constant number of nodes the loop is unrolled, and not made of vectors.
    for k in range(row.size):
        u = unit_node(k, N_FRACTION_NODES)
        value = plane[k] * cross[k] * row[k]
        total += value
        first += value * u
        second += value * u * u
    return total, first, second


@finite
def _wide_row_sums(
    line: tuple[float, float], row: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the sums over a row weighted by the Gaussian of a line in u2."""
    total = first = second = 0.0
    for k in range(N_FRACTION_NODES):
        u = unit_node(k, N_FRACTION_NODES)
        off = line[0] + line[1] * u
        value = exp(-0.5 * off * off) * row[k]
        total += value
        first += value * u
        second += value * u * u
    return total, first, second


@device
def component_sums(
    values: NDArray[np.float64],
    highest: NDArray[np.float64],
    place: Place,
    components: NDArray[np.float64],
    work: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> float:
    """Write the sums of likelihood times each component of the prior.

    A component is the logarithm of its weight times the height of its Gaussian, its mean and the
    upper triangle of its inverse covariance P. With d = m - mu and P = R'R, R lower triangular,
    its exponent is -|R d + R L u|^2 / 2. As L is lower triangular, too, only the last entry of
    this vector contains u2; the others say whether a row matters at all. That entry is
    s + v + t u2, where s depends on u0 and v on u1, and

        exp(-(s + v + t u2)^2 / 2) = exp(-(s + t u2)^2 / 2) exp(-v s - v^2 / 2) exp(-v t u2):

    a factor per plane, one per row, and one that all planes share. So there is no exponential in
    the innermost loop, unless the split factors would over- or underflow.

    Parameters
    ----------
    values, highest : ndarray
        As `ivimkit.kernels.two_decays.mixture.whitened.fill_likelihood` writes them.
    place : Place
        The lattice.
    components : ndarray, shape (n, N_COMPONENT)
        See `ivimkit.kernels.two_decays.lattice.prior_knots`.
    work : ndarray, shape (N_WORK_ROWS, N_FRACTION_NODES)
        Scratch.
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
    cross, plane = work[_CROSS : _CROSS + N_FAST_NODES], work[_PLANE]
    levels, scales = work[_LEVELS], work[_SCALES]
    everything = 0.0
    for n in range(components.shape[0]):
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
        largest = abs(t21) * REACH * (abs(g2) + REACH * (abs(t20) + t22))
        is_split = largest < _MAX_SPLIT
        if is_split:
            _fill_cross(t21 * t22, work[_PLANE], cross)
        for i in range(n1):
            u0 = unit_node(i, N_SLOW_NODES) if n1 > 1 else 0.0
            w0, s = g0 + t00 * u0, g2 + t20 * u0
            level = components[n, 0] - 0.5 * w0 * w0
            if not level > MIN_LOG:
                continue
            if n2 > 1:
                _fill_scales(
                    level, (g1 + t10 * u0, t11), (s, t21 if is_split else 0.0), levels, scales
                )
            else:
                off = g1 + t10 * u0
                levels[0] = level - 0.5 * off * off
                scales[0] = exp(levels[0])
            if is_split:
                _fill_plane((s, t22), plane)
            all0 = all1 = all2 = first0 = first1 = second0 = 0.0
            for j in range(n2):
                row = i * N_FAST_NODES + j
                if not levels[j] + highest[row] > MIN_LOG:
                    continue
                u1 = unit_node(j, N_FAST_NODES) if n2 > 1 else 0.0
                if is_split:
                    total, first, second = _row_sums(plane, cross[j], values[row])
                else:
                    total, first, second = _wide_row_sums((s + t21 * u1, t22), values[row])
                total *= scales[j]
                first *= scales[j]
                all0 += total
                all1 += total * u1
                all2 += total * u1 * u1
                first0 += first
                first1 += first * u1
                second0 += second * scales[j]
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
