"""MotionPath: where the tissue of a phantom is in each volume; drawn once, then fixed."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.simulate.motion import Motion

__all__ = ["BreathingPath", "MatrixPath", "MotionPath", "draw_path", "still"]

# Distinguishes the random numbers of motion from those of the noise of the same seed.
_STREAM = 7_003

# Standard deviations before scaling to the displacement that was asked for: shifts along u, v, w
# in mm; turns about them in degrees; scales and shears as shares.
_SHIFT = (1.5, 2.0, 4.0)
_TURN = 1.2
_STRAIN = 0.012
# In a plane there is no shift along w and no turn about u and v.
_IN_PLANE = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 1.0])

_INHALED = 0.8
"""Share of the volumes with organs below their place at rest; in the others they are above."""

_ROUNDS = 4
"""Turns are not linear, so the scale to a displacement is found in steps; each gains digits."""

_FIXED_POINT_ROUNDS = 12

Positions = NDArray[np.floating]


class MotionPath(abc.ABC):
    """Where tissue is in each volume; positions (..., 3) are (u, v, w) in mm."""

    @abc.abstractmethod
    def at_rest(self, volume: int, k: int, positions: Positions) -> Positions:
        """Return where at rest the tissue is that is at some positions in a slice of a volume."""

    @abc.abstractmethod
    def moved(self, volume: int, k: int, positions: Positions) -> Positions:
        """Return where in a volume the tissue is that is at some positions in a slice at rest."""

    @abc.abstractmethod
    def in_tissue(
        self, volume: int, k: int, direction: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return a direction (u, v, w) of the scanner as the tissue of a slice has it."""

    @abc.abstractmethod
    def is_still(self, volume: int, k: int) -> bool:
        """Return whether nothing in a slice of a volume has moved."""


@dataclass(frozen=True)
class MatrixPath(MotionPath):
    """Shifts, turns, scales and shears.

    Parameters
    ----------
    matrices : ndarray, shape (n_volumes, n_slices, 4, 4)
        From a position at rest to that in the volume; of each slice, or alike in all of them.
    """

    matrices: NDArray[np.float64]

    def at_rest(self, volume: int, k: int, positions: Positions) -> Positions:
        """See `MotionPath`."""
        return _mapped(np.linalg.inv(self.matrices[volume, k]), positions)

    def moved(self, volume: int, k: int, positions: Positions) -> Positions:
        """See `MotionPath`."""
        return _mapped(self.matrices[volume, k], positions)

    def in_tissue(
        self, volume: int, k: int, direction: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """See `MotionPath`; scales and shears change the image, and turn no tissue."""
        left, _, right = np.linalg.svd(self.matrices[volume, k, :3, :3])
        return np.asarray((left @ right).T @ direction)

    def is_still(self, volume: int, k: int) -> bool:
        """See `MotionPath`."""
        return bool((self.matrices[volume, k] == np.eye(4)).all())


@dataclass(frozen=True)
class BreathingPath(MotionPath):
    """Breaths of different depth.

    Parameters
    ----------
    depths : ndarray, shape (n_volumes,)
        Depth of the breath in each volume, mm.
    breath : callable
        Displacement by a breath of 1 mm at positions of the breath, see
        `ivimkit.simulate.breathing`.
    """

    depths: NDArray[np.float64]
    breath: Callable[[Positions], Positions]

    def at_rest(self, volume: int, k: int, positions: Positions) -> Positions:
        """See `MotionPath`."""
        return np.asarray(positions - self.depths[volume] * self.breath(positions))

    def moved(self, volume: int, k: int, positions: Positions) -> Positions:
        """See `MotionPath`."""
        # The displacement is known where the tissue is, not where it came from: y = x + d(y).
        # Organs move along w, and the motion hardly depends on w, so the iteration contracts.
        found = positions
        for _ in range(_FIXED_POINT_ROUNDS):
            found = positions + self.depths[volume] * self.breath(found)
        return np.asarray(found)

    def in_tissue(
        self, volume: int, k: int, direction: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """See `MotionPath`; breathing turns hardly any tissue."""
        return direction

    def is_still(self, volume: int, k: int) -> bool:
        """See `MotionPath`."""
        return bool(self.depths[volume] == 0.0)


def still(n_volumes: int, n_slices: int) -> MatrixPath:
    """Return the path of tissue that does not move."""
    return MatrixPath(np.broadcast_to(np.eye(4), (n_volumes, n_slices, 4, 4)))


def draw_path(
    motion: Motion,
    n_volumes: int,
    tissue: list[NDArray[np.float64]],
    seed: int,
    breath: Callable[[Positions], Positions] | None,
) -> MotionPath:
    """Draw the displacements of all volumes, and scale them to what was asked for.

    Parameters
    ----------
    motion : Motion
        How the tissue moves.
    n_volumes : int
        Number of volumes; the first one is at rest.
    tissue : list of ndarray, shape (n, 3)
        Positions, at rest, of the voxels of each slice whose displacement was asked for; at least
        one voxel in all.
    seed : int
        The same seed gives the same displacements.
    breath : callable or None
        See `BreathingPath`.
    """
    if motion.mm == 0.0 or n_volumes == 1:
        return still(n_volumes, len(tissue))
    random = np.random.default_rng([seed, _STREAM])
    draws = random.standard_normal((n_volumes, len(tissue), 12))
    draws[0] = 0.0
    if motion.kind != "slices":
        draws[:] = draws[:, :1]
    scale, path = 1.0, _path(motion.kind, draws, 1.0, breath)
    for _ in range(_ROUNDS):
        scale *= motion.mm / _rms(path, n_volumes, tissue)
        path = _path(motion.kind, draws, scale, breath)
    return path


def _path(
    kind: str,
    draws: NDArray[np.float64],
    scale: float,
    breath: Callable[[Positions], Positions] | None,
) -> MotionPath:
    if breath is not None and kind == "breathing":
        depths = np.abs(draws[:, 0, 0]) * np.where(_uniform(draws[:, 0, 1]) < _INHALED, 1, -1)
        return BreathingPath(scale * depths, breath)
    moves = scale * draws[..., :6] * [*_SHIFT, *(3 * [np.deg2rad(_TURN)])]
    if kind == "slices":
        moves = moves * _IN_PLANE
    matrices = _turned(moves[..., 3:])
    matrices[..., :3, 3] = moves[..., :3]
    if kind == "affine":
        matrices = matrices @ _strained(scale * _STRAIN * draws[..., 6:])
    return MatrixPath(matrices)


def _uniform(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of standard normal numbers below some."""
    from scipy.special import ndtr  # Slow to load, and few phantoms need it.

    share: NDArray[np.float64] = ndtr(normal)
    return share


def _turned(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return turns about u, then v, then w, shape (..., 4, 4), by angles (..., 3) in radians."""
    total = np.broadcast_to(np.eye(4), (*angles.shape[:-1], 4, 4)).copy()
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        turn = np.broadcast_to(np.eye(4), total.shape).copy()
        turn[..., one, one] = turn[..., other, other] = np.cos(angles[..., axis])
        turn[..., other, one] = np.sin(angles[..., axis])
        turn[..., one, other] = -turn[..., other, one]
        total = turn @ total
    return total


def _strained(strain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scales and shears, shape (..., 4, 4).

    Those of eddy currents change positions along the phase encoding, v, most: they are shears of
    v along the three axes, the one along v being a scale. Scales of u and w are a tenth of it.
    """
    matrices = np.broadcast_to(np.eye(4), (*strain.shape[:-1], 4, 4)).copy()
    matrices[..., 1, :3] += strain[..., :3]
    matrices[..., 0, 0] += 0.1 * strain[..., 3]
    matrices[..., 2, 2] += 0.1 * strain[..., 4]
    return matrices


def _rms(path: MotionPath, n_volumes: int, tissue: list[NDArray[np.float64]]) -> float:
    """Return the root mean square displacement over all volumes but the first, mm."""
    squares = [
        ((path.moved(volume, k, positions) - positions) ** 2).sum()
        for volume in range(1, n_volumes)
        for k, positions in enumerate(tissue)
    ]
    n = (n_volumes - 1) * sum(len(positions) for positions in tissue)
    return float(np.sqrt(np.sum(squares) / n))


def _mapped(matrix: NDArray[np.float64], positions: Positions) -> Positions:
    # Written out, not a matrix product: the bits of BLAS depend on the number of threads.
    matrix = matrix.astype(positions.dtype)
    return np.stack(
        [
            positions[..., 0] * row[0]
            + positions[..., 1] * row[1]
            + positions[..., 2] * row[2]
            + row[3]
            for row in matrix[:3]
        ],
        axis=-1,
    )
