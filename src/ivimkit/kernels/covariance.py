"""Normal matrix of a fit and its inverse, from which rows may be left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device

__all__ = ["BLOCK", "invert", "matrix_columns", "normal_matrix", "normal_rows"]

BLOCK = 32
"""Values come in blocks of this many, whose slopes fill rows of the scratch array."""

# Pivot of a matrix with ones on its diagonal below which its rows are linearly dependent.
_MIN_PIVOT = 1e-12


def signal_kernel(*_: Any) -> tuple[float, Any]:
    """Stand for the kernel of a model."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def normal_rows(n: int) -> int:
    """Return how many rows of scratch `normal_matrix` and `invert` need for `n` parameters."""
    return 2 * n + 1


def matrix_columns(n: int) -> int:
    """Return how many columns these rows have."""
    return max(BLOCK, n)


def normal_matrix(
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    params: NDArray[np.float64],
    n: int,
    work: NDArray[np.float64],
) -> None:
    """Write J' W J with the slopes J of a signal to rows `n` to ``2 n - 1`` of `work`.

    It is a template: `ivimkit.engine.bind` puts the kernel of the model in.

    Parameters
    ----------
    x : ndarray, shape (n_variables, n_rows)
        The acquisition.
    root_weight : ndarray, shape (n_rows,)
        Square roots of the weights.
    params : ndarray, shape (>= n,)
        Where to take the slopes.
    n : int
        Number of parameters.
    work : ndarray, shape (>= normal_rows(n), matrix_columns(n))
        The rows before the matrix are scratch.
    """
    for i in range(n):
        for k in range(n):
            work[n + i, k] = 0.0
    for block in range(0, root_weight.size, BLOCK):
        size = min(BLOCK, root_weight.size - block)
        for j in range(size):
            w = root_weight[block + j]
            slopes = signal_kernel(x, block + j, params)[1]
            for i in range(len(slopes)):
                work[i, j] = w * slopes[i]
        for i in range(n):
            for k in range(i + 1):
                total = 0.0
                for j in range(size):
                    total += work[i, j] * work[k, j]
                work[n + i, k] += total
    for i in range(n):
        for k in range(i):
            work[n + k, i] = work[n + i, k]


@device
def invert(matrix: NDArray[np.float64], first: int, n: int) -> bool:
    """Invert the positive definite matrix in `n` rows of an array, in place.

    Parameters
    ----------
    matrix : ndarray, shape (>= first + n + 1, >= n)
        The matrix is in rows `first` to ``first + n - 1``; a row whose diagonal is 0 is left out
        and is 0 in the inverse. The row behind is scratch.
    first, n : int
        Where the matrix starts and its size.

    Returns
    -------
    bool
        False if the matrix is singular; its rows are then meaningless.
    """
    # Scaled by D = diag(A)^-1/2, D A D has ones on its diagonal, so that pivots of parameters in
    # different units can be compared; A^-1 = D (D A D)^-1 D. Gauss-Jordan elimination in place
    # needs no row exchanges, as the matrix is positive definite.
    scale = first + n
    for k in range(n):
        matrix[scale, k] = 1.0 / math.sqrt(matrix[first + k, k]) if matrix[first + k, k] > 0 else 0
    for i in range(n):
        for j in range(n):
            matrix[first + i, j] *= matrix[scale, i] * matrix[scale, j]
    for k in range(n):
        if matrix[scale, k] == 0.0:
            continue
        if matrix[first + k, k] < _MIN_PIVOT:
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
