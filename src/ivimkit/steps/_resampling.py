"""Resampling: volumes read at other positions; what they did not see is missing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CUBIC",
    "LINEAR",
    "filled",
    "is_outside",
    "matrix_positions",
    "read_at",
    "read_weights_at",
]

CUBIC: Literal[3] = 3
LINEAR: Literal[1] = 1

# A voxel reaches half its edge beyond its centre; the rest is rounding.
_REACH = 0.5 + 1e-6
# A value of which more than this comes from missing values is missing.
_MAX_MISSING = 1e-3


def matrix_positions(
    shape: tuple[int, ...],
    matrices: NDArray[np.float64],
    affine: NDArray[np.float64],
    displacement: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Return where each voxel is read, as indices of voxels.

    Parameters
    ----------
    shape : tuple of int
        (x, y, z).
    matrices : ndarray, shape (4, 4) or (z, 4, 4)
        From the position of a voxel to that from which it is read, mm; or one for each slice.
    affine : ndarray, shape (4, 4)
        From index to position, mm.
    displacement : ndarray, shape (3, x, y, z), optional
        Displacement of each voxel before the matrix is applied, as indices of voxels.

    Returns
    -------
    ndarray, shape (3, x, y, z)
    """
    own = np.linalg.inv(affine) @ matrices @ affine
    axes = np.indices(shape, dtype=np.float64)
    if displacement is not None:
        axes += displacement
    # Of slices, the matrices are along the last axis of the voxels.
    return np.stack(
        [
            sum(own[..., row, axis] * axes[axis] for axis in range(3)) + own[..., row, 3]
            for row in range(3)
        ]
    )


def read_at(
    volume: NDArray[np.float32], index: NDArray[np.float64], *, order: Literal[1, 3] = CUBIC
) -> NDArray[np.float32]:
    """Read a volume between its voxels: by a cubic B-spline, or linearly.

    Parameters
    ----------
    volume : ndarray, shape (x, y, z)
        The volume, a.u.; NaN where a value is missing.
    index : ndarray, shape (3, x, y, z)
        Where to read it, as indices of voxels.
    order : int
        3 for a cubic B-spline through the values, 1 for linear interpolation.

    Returns
    -------
    ndarray, shape (x, y, z)
        NaN outside the volume and where values are missing. Not lower than the lowest value, which
        a spline falls short of next to edges, or 0.
    """
    from scipy import ndimage  # A third of a second, and few scans need it.

    missing = ~np.isfinite(volume)
    whole = filled(volume, missing)
    values = ndimage.map_coordinates(
        whole, index, output=np.dtype(np.float32), order=order, mode="mirror"
    )
    np.maximum(values, min(0.0, float(whole.min(initial=0.0))), out=values)
    values[is_outside(index, volume.shape)] = np.nan
    if missing.any():
        values[_share(missing, index) > _MAX_MISSING] = np.nan
    return values


def read_weights_at(
    weights: NDArray[np.floating], index: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Read weights of values between voxels, linearly; 0 next to a weight of 0 and outside."""
    read = _share(weights, index)
    read[is_outside(index, weights.shape)] = 0.0
    read[_share(weights == 0.0, index) > _MAX_MISSING] = 0.0
    return read


def _share(values: NDArray[np.generic], index: NDArray[np.float64]) -> NDArray[np.float32]:
    from scipy import ndimage  # A third of a second, and few scans need it.

    given = np.asarray(values, dtype=np.float32)
    return ndimage.map_coordinates(
        given, index, output=np.dtype(np.float32), order=LINEAR, mode="nearest"
    )


def filled(volume: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a volume whose missing values are those of the nearest voxels, which ring least.

    Parameters
    ----------
    volume : ndarray, shape (x, y, z)
        The volume, a.u.
    missing : ndarray of bool, shape (x, y, z)
        Which of its values are missing.

    Returns
    -------
    ndarray, shape (x, y, z)
        The volume itself if none is missing, zeros if all are.
    """
    from scipy import ndimage  # A third of a second, and few scans need it.

    if not missing.any():
        return volume
    if missing.all():
        return np.zeros_like(volume)
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.asarray(volume[tuple(nearest)])


def is_outside(index: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which positions no voxel reaches."""
    outside = np.zeros(index.shape[1:], dtype=bool)
    for axis, length in enumerate(shape):
        outside |= (index[axis] < -_REACH) | (index[axis] > length - 1 + _REACH)
    return outside
