"""TrainingSample: the voxels of a scan from which a method learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import Task, checked_threads, in_threads, run
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.decay_curves import fitted_x
from ivimkit.fitting.ranks import positions_of_ranks
from ivimkit.scan.dwi import DWI
from ivimkit.scan.value_weights import Patterns
from ivimkit.scan.voxel_reader import VoxelReader
from ivimkit.status import FAILED

__all__ = ["TrainingSample"]

# Number of voxels that are read at a time.
_MAX_ROWS = 4096
# Irrational numbers: their multiples, modulo 1, never repeat.
_IRRATIONAL_STEPS = (np.sqrt(2.0), np.sqrt(3.0))
# Groups of voxels with the same weights from this size on are fitted by all threads together, one
# after the other; smaller ones by one thread each.
_MIN_SHARED_VOXELS = 4096

Found = TypeVar("Found")


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
    dwi : DWI, optional
        The scan; needed with `patterns`.
    patterns : Patterns, optional
        Voxels with the same weights of all values, if these differ from voxel to voxel; `b` and
        `weight` are then those of the volumes.
    x : ndarray, shape (n_variables, n_b), optional
        All variables of the model; only b by default.
    """

    reader: VoxelReader
    b: NDArray[np.float64]
    weight: NDArray[np.float64]
    model: SignalModel
    sigma: NDArray[np.float64]
    threads: int | None = None
    dwi: DWI | None = None
    patterns: Patterns | None = None
    x: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        dwi: DWI,
        reader: VoxelReader,
        model: SignalModel,
        sigma: NDArray[np.float64],
        threads: int | None = None,
    ) -> TrainingSample:
        """Return the voxels of a scan that a reader gives."""
        return cls(
            reader,
            dwi.fit_bvals,
            dwi.fit_counts,
            model,
            sigma,
            threads,
            dwi,
            dwi.patterns(reader),
            np.atleast_2d(fitted_x(model.variables, dwi)),
        )

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
            patterns=None if self.patterns is None else self.patterns.take(positions),
        )

    def of_pattern(self, number: int) -> TrainingSample:
        """Return the sample as if all its voxels had the weights of one of its `patterns`."""
        assert self.patterns is not None
        assert self.dwi is not None
        dwi = self.dwi.of_pattern(self.patterns.rows[number])
        x = np.atleast_2d(fitted_x(self.model.variables, dwi))
        return replace(self, dwi=dwi, b=dwi.fit_bvals, weight=dwi.fit_counts, x=x, patterns=None)

    @property
    def used_counts(self) -> NDArray[np.intp]:
        """Number of values with a weight: one per voxel where they differ, else of all."""
        if self.patterns is None:
            return np.full(1, np.count_nonzero(self.weight))
        counts = np.zeros(len(self.patterns.rows), dtype=np.intp)
        for number in np.unique(self.patterns.numbers):
            counts[number] = np.count_nonzero(self.of_pattern(int(number)).weight)
        return counts[self.patterns.numbers]

    def with_enough_values(self) -> TrainingSample:
        """Return the voxels with more values that have a weight than the model has parameters."""
        if self.patterns is None:
            return self
        return self.take(np.flatnonzero(self.used_counts > self.model.n_free))

    def of_one_pattern(self) -> TrainingSample:
        """Return the voxels that have the same weights as most others do."""
        if self.patterns is None:
            return self
        number, positions = self.patterns.groups()[0]
        return self.take(positions).of_pattern(number)

    def in_parts(
        self, work: Callable[[TrainingSample], Found]
    ) -> Iterator[tuple[NDArray[np.intp], Found]]:
        """Do some work for each group of voxels with the same weights, in threads.

        Parameters
        ----------
        work : callable
            Takes a sample without `patterns`, and uses the number of threads of that sample.

        Yields
        ------
        tuple of ndarray and object
            Positions of the voxels of the group, ascending, and what the work returned.
        """
        if self.patterns is None:
            yield np.arange(self.n_voxels), work(self)
            return
        groups = self.patterns.groups()
        # At least one in the calling thread, which Ctrl-C ends at once: it compiles.
        n_large = max(sum(len(own) >= _MIN_SHARED_VOXELS for _, own in groups), 1)
        for number, positions in groups[:n_large]:
            yield positions, work(self.take(positions).of_pattern(number))

        def one(k: int) -> tuple[NDArray[np.intp], Found]:
            number, positions = groups[k]
            return positions, work(replace(self, threads=1).take(positions).of_pattern(number))

        rest = range(n_large, len(groups))
        yield from in_threads(one, rest, checked_threads(self.threads))

    def drawn(self, n: int, *, seed: int) -> TrainingSample:
        """Return at most n voxels, drawn at random, in an order that depends on their values only.

        Parameters
        ----------
        n : int
            Number of voxels.
        seed : int
            Seed of the draw.
        """
        ranks = np.arange(self.n_voxels)
        if self.n_voxels > n:
            chosen = np.random.default_rng(seed).choice(self.n_voxels, n, replace=False)
            ranks = np.sort(chosen)
        return self.few(self._by_content(ranks))

    def few(self, positions: NDArray[np.intp]) -> TrainingSample:
        """Return some of the voxels, read once if the scan is not in memory.

        Parameters
        ----------
        positions : ndarray of int, shape (n,)
            Which ones: as few as fit into memory.
        """
        taken = self.take(positions)
        return replace(taken, reader=taken.reader.in_memory())

    def _by_content(self, ranks: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return positions of the voxels of some ranks in an order that depends on values only.

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
        return positions_of_ranks(keys, ranks)

    def fitted(self, method: FitMethod) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the values of a fit, and which voxels were fitted."""
        parts = list(self.in_parts(lambda part: part._run(method)))
        if len(parts) == 1:
            return parts[0][1]
        first = parts[0][1][0]
        values = np.empty((self.n_voxels, first.shape[1]))
        good = np.empty(self.n_voxels, dtype=bool)
        for positions, (own, fitted) in parts:
            values[positions], good[positions] = own, fitted
        return values, good

    def _run(self, method: FitMethod) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = Task(self.model, method, self.weight, self.sigma)
        values, status, _ = run(
            self.reader, self.variables, [task], threads=self.threads, device="cpu"
        )[0]
        return values, (status & int(FAILED)) == 0
