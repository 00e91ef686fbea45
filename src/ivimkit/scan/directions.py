"""Gradient directions: which of them are different, and whether they determine a tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.variables import DIRECTION

__all__ = ["SAME_DIRECTION", "determine_a_tensor", "distinct_directions", "needs_directions"]

SAME_DIRECTION = float(np.cos(np.deg2rad(1.0)))
"""Unit vectors whose product is at least this, up to sign, are one direction."""

# Singular values below this share of the largest: directions on a cone, up to their rounding.
_LEAST_SINGULAR_VALUE = 1e-2


def needs_directions(variables: Sequence[str]) -> bool:
    """Return whether some variables of a model are components of the gradient direction.

    Examples
    --------
    >>> needs_directions(("b", "gx", "gy", "gz")), needs_directions(("b", "echo_time"))
    (True, False)
    """
    return any(axis.name in variables for axis in DIRECTION)


def distinct_directions(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the different directions among unit vectors, in order of appearance.

    Parameters
    ----------
    vectors : ndarray, shape (n, 3)
        Unit vectors; those of 0 0 0 are left out.

    Returns
    -------
    ndarray, shape (n_directions, 3)
        One for each direction, up to sign and within 1 degree.

    Examples
    --------
    >>> import numpy as np
    >>> distinct_directions(np.array([[0.0, 0, 1], [0, 0, 0], [0, 0, -1], [1, 0, 0]])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    found = np.zeros((0, 3))
    for vector in np.asarray(vectors, dtype=np.float64):
        if vector.any() and not (np.abs(found @ vector) >= SAME_DIRECTION).any():
            found = np.concatenate([found, vector[None]])
    return found


def determine_a_tensor(vectors: NDArray[np.float64]) -> bool:
    """Return whether the diffusivities along some directions determine a symmetric tensor.

    Six directions do not if they lie on one cone, such as in one plane.

    Parameters
    ----------
    vectors : ndarray, shape (n, 3)
        Unit vectors.

    Examples
    --------
    >>> import numpy as np
    >>> turns = np.arange(6) * np.pi / 6
    >>> determine_a_tensor(np.stack([np.cos(turns), np.sin(turns), 0 * turns], axis=1))
    False
    """
    if len(vectors) < 6:
        return False
    x, y, z = vectors.T
    design = np.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z], axis=1)
    singular = np.linalg.svd(design, compute_uv=False)
    return bool(singular[-1] >= _LEAST_SINGULAR_VALUE * singular[0])
