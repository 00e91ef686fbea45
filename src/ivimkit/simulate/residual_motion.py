"""residual_motion: how well a registration has found the true motion of a phantom."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import ShapeError
from ivimkit.simulate.true_artefacts import TrueArtefacts

__all__ = ["ResidualMotion", "residual_motion"]


@dataclass(frozen=True)
class ResidualMotion:
    """How far apart the tissues are that the volumes show in one voxel, after a registration.

    Parameters
    ----------
    distances : ndarray, shape (n_volumes, n_voxels)
        Distance, at rest, of the tissue that a voxel of a volume shows to what the voxel shows in
        the middle one of the volumes, mm.
    frame : ndarray, shape (x, y, z, 3)
        Where at rest the tissue is that each voxel shows in the middle one of the volumes, mm; NaN
        in voxels that do not count.
    """

    distances: NDArray[np.float64] = field(repr=False)
    frame: NDArray[np.float64] = field(repr=False)

    @cached_property
    def rms(self) -> float:
        """Root mean square distance over volumes and voxels, mm."""
        return float(np.sqrt((self.distances**2).mean()))

    @cached_property
    def by_volume(self) -> NDArray[np.float64]:
        """Root mean square distance over the voxels of each volume, mm, shape (n_volumes,)."""
        return np.asarray(np.sqrt((self.distances**2).mean(axis=1)))


def residual_motion(
    truth: TrueArtefacts, found: ArrayLike | None = None, *, mask: ArrayLike | None = None
) -> ResidualMotion:
    """Compare a registration with the true motion.

    A registration says, for each voxel of the registered scan, the position from which a volume is
    read. The tissue that was at that position has a place at rest. If the registration is right,
    the place is the same for all volumes: what counts is the distance to their median. So the
    volume, or mean of volumes, to which the others were registered need not be at rest.

    Parameters
    ----------
    truth : TrueArtefacts
        Of the phantom, ``made.artefacts``.
    found : array_like, optional
        What the registration has found, in positions of NIfTI (x to the right of the patient, y to
        the front, z to the head), mm. Matrices, shape (n_volumes, 4, 4), from the position of a
        voxel to the position from which the volume is read, as a resampling uses them; or of each
        slice, (n_volumes, z, 4, 4); or displacements between these positions, shape
        (n_volumes, x, y, z, 3). By default nothing has been registered.
    mask : array_like, shape (x, y, z), optional
        Voxels that count; by default the body.

    Returns
    -------
    ResidualMotion

    Raises
    ------
    ShapeError
        If the shape of what was found is none of these, or the mask has another shape than the
        volumes or is empty.

    Examples
    --------
    >>> from ivimkit import simulate
    >>> moving = simulate.Artefacts(motion=simulate.Motion("rigid", mm=5))
    >>> made = simulate.phantom(shape=(32, 24, 4), bvals=[0, 50, 800], artefacts=moving)
    >>> truth = made.artefacts
    >>> round(simulate.residual_motion(truth, truth.transforms).rms, 6)
    0.0
    >>> simulate.residual_motion(truth).rms > 3
    True
    """
    inside = truth.body if mask is None else np.asarray(mask) > 0
    if inside.shape != truth.body.shape or not inside.any():
        raise ShapeError(
            f"the mask has shape {inside.shape} and {int(inside.sum())} voxels; expected "
            f"{truth.body.shape}, and at least one voxel"
        )
    given = _checked(truth, found)
    positions = truth.positions()
    rest = np.stack(
        [
            truth.at_rest(volume, _read_from(given, volume, positions))[inside]
            for volume in range(truth.n_volumes)
        ]
    )
    # The median, not the mean: one volume that was lost does not move the frame of the others.
    middle = np.median(rest, axis=0)
    frame = np.full((*inside.shape, 3), np.nan)
    frame[inside] = middle
    return ResidualMotion(np.sqrt(((rest - middle) ** 2).sum(axis=-1)), frame)


def _checked(truth: TrueArtefacts, found: ArrayLike | None) -> NDArray[np.float64] | None:
    if found is None:
        return None
    given = np.asarray(found, dtype=np.float64)
    n, shape = truth.n_volumes, truth.body.shape
    expected = [(n, 4, 4), (n, shape[2], 4, 4), (n, *shape, 3)]
    if given.shape not in expected:
        raise ShapeError(
            f"the registration has shape {given.shape}; expected matrices {expected[0]} or, of "
            f"each slice, {expected[1]}, or displacements {expected[2]}"
        )
    return given


def _read_from(
    given: NDArray[np.float64] | None, volume: int, positions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the position from which each voxel is read in a volume."""
    if given is None:
        return positions
    own = given[volume]
    if own.ndim == 4:
        return np.asarray(positions + own)
    # One matrix, or one of each slice: the third axis of the positions.
    turn, shift = own[..., :3, :3], own[..., :3, 3]
    return np.asarray((turn @ positions[..., None])[..., 0] + shift)
