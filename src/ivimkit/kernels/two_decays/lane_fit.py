"""The best fits of the voxels of a chunk, written to their rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import pasted
from ivimkit.kernels.two_decays.fitted_decays import ordered
from ivimkit.kernels.two_decays.lane_schedule import stored_fit
from ivimkit.kernels.two_decays.lane_search import fit_in_lanes
from ivimkit.kernels.two_decays.pools import pool_bounds, store_pools
from ivimkit.kernels.voxel import Voxels

__all__ = ["fit_voxels"]


@pasted
def fit_voxels(
    part: int,
    voxels: Voxels,
    scratch: tuple[NDArray[np.float64], ...],
    counters: NDArray[np.int64],
    out: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Write the best fit of each voxel whose status is 0, and its status.

    The fits themselves stay in the last array of scratch, see `fit_in_lanes`; so methods that
    begin with the best fit share this code. `part` is ignored.
    """
    box = pool_bounds(voxels.lower, voxels.upper, voxels.options)
    fits = fit_in_lanes(voxels, ordered(box), scratch, counters, status)
    n = voxels.lower.size + 2
    for v in range(status.size):
        if status[v] == 0:
            status[v] = store_pools(stored_fit(fits, v), voxels.options, box, out[v, :n])
