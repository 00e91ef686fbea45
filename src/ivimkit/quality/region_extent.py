"""Size of a region: volume and largest diameter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["diameter_mm", "volume_ml"]

# Qhull needs a few more points than a simplex; for fewer, all pairs are as fast.
_MAX_PAIRWISE_POINTS = 64


def volume_ml(inside: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    """Return the volume of a region.

    Parameters
    ----------
    inside : ndarray of bool, shape (x, y, z) or fewer axes
        The region; missing axes have one voxel.
    affine : ndarray, shape (4, 4)
        From voxel index to position in mm.

    Returns
    -------
    float
        Millilitres: number of voxels times their volume.
    """
    voxel = abs(float(np.linalg.det(affine[:3, :3])))
    return np.count_nonzero(inside) * voxel / 1000.0


def diameter_mm(inside: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    """Return the largest distance between two points of a region, with voxels as boxes.

    It is the maximum Feret diameter of the voxels' corners, in all directions of the array:
    three-dimensional for (x, y, z), in-plane for (x, y).

    Parameters
    ----------
    inside : ndarray of bool, shape (x, y, z) or fewer axes
        The region, at least one voxel.
    affine : ndarray, shape (4, 4)
        From voxel index to position in mm.

    Returns
    -------
    float
        Millimetres; NaN for more than three axes.
    """
    if inside.ndim > 3:
        return math.nan
    inside = np.atleast_1d(inside)
    # Imported here: it takes a third of a second, and most results have no regions.
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    n_axes = inside.ndim
    corners = _outer_corners(inside)
    if n_axes > 1 and len(corners) > _MAX_PAIRWISE_POINTS:
        # Before the affine, which preserves hulls: a header can flatten all voxels, and Qhull
        # fails for points in a plane.
        corners = corners[ConvexHull(corners).vertices]
    return float(pdist(corners @ affine[:n_axes, :n_axes].T).max())


def _outer_corners(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the corners of the first and last voxel of every line along the first axis.

    No other corner can be a vertex of the convex hull.
    """
    lines = inside.reshape(len(inside), -1)
    there = np.flatnonzero(lines.any(axis=0))
    first = lines[:, there].argmax(axis=0)
    last = len(lines) - 1 - lines[::-1, there].argmax(axis=0)
    others = np.stack(np.unravel_index(there, inside.shape[1:] or (1,)), axis=-1)
    ends = np.concatenate([first - 0.5, last + 0.5])[:, np.newaxis]
    voxels = np.concatenate([others, others]).astype(np.float64)
    if inside.ndim == 1:
        return ends
    n_others = inside.ndim - 1
    signs = np.stack(np.meshgrid(*[[-0.5, 0.5]] * n_others), axis=-1).reshape(-1, n_others)
    sides = (voxels[:, np.newaxis] + signs).reshape(-1, n_others)
    return np.unique(np.hstack([np.repeat(ends, len(signs), axis=0), sides]), axis=0)
