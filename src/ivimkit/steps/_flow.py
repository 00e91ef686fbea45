"""Flow: smooth displacements between a measured volume and a predicted one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIBRARY", "Field", "composed", "flow"]

LIBRARY = "skimage"

_N_WARPS = 3
"""Linearisations of one flow; the next prediction corrects the rest."""

_BRIGHT_END = 0.99

Field = NDArray[np.float32]
"""Displacement of each voxel, shape (3, x, y, z), in voxels."""


def flow(
    predicted: NDArray[np.float32],
    measured: NDArray[np.float32],
    *,
    radius: int,
    in_planes: bool,
) -> Field:
    """Return where each voxel of a prediction is found in the measured volume.

    Iterative Lucas-Kanade: least squares over a window around each voxel, which makes the field
    smooth.

    Parameters
    ----------
    predicted, measured : ndarray, shape (x, y, z)
        a.u.; finite.
    radius : int
        Half the edge of the window, voxels.
    in_planes : bool
        Whether each slice moves in its plane.

    Returns
    -------
    ndarray, shape (3, x, y, z)
        In voxels: ``measured`` read at each voxel plus its displacement is like ``predicted``.
    """
    from skimage import registration

    # It has no types.
    lucas_kanade: Any = registration.optical_flow_ilk
    bright = float(np.quantile(measured, _BRIGHT_END))
    scale = np.float32(1.0 / bright if bright > 0.0 else 1.0)
    fixed, moving = predicted * scale, measured * scale
    field = np.zeros((3, *measured.shape), dtype=np.float32)

    def found(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(lucas_kanade(a, b, radius=radius, num_warp=_N_WARPS, dtype=np.float32))

    if in_planes:
        for k in range(measured.shape[2]):
            field[:2, :, :, k] = found(fixed[:, :, k], moving[:, :, k])
        return field
    field[:] = found(fixed, moving)
    return field


def composed(first: Field, then: Field) -> Field:
    """Return the displacement of voxels that are displaced twice.

    Parameters
    ----------
    first : ndarray, shape (3, x, y, z)
        Displacement in the prediction, voxels.
    then : ndarray, shape (3, x, y, z)
        Displacement at the place that is reached.
    """
    from scipy import ndimage  # A third of a second, and few scans need it.

    index = np.indices(first.shape[1:], dtype=np.float32) + first
    further = [
        ndimage.map_coordinates(part, index, output=np.dtype(np.float32), order=1, mode="nearest")
        for part in then
    ]
    return np.asarray(first + np.stack(further), dtype=np.float32)
