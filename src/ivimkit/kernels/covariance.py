"""Normal matrix of a fit and its inverse, which may lack some of its rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device

__all__ = ["BLOCK", "MOST", "invert", "normal_matrix"]

MOST = 6
"""Most parameters that a model may have."""

BLOCK = 32
"""b-values come in blocks of this many, whose slopes fill rows of the scratch array."""

# A pivot of a matrix with ones on its diagonal below which two of its rows are one.
_SINGULAR = 1e-12


def signal_kernel(*_: Any) -> tuple[float, Any]:
    """Stand for the kernel of a model."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def normal_matrix(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    params: NDArray[np.float64],
    n: int,
    work: NDArray[np.float64],
) -> None:
    """Write J' W J with the slopes J of a signal to rows `MOST` to ``MOST + n - 1`` of `work`.

    It is a template: `ivimkit.engine.bind` puts the kernel of the model in.

    Parameters
    ----------
    b, root_weight : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights.
    params : ndarray, shape (>= n,)
        Where to take the slopes.
    n : int
        Number of parameters, up to `MOST`.
    work : ndarray, shape (>= 2 * MOST, >= BLOCK)
        The rows before the matrix are scratch.
    """
    x = b.reshape((1, b.size))
    for i in range(n):
        for k in range(n):
            work[MOST + i, k] = 0.0
    for block in range(0, b.size, BLOCK):
        size = min(BLOCK, b.size - block)
        for j in range(size):
            w = root_weight[block + j]
            # The gradient of a model with fewer parameters ends in zeros.
            slope = signal_kernel(x, block + j, params)[1] + (0.0, 0.0, 0.0, 0.0, 0.0)
            work[0, j] = w * slope[0]
            work[1, j] = w * slope[1]
            work[2, j] = w * slope[2]
            work[3, j] = w * slope[3]
            work[4, j] = w * slope[4]
            work[5, j] = w * slope[5]
        for i in range(n):
            for k in range(i + 1):
                total = 0.0
                for j in range(size):
                    total += work[i, j] * work[k, j]
                work[MOST + i, k] += total
    for i in range(n):
        for k in range(i):
            work[MOST + k, i] = work[MOST + i, k]


@device
def invert(matrix: NDArray[np.float64], first: int, n: int) -> bool:
    """Invert the positive definite matrix in `n` rows of an array, in place.

    Parameters
    ----------
    matrix : ndarray, shape (>= first + n + 1, >= n)
        The matrix stands in rows `first` to ``first + n - 1``; a row whose diagonal is 0 takes
        no part and is 0 in the inverse. The row behind is scratch.
    first, n : int
        Where the matrix starts and its size.

    Returns
    -------
    bool
        False if the matrix is singular; its rows then hold nothing of use.
    """
    scale = first + n
    for k in range(n):
        matrix[scale, k] = 1.0 / math.sqrt(matrix[first + k, k]) if matrix[first + k, k] > 0 else 0
    for i in range(n):
        for j in range(n):
            matrix[first + i, j] *= matrix[scale, i] * matrix[scale, j]
    for k in range(n):
        if matrix[scale, k] == 0.0:
            continue
        if matrix[first + k, k] < _SINGULAR:
            return False
        pivot = 1.0 / matrix[first + k, k]
        matrix[first + k, k] = 1.0
        for j in range(n):
            matrix[first + k, j] *= pivot
        for i in range(n):
            if i != k:
                factor = matrix[first + i, k]
                matrix[first + i, k] = 0.0
                for j in range(n):
                    matrix[first + i, j] -= factor * matrix[first + k, j]
    for i in range(n):
        for j in range(n):
            matrix[first + i, j] *= matrix[scale, i] * matrix[scale, j]
    return True
