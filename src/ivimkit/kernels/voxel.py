"""Voxel: the input of a kernel for one voxel, as a named tuple instead of many arguments.

numba passes a named tuple as its fields, one by one, at no cost.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import inlined

__all__ = ["Found", "Tables", "Voxel", "Voxels", "with_bounds", "with_signal"]


class Voxel(NamedTuple):
    """Input of a voxel function: the signal of one voxel, and what all voxels share.

    Attributes
    ----------
    x : ndarray, shape (n_variables, n_rows)
        The acquisition, a row per variable of the model and a column per measured value; in models
        of b alone ``x[0]`` are the b-values in s/mm^2. In C order, so that a loop over the values
        reads contiguous memory.
    root_weight : ndarray, shape (n_rows,)
        Square roots of the weights; 0 leaves a value out.
    signal : ndarray, shape (n_rows,)
        Signal; 0 where the weight is 0.
    sigma : float
        Noise of one volume, a.u.; NaN where it is not known.
    lower, upper, start : ndarray, shape (n_par,)
        Bounds of the parameters, equal for fixed ones, and starting values.
    options : ndarray, shape (n_options,)
        `ivimkit.extend.fit_method.VoxelPlan.options`.
    table : ndarray, shape (n, m)
        `ivimkit.extend.fit_method.VoxelPlan.table`.
    work : ndarray, shape (>= scratch,)
        Scratch, as long as `ivimkit.extend.fit_method.VoxelPlan.scratch` asks for.
    """

    x: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    signal: NDArray[np.float64]
    sigma: float
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    start: NDArray[np.float64]
    options: NDArray[np.float64]
    table: NDArray[np.float64]
    work: NDArray[np.float64]


class Voxels(NamedTuple):
    """Input of a function for many voxels; `signals` has a row per voxel, see `Voxel`.

    Signals without weight may be anything; the bounds are the same for all voxels, and `sigma` has
    one number or one per voxel.
    """

    x: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    signals: NDArray[np.float64]
    sigma: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    options: NDArray[np.float64]
    table: NDArray[np.float64]


class Found(NamedTuple):
    """Result of a method in a voxel, for an estimator of its uncertainty.

    Attributes
    ----------
    values : ndarray, shape (n_par + 2 + n_extras,)
        Parameters, weighted sum of squares, iterations and the extra values of the method.
    status : int
        Sum of `ivimkit.status.FitStatus` flags.
    """

    values: NDArray[np.float64]
    status: int


class Tables(NamedTuple):
    """Further input of an estimator: options, table and scratch, as in `Voxel`."""

    options: NDArray[np.float64]
    table: NDArray[np.float64]
    work: NDArray[np.float64]


@inlined
def with_signal(voxel: Voxel, signal: NDArray[np.float64]) -> Voxel:
    """Return the voxel with another signal."""
    return Voxel(
        voxel.x, voxel.root_weight, signal, voxel.sigma, voxel.lower, voxel.upper, voxel.start,
        voxel.options, voxel.table, voxel.work,
    )  # fmt: skip


@inlined
def with_bounds(voxel: Voxel, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> Voxel:
    """Return the voxel with other bounds."""
    return Voxel(
        voxel.x, voxel.root_weight, voxel.signal, voxel.sigma, lower, upper, voxel.start,
        voxel.options, voxel.table, voxel.work,
    )  # fmt: skip
