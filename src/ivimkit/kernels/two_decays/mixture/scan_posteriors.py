"""What kernels read and write for all voxels of a scan at once, as named tuples of arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lattices", "Moments", "Neighbourhood", "Shared"]


class Shared(NamedTuple):
    """The acquisition and what else all voxels share, see `ivimkit.kernels.voxel.Voxel`.

    Attributes
    ----------
    x, root_weight, options, table : ndarray
        As in `Voxel`.
    sigma, lower, upper : ndarray
        Noise and bounds, in one row or one per voxel.
    free : ndarray of int, shape (3,)
        Which of ln D, ln D* and logit f vary.
    """

    x: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    sigma: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    options: NDArray[np.float64]
    table: NDArray[np.float64]
    free: NDArray[np.int64]


class Moments(NamedTuple):
    """Posteriors of all voxels: moments of eta = (ln D, ln D*, logit f), and S0.

    Attributes
    ----------
    mean, covariance, s0 : ndarray, shape (n_voxels, 3), (n_voxels, 6), (n_voxels,)
        Covariances as upper triangles, row by row.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    s0: NDArray[np.float64]


class Lattices(NamedTuple):
    """Likelihoods of all voxels on lattices, see `ivimkit.kernels.two_decays.mixture.whitened`.

    Attributes
    ----------
    values, highest, tops : ndarray
        Likelihoods relative to one number per voxel, shape (n_voxels, N_ROWS, N_FRACTION_NODES),
        in single precision; the logarithms of the largest one of each row, and of these numbers.
    means, roots : ndarray, shape (n_voxels, 3), (n_voxels, 3, 3)
        Where the lattices are.
    """

    values: NDArray[np.float32]
    highest: NDArray[np.float64]
    tops: NDArray[np.float64]
    means: NDArray[np.float64]
    roots: NDArray[np.float64]


class Neighbourhood(NamedTuple):
    """Where voxels are, which of them are neighbours, and the prior of the scan.

    Attributes
    ----------
    good : ndarray of int, shape (n_voxels,)
        1 for voxels with a posterior.
    indices : ndarray of int, shape (n_voxels, 3)
        Indices of the voxels.
    positions : ndarray of int, shape (n_x, n_y, n_z)
        The voxel at each index; -1 for none.
    offsets : ndarray of int, shape (n_near, 3)
        Steps to the neighbours.
    weights : ndarray, shape (n_near,)
        Their weights.
    inside : ndarray, shape (6,)
        Covariance inside a tissue of the scan.
    components : ndarray, shape (n, N_COMPONENT)
        The prior of the scan.
    broad : ndarray, shape (N_COMPONENT,)
        A broad component, its weight 1.
    shares : ndarray, shape (3,)
        Shares of the prior: of the neighbours, of the scan, and of the broad component.
    """

    good: NDArray[np.int64]
    indices: NDArray[np.int64]
    positions: NDArray[np.int64]
    offsets: NDArray[np.int64]
    weights: NDArray[np.float64]
    inside: NDArray[np.float64]
    components: NDArray[np.float64]
    broad: NDArray[np.float64]
    shares: NDArray[np.float64]
