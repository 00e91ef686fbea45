"""The inverse of a small symmetric matrix that may lack some of its rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device

__all__ = ["invert"]

# A pivot of a matrix with ones on its diagonal below which two of its rows are one.
_SINGULAR = 1e-12


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
