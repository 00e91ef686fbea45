"""spoil: the signal of a phantom that moves, rings, drifts and drops out, before the noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.variables import DIRECTION
from ivimkit.simulate.anatomy import Grid
from ivimkit.simulate.coil import receive_field
from ivimkit.simulate.motion_path import MotionPath
from ivimkit.simulate.ringing import Ringing
from ivimkit.simulate.sample_points import Points
from ivimkit.simulate.scene import Scene, Settings
from ivimkit.simulate.true_artefacts import TrueArtefacts

__all__ = ["spoil"]

_GRADIENT = tuple(axis.name for axis in DIRECTION)


def spoil(
    signal: NDArray[np.float32], scene: Scene, settings: Settings, truth: TrueArtefacts
) -> None:
    """Replace the signal at rest, without noise, by what the scanner sees.

    Parameters
    ----------
    signal : ndarray, shape (x, y, z, n_volumes)
        The signal at rest; changed in place.
    scene : Scene
        What is scanned.
    settings : mapping of str to ndarray, shape (n_volumes,)
        Variables of the volumes.
    truth : TrueArtefacts
        What has happened.
    """
    ringing = truth.given.ringing
    for k in range(signal.shape[2]):
        moves = [not truth.path.is_still(volume, k) for volume in range(truth.n_volumes)]
        if ringing is not None or any(moves):
            slab = _Slab(scene, k)
            for volume in range(truth.n_volumes):
                if ringing is not None or moves[volume]:
                    seen = slab.seen(truth.path, volume, settings)
                    signal[:, :, k, volume] = slab.image(seen, ringing)
    signal *= (truth.drift[:, None] * truth.dropout_factors).T.astype(np.float32)


class _Slab:
    """The sample points of a slice.

    Parameters
    ----------
    scene : Scene
        What is scanned.
    k : int
        Number of the slice.
    """

    def __init__(self, scene: Scene, k: int) -> None:
        self.scene, self.k = scene, k
        grid, parts = scene.grid, scene.parts
        u, v = np.meshgrid(grid.axis(0, parts), grid.axis(1, parts), indexing="ij")
        heights = grid.axis(2, parts)[k * parts : (k + 1) * parts]
        self._planes = [np.stack([u, v, np.full_like(u, w)], axis=-1) for w in heights]

    def seen(self, path: MotionPath, volume: int, settings: Settings) -> NDArray[np.float32]:
        """Return the signal at the sample points of a volume, mean through the slice."""
        own = _of_tissue(path, volume, self.k, settings)
        total = np.zeros(self._planes[0].shape[:2], dtype=np.float32)
        for plane in self._planes:
            places = path.at_rest(volume, self.k, plane)
            points = Points(*np.moveaxis(places, -1, 0))
            total += self.scene.signal_at(points, self.scene.labels_at(points), own)
        return total / np.float32(len(self._planes))

    def image(self, seen: NDArray[np.float32], ringing: Ringing | None) -> NDArray[np.float32]:
        """Return the image, shape (x, y), of the sample points; coils do not move with tissue."""
        anatomy, grid, parts = self.scene.anatomy, self.scene.grid, self.scene.parts
        nu, nv, n_slices = grid.shape
        if ringing is None:
            mean = seen.reshape(nu, parts, nv, parts).mean(axis=(1, 3))
            return np.asarray(mean * receive_field(anatomy, grid, self.k))
        edges = (grid.voxel_size[0] / parts, grid.voxel_size[1] / parts, grid.voxel_size[2])
        fine = Grid((nu * parts, nv * parts, n_slices), edges)
        return ringing.image(seen * receive_field(anatomy, fine, self.k), parts)


def _of_tissue(
    path: MotionPath, volume: int, k: int, settings: Settings
) -> Mapping[str, NDArray[np.float64]]:
    """Return the variables of a volume for the tissue, which may be turned below the gradients."""
    own = {name: values[volume : volume + 1] for name, values in settings.items()}
    if all(name in own for name in _GRADIENT):
        gradient = np.array([own[name][0] for name in _GRADIENT])
        turned = path.in_tissue(volume, k, gradient)
        own |= {name: turned[i : i + 1] for i, name in enumerate(_GRADIENT)}
    return own
