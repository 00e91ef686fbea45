"""TrainingSample: the voxels of a scan from which a method learns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import Task, run
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoDecayMethod
from ivimkit.scan.voxel_reader import VoxelReader
from ivimkit.status import FAILED

__all__ = ["TrainingSample"]


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """The voxels of a scan from which a method learns.

    Parameters
    ----------
    reader : VoxelReader
        Gives the signals.
    b : ndarray, shape (n_b,)
        b-values of the reader's columns in s/mm^2.
    weight : ndarray, shape (n_b,)
        Weights of the b-values.
    model : SignalModel
        The model, its fixed maps with one value per voxel of the reader.
    sigma : ndarray, shape (1,) or (n_voxels,)
        Noise of one volume; NaN if it is not known.
    threads : int, optional
        Number of threads.
    """

    reader: VoxelReader
    b: NDArray[np.float64]
    weight: NDArray[np.float64]
    model: SignalModel
    sigma: NDArray[np.float64]
    threads: int | None = None

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return len(self.reader.index)

    def take(self, positions: NDArray[np.intp]) -> TrainingSample:
        """Return the sample with some of its voxels."""
        maps = {name: values[positions] for name, values in self.model.fixed_maps.items()}
        return replace(
            self,
            reader=self.reader.take(positions),
            model=replace(self.model, fixed_maps=maps),
            sigma=self.sigma if self.sigma.size == 1 else self.sigma[positions],
        )

    def fitted(self, method: TwoDecayMethod) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the values of a fit, and which voxels were fitted."""
        task = Task(self.model, method, self.weight, self.sigma)
        values, status, _ = run(
            self.reader, self.b[np.newaxis], [task], threads=self.threads, device="cpu"
        )[0]
        return values, (status & int(FAILED)) == 0
