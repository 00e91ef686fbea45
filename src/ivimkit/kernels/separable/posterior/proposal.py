"""Proposals: mixtures of Student's t densities that follow a posterior in its coordinates.

The points of a stage are drawn from a fixed table of quasi-random variates, a share of them for
each component, so that no seed is involved. A component is a row of numbers: its number of points,
the logarithm of its height, its mean, the factor L of its matrix L L', and the inverse of L.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite

__all__ = ["DEGREES", "add_densities", "draw", "fit_component", "set_component"]

DEGREES = 6.0
"""Degrees of freedom of the t densities.

As they are even, a density of d coordinates is a power of half whole numbers, (DEGREES + d) / 2,
which takes a root and a few products, and neither a logarithm nor an exponential.
"""

# Points whose densities are found together.
_AT_ONCE = 128
# Least pivot of a matrix, as a share of its diagonal.
_MIN_PIVOT = 1e-9
# Coordinates are cut off here: that is 1e-11 of the bounds away from them.
MAX_COORDINATE = 25.0


@device
def set_component(
    points: float, constant: float, d: int, matrix: NDArray[np.float64], row: NDArray[np.float64]
) -> None:
    """Write the factor of a component, its inverse and its height; the mean stands there.

    Parameters
    ----------
    points : float
        Its number of points.
    constant : float
        Logarithm of the height for L = 1.
    d : int
        Number of coordinates.
    matrix : ndarray, shape (d * d,)
        Its matrix.
    row : ndarray
        The component.
    """
    factor, inverse = 2 + d, 2 + d + d * d
    level = constant
    for i in range(d):
        for k in range(i + 1):
            total = matrix[i * d + k]
            for r in range(k):
                total -= row[factor + i * d + r] * row[factor + k * d + r]
            if i == k:
                total = math.sqrt(max(total, _MIN_PIVOT * matrix[i * d + i]))
                level -= math.log(total)
            else:
                total /= row[factor + k * d + k]
            row[factor + i * d + k] = total
    for i in range(d):
        row[inverse + i * d + i] = 1.0 / row[factor + i * d + i]
        for k in range(i):
            total = 0.0
            for r in range(k, i):
                total += row[factor + i * d + r] * row[inverse + r * d + k]
            row[inverse + i * d + k] = -total * row[inverse + i * d + i]
    row[0] = points
    row[1] = level


@device
def draw(
    d: int,
    row: NDArray[np.float64],
    variates: NDArray[np.float64],
    first: int,
    stride: int,
    z: NDArray[np.float64],
) -> None:
    """Write the points of a component, from the variates of the same numbers.

    `z` and `variates` have d rows of `stride` numbers; point `first` of all is the first one.
    """
    factor = 2 + d
    for p in range(first, first + int(row[0])):
        for i in range(d):
            total = row[2 + i]
            for k in range(i + 1):
                total += row[factor + i * d + k] * variates[k * stride + p]
            inside = -MAX_COORDINATE < total < MAX_COORDINATE
            z[i * stride + p] = total if inside else math.copysign(MAX_COORDINATE, total)


@finite
def add_densities(
    d: int,
    row: NDArray[np.float64],
    first: int,
    last: int,
    stride: int,
    z: NDArray[np.float64],
    density: NDArray[np.float64],
    mix: NDArray[np.float64],
    spare: NDArray[np.float64],
) -> None:
    """Write the density of a component, times its number of points, and add it to `mix`.

    `spare` is scratch for 2 `_AT_ONCE` numbers. Loops run over a number of points that is not a
    constant: the compiler writes out loops of a constant length before it looks for vectors.
    """
    inverse = 2 + d + d * d
    height = math.exp(row[1]) * row[0]
    square, off = spare[:_AT_ONCE], spare[_AT_ONCE : 2 * _AT_ONCE]
    for start in range(first, last, _AT_ONCE):
        n = min(_AT_ONCE, last - start)
        own, into = density[start : start + n], mix[start : start + n]
        for i in range(d):
            for k in range(i + 1):
                weight, mean = row[inverse + i * d + k], row[2 + k]
                column = z[k * stride + start : k * stride + start + n]
                if k == 0:
                    for p in range(n):
                        off[p] = weight * (column[p] - mean)
                else:
                    for p in range(n):
                        off[p] += weight * (column[p] - mean)
            if i == 0:
                for p in range(n):
                    square[p] = off[p] * off[p]
            else:
                for p in range(n):
                    square[p] += off[p] * off[p]
        for p in range(n):
            fall = 1.0 / (1.0 + square[p] * (1.0 / DEGREES))
            off[p] = fall
            own[p] = height * (fall * fall * fall)
        for _ in range(d // 2):
            for p in range(n):
                own[p] *= off[p]
        if d % 2 == 1:
            for p in range(n):
                own[p] *= math.sqrt(off[p])
        for p in range(n):
            into[p] += own[p]


@finite
def fit_component(
    d: int,
    n: int,
    stride: int,
    steady: float,
    z: NDArray[np.float64],
    share: NDArray[np.float64],
    old: NDArray[np.float64],
    matrix: NDArray[np.float64],
    row: NDArray[np.float64],
) -> float:
    """Write the mean of a component and its matrix, from points and their shares in it.

    Parameters
    ----------
    d, n, stride : int
        Number of coordinates, points, and distance of the rows of `z`.
    steady : float
        Mass that its matrix so far has, which keeps it from collapsing.
    z, share : ndarray
        Coordinates and shares of the points.
    old : ndarray
        The component so far.
    matrix : ndarray, shape (d * d,)
        Receives its matrix.
    row : ndarray
        Receives its mean.

    Returns
    -------
    float
        Its share of the mass.
    """
    mass = 0.0
    for p in range(n):
        mass += share[p]
    for i in range(d):
        total = 0.0
        for p in range(n):
            total += share[p] * z[i * stride + p]
        row[2 + i] = (total + steady * old[2 + i]) / (mass + steady)
    factor = 2 + d
    for i in range(d):
        for k in range(i + 1):
            total = 0.0
            m_i, m_k = row[2 + i], row[2 + k]
            for p in range(n):
                total += share[p] * (z[i * stride + p] - m_i) * (z[k * stride + p] - m_k)
            before = 0.0
            for r in range(k + 1):
                before += old[factor + i * d + r] * old[factor + k * d + r]
            matrix[i * d + k] = (total + steady * before) / (mass + steady)
            matrix[k * d + i] = matrix[i * d + k]
    return mass
