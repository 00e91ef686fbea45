"""Receive field of a coil array: the smooth intensity variation of real images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.simulate.anatomy import Anatomy, Grid

__all__ = ["receive_field"]

# Position (as a fraction of half the field of view, height as a fraction of the slab) and gain of
# the elements: uneven, like a front array and a spine array.
_ELEMENTS = (
    (-0.8, 0.9, -0.4, 1.0),
    (0.1, 1.1, 0.5, 1.2),
    (0.9, 0.8, 0.0, 0.8),
    (-1.0, -0.5, 0.4, 0.9),
    (0.0, -1.1, -0.5, 1.1),
    (1.0, -0.6, 0.3, 1.0),
)
_REACH = 1.1
"""Distance at which an element's sensitivity is a half, in half fields of view."""


def receive_field(anatomy: Anatomy, grid: Grid, k: int) -> NDArray[np.float32]:
    """Compute the sensitivity of the coils in a slice.

    Parameters
    ----------
    anatomy : Anatomy
        For its extent.
    grid : Grid
        The voxels.
    k : int
        Number of the slice.

    Returns
    -------
    ndarray, shape (n_u, n_v)
        Factor on S0, about 1 in the middle and up to 1.4 near the coils.
    """
    half_u, half_v = (extent / 2 for extent in anatomy.field_of_view)
    u = grid.axis(0)[:, None] / half_u
    v = grid.axis(1)[None, :] / half_v
    w = float(grid.axis(2)[k]) / (anatomy.slab / 2)
    return (_sensitivity(u, v, w) / _sensitivity(np.zeros((1, 1)), np.zeros((1, 1)), 0.0)).astype(
        np.float32
    )


def _sensitivity(
    u: NDArray[np.floating], v: NDArray[np.floating], w: float
) -> NDArray[np.floating]:
    # Weak dependence on height: 0.3 keeps the field smooth across slices.
    squared = np.zeros(np.broadcast_shapes(u.shape, v.shape))
    for at_u, at_v, at_w, gain in _ELEMENTS:
        distance = (u - at_u) ** 2 + (v - at_v) ** 2 + 0.3 * (w - at_w) ** 2
        squared += (gain / (1.0 + distance / _REACH**2)) ** 2
    return np.sqrt(squared)
