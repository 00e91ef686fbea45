"""TrueArtefacts: what motion, drift and drop-outs have done to a simulated scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.simulate.artefacts import Artefacts
from ivimkit.simulate.motion_path import BreathingPath, MatrixPath, MotionPath, draw_path, still
from ivimkit.simulate.scene import Scene

__all__ = ["TrueArtefacts", "draw_artefacts"]

# From positions of NIfTI, with x to the patient's right, to those of an anatomy, with u to the
# left, and back.
_FLIP = np.array([-1.0, 1.0, 1.0])
_FLIP_4 = np.diag([*_FLIP, 1.0])


@dataclass(frozen=True)
class TrueArtefacts:
    """What motion, drift and drop-outs have done to a simulated scan.

    Positions are those of the affine of the scan, in mm. The tissue is at rest in the first volume
    and in the true maps. What is at x at rest is at T x in a volume with the matrix T: a
    registration to the tissue at rest that is right finds T, and reads the volume at T x.

    Parameters
    ----------
    given : Artefacts
        What was asked for.
    transforms : ndarray or None
        Matrices from a position at rest to that in the volume, shape (n_volumes, 4, 4); for motion
        in slices (n_volumes, z, 4, 4); None if the tissue breathes.
    drift : ndarray, shape (n_volumes,)
        Factor on the signal of each volume.
    dropped : ndarray of bool, shape (n_volumes, z)
        Which slices of which volumes have lost signal.
    dropout_factors : ndarray, shape (n_volumes, z)
        Factor on the signal of each slice of each volume; 1 where nothing was lost.
    body : ndarray of bool, shape (x, y, z)
        Everything inside the skin at rest, also what has no signal.
    affine : ndarray, shape (4, 4)
        From voxel index to position, mm.
    path : MotionPath
        The motion, in the coordinates of the anatomy.
    """

    given: Artefacts
    transforms: NDArray[np.float64] | None = field(repr=False)
    drift: NDArray[np.float64] = field(repr=False)
    dropped: NDArray[np.bool_] = field(repr=False)
    dropout_factors: NDArray[np.float64] = field(repr=False)
    body: NDArray[np.bool_] = field(repr=False)
    affine: NDArray[np.float64] = field(repr=False)
    path: MotionPath = field(repr=False)

    @property
    def n_volumes(self) -> int:
        """Number of volumes."""
        return len(self.drift)

    def displacement(self, volume: int) -> NDArray[np.float64]:
        """Return where the tissue of each voxel has gone in a volume.

        Parameters
        ----------
        volume : int
            Number of the volume, from 0.

        Returns
        -------
        ndarray, shape (x, y, z, 3)
            From the position at rest to that in the volume, along the axes of the patient, mm.

        Raises
        ------
        OptionError
            If there is no such volume.

        Examples
        --------
        >>> from ivimkit import simulate
        >>> moving = simulate.Artefacts(motion=simulate.Motion("breathing", mm=5))
        >>> made = simulate.phantom(shape=(24, 18, 4), bvals=[0, 50, 800], artefacts=moving)
        >>> liver = made.artefacts.displacement(2)[made.region("liver")]
        >>> bool(abs(liver[:, 2]).mean() > 3 * abs(liver[:, 1]).mean())
        True
        """
        self._check(volume)
        positions = self.positions()
        return np.stack(
            [
                self.path.moved(volume, k, positions[:, :, k] * _FLIP) * _FLIP - positions[:, :, k]
                for k in range(positions.shape[2])
            ],
            axis=2,
        )

    def at_rest(self, volume: int, positions: ArrayLike) -> NDArray[np.float64]:
        """Return where at rest the tissue is that is at some positions in a volume.

        Parameters
        ----------
        volume : int
            Number of the volume, from 0.
        positions : array_like, shape (x, y, z, 3)
            Positions in the volume, mm, one for each voxel: motion in slices is that of the slice
            of the voxel.

        Returns
        -------
        ndarray, shape (x, y, z, 3)
            In mm.

        Raises
        ------
        OptionError
            If there is no such volume.
        ShapeError
            If there is not one position for each voxel.
        """
        self._check(volume)
        given = np.asarray(positions, dtype=np.float64)
        if given.shape != (*self.body.shape, 3):
            raise ShapeError(
                f"the positions have shape {given.shape}; expected one of each voxel, "
                f"{(*self.body.shape, 3)}"
            )
        slices = range(given.shape[2])
        rest = [self.path.at_rest(volume, k, given[:, :, k] * _FLIP) * _FLIP for k in slices]
        return np.stack(rest, axis=2)

    def positions(self) -> NDArray[np.float64]:
        """Return the position of every voxel, shape (x, y, z, 3), mm."""
        index = np.moveaxis(np.indices(self.body.shape), 0, -1)
        # The axes of a phantom are those of the patient.
        return np.asarray(index * np.diagonal(self.affine)[:3] + self.affine[:3, 3])

    def _check(self, volume: int) -> None:
        if not 0 <= volume < self.n_volumes:
            raise OptionError(
                f"there is no volume {volume}; expected a number from 0 to {self.n_volumes - 1}"
            )


def draw_artefacts(
    artefacts: Artefacts,
    scene: Scene,
    labels: NDArray[np.uint8],
    bvals: NDArray[np.float64],
    seed: int,
) -> TrueArtefacts:
    """Draw all that is random, once; see `ivimkit.simulate.spoiled_scan` for what follows.

    Parameters
    ----------
    artefacts : Artefacts
        What is to go wrong.
    scene : Scene
        What is scanned.
    labels : ndarray of int, shape (x, y, z)
        The tissue of each voxel at rest.
    bvals : ndarray, shape (n_volumes,)
        b-values of the volumes, s/mm^2.
    seed : int
        The same seed gives the same artefacts.

    Raises
    ------
    OptionError
        If there is nothing to move, or too little to drop out.
    """
    n_volumes, n_slices = len(bvals), labels.shape[2]
    body = _filled(labels > 0)
    path = _path(artefacts, scene, labels, body, n_volumes, seed)
    drift, dropouts = artefacts.drift, artefacts.dropouts
    factors = np.ones((n_volumes, n_slices))
    if dropouts is not None:
        factors = dropouts.factors(bvals, n_slices, seed)
    return TrueArtefacts(
        given=artefacts,
        transforms=_transforms(path, artefacts),
        drift=np.ones(n_volumes) if drift is None else drift.factors(n_volumes),
        dropped=factors < 1.0,
        dropout_factors=factors,
        body=body,
        affine=scene.grid.affine,
        path=path,
    )


def _filled(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask without the holes of its slices."""
    from scipy.ndimage import binary_fill_holes  # Slow to load, and few phantoms need it.

    return np.stack([binary_fill_holes(plane) for plane in np.moveaxis(inside, 2, 0)], axis=2)


def _path(
    artefacts: Artefacts,
    scene: Scene,
    labels: NDArray[np.uint8],
    body: NDArray[np.bool_],
    n_volumes: int,
    seed: int,
) -> MotionPath:
    motion = artefacts.motion
    if motion is None:
        return still(n_volumes, labels.shape[2])
    breathes = motion.kind == "breathing"
    measured = labels == scene.anatomy.host if breathes else body
    if not measured.any():
        what = scene.anatomy.tissues[scene.anatomy.host - 1].name if breathes else "the body"
        raise OptionError(
            f"no voxel shows {what}, which is to move by {motion.mm:g} mm; expected some. Ask for "
            "more voxels"
        )
    axes = [scene.grid.axis(axis).astype(np.float64) for axis in range(3)]
    tissue = [_places(axes, measured[:, :, k], k) for k in range(labels.shape[2])]
    return draw_path(motion, n_volumes, tissue, seed, scene.anatomy.breathing)


def _places(
    axes: Sequence[NDArray[np.float64]], inside: NDArray[np.bool_], k: int
) -> NDArray[np.float64]:
    """Return the positions, shape (n, 3), of some voxels of a slice."""
    i, j = np.nonzero(inside)
    return np.stack([axes[0][i], axes[1][j], np.full(len(i), axes[2][k])], axis=-1)


def _transforms(path: MotionPath, artefacts: Artefacts) -> NDArray[np.float64] | None:
    """Return the matrices in positions of NIfTI."""
    if isinstance(path, BreathingPath):
        return None
    assert isinstance(path, MatrixPath)
    matrices = np.asarray(_FLIP_4 @ path.matrices @ _FLIP_4)
    in_slices = artefacts.motion is not None and artefacts.motion.kind == "slices"
    return matrices if in_slices else matrices[:, 0].copy()
