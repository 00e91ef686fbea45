"""Directions: gradient directions turn with the volumes that are turned back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import DIRECTION

__all__ = ["with_turned_directions"]

_MAX_SPREAD = float(np.cos(np.deg2rad(5.0)))
"""Repeats of a direction that turns have separated by less remain repeats."""


def with_turned_directions(
    acquisition: Acquisition, rotations: NDArray[np.float64], affine: NDArray[np.float64]
) -> Acquisition:
    """Return the acquisition with directions as the aligned tissue had them.

    Tissue that was turned by R in a volume felt a gradient along g as it feels one along R⁻¹g in
    its place. Directions are in the axes of the voxels, with the first one negated where the
    affine has a positive determinant, as FSL defines them. Repeats of one direction stay repeats,
    along their mean, as long as they are within 5° of it: how volumes are averaged does not change
    with small turns.

    Parameters
    ----------
    acquisition : Acquisition
        The acquisition; without directions it is returned as it is.
    rotations : ndarray, shape (n_volumes, 3, 3)
        From the tissue in its place to the tissue in the volume, in the axes of positions.
    affine : ndarray, shape (4, 4)
        From voxel index to position, mm.
    """
    if not acquisition.has_directions:
        return acquisition
    given = acquisition.direction_vectors() if acquisition.bvecs is None else acquisition.bvecs
    left, _, right = np.linalg.svd(affine[:3, :3])
    axes = left @ right
    if np.linalg.det(axes) > 0.0:
        axes = axes * [-1.0, 1.0, 1.0]
    turns = axes.T @ np.swapaxes(rotations, 1, 2) @ axes
    turned = np.einsum("vij,vj->vi", turns, given)
    for shell in acquisition.shells:
        for repeats in acquisition.directions(shell.volumes):
            _join(turned, list(repeats))
    variables = dict(acquisition.variables)
    if all(axis.name in variables for axis in DIRECTION):
        variables.update({axis.name: turned[:, k] for k, axis in enumerate(DIRECTION)})
    return Acquisition(
        acquisition.bvals,
        turned,
        tolerance=acquisition.tolerance,
        variables=variables,
        shell_numbers=acquisition.shell_numbers,
    )


def _join(turned: NDArray[np.float64], volumes: list[int]) -> None:
    """Give repeats of a direction, up to sign, their mean, if it is close to all of them."""
    lengths = np.linalg.norm(turned[volumes], axis=1)
    if len(volumes) < 2 or not lengths.all():
        return
    units = turned[volumes] / lengths[:, None]
    signs = np.where(units @ units[0] < 0.0, -1.0, 1.0)
    mean = (signs[:, None] * units).sum(axis=0)
    mean /= np.linalg.norm(mean)
    if (np.abs(units @ mean) >= _MAX_SPREAD).all():
        turned[volumes] = (signs * lengths)[:, None] * mean
