"""TrainingSample: the voxels of a scan from which a method learns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import Task, run
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.voxel_reader import VoxelReader
from ivimkit.status import FAILED

__all__ = ["TrainingSample"]

# Number of voxels that are read at a time.
_MAX_ROWS = 4096
# Irrational numbers: their multiples, modulo 1, never repeat.
_IRRATIONAL_STEPS = (np.sqrt(2.0), np.sqrt(3.0))


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
    x : ndarray, shape (n_variables, n_b), optional
        All variables of the model; only b by default.
    """

    reader: VoxelReader
    b: NDArray[np.float64]
    weight: NDArray[np.float64]
    model: SignalModel
    sigma: NDArray[np.float64]
    threads: int | None = None
    x: NDArray[np.float64] | None = None

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return len(self.reader.index)

    @property
    def variables(self) -> NDArray[np.float64]:
        """The variables of the model, b first, shape (n_variables, n_b)."""
        return self.b[np.newaxis] if self.x is None else self.x

    def take(self, positions: NDArray[np.intp]) -> TrainingSample:
        """Return the sample with some of its voxels."""
        maps = {name: values[positions] for name, values in self.model.fixed_maps.items()}
        return replace(
            self,
            reader=self.reader.take(positions),
            model=replace(self.model, fixed_maps=maps),
            sigma=self.sigma if self.sigma.size == 1 else self.sigma[positions],
        )

    def drawn(self, n: int, *, seed: int) -> TrainingSample:
        """Return at most n voxels, drawn at random, in an order that depends on their values only.

        Parameters
        ----------
        n : int
            Number of voxels.
        seed : int
            Seed of the draw.
        """
        order = self._by_content()
        if self.n_voxels > n:
            chosen = np.random.default_rng(seed).choice(self.n_voxels, n, replace=False)
            order = order[np.sort(chosen)]
        return self.take(order)

    def _by_content(self) -> NDArray[np.intp]:
        """Return positions of the voxels in an order that depends on their values only.

        The position of a voxel in memory must not decide whether it is drawn, nor when it is added
        to a sum. The order is that of a weighted sum of all values of a voxel, so it does not
        depend on the unit of the signals; no two weights and no two sets of weights are equal, so
        voxels that tie have the same values.
        """
        further = [
            *self.model.fixed_maps.values(),
            *([] if self.sigma.size == 1 else [self.sigma]),
        ]
        n, n_columns = self.n_voxels, self.reader.n_columns
        steps = np.arange(1, 1 + n_columns + len(further))
        weights = [1.0 + np.mod(step * steps, 1.0) for step in _IRRATIONAL_STEPS]
        keys = np.zeros((len(weights), n))
        rows = np.empty((min(n, _MAX_ROWS), n_columns))
        for start in range(0, n, _MAX_ROWS):
            part = slice(start, min(start + _MAX_ROWS, n))
            self.reader.read(part.start, part.stop, rows)
            contents = [*rows[: part.stop - start].T, *(values[part] for values in further)]
            # Column after column, not a product of matrices: the bits must not depend on the rows.
            for column, values in enumerate(contents):
                numbers = np.nan_to_num(values, nan=-1.0, posinf=-2.0, neginf=-3.0)
                for key, weight in zip(keys, weights, strict=True):
                    key[part] += weight[column] * numbers
        return np.lexsort(keys)

    def fitted(self, method: FitMethod) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the values of a fit, and which voxels were fitted."""
        task = Task(self.model, method, self.weight, self.sigma)
        values, status, _ = run(
            self.reader, self.variables, [task], threads=self.threads, device="cpu"
        )[0]
        return values, (status & int(FAILED)) == 0
