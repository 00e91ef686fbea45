"""Task: what to fit, and everything about it that all voxels share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine.row_steps import estimate_row, fit_row
from ivimkit.engine.single import in_single
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import Batch, FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.memory import aligned
from ivimkit.kernels.templates import pasted_with_kernels, with_kernels
from ivimkit.status import status_type

__all__ = ["PRECISIONS", "Prepared", "PreparedEstimate", "Progress", "Reader", "Task"]

PRECISIONS = ("float64", "float32")
"""What the loops over the data compute in."""

Progress = Callable[[int, int], None]
"""Called with the number of voxels done and the number of all voxels."""


class Reader(Protocol):
    """Where signals come from, see `ivimkit.scan.voxel_reader.VoxelReader`."""

    index: NDArray[np.intp]

    def read(self, start: int, stop: int, out: NDArray[Any]) -> None:
        """Write the signals of voxels `start` to `stop` to the rows of `out`."""
        ...


@dataclass(frozen=True)
class Task:
    """One model fitted by one method to some of the measured values.

    Parameters
    ----------
    model : SignalModel
        Its `fixed_maps` hold one value per voxel of the reader, shape (n_voxels,).
    method : FitMethod
        How to fit it.
    weight : ndarray, shape (n_rows,)
        Weight of each value; zero leaves it out.
    sigma : ndarray, shape (1,) or (n_voxels,)
        Noise of one volume, a.u.; NaN where it is not known.
    estimator : Estimator or None
        What estimates the uncertainty of the parameters.
    """

    model: SignalModel
    method: FitMethod
    weight: NDArray[np.float64]
    sigma: NDArray[np.float64] = field(default_factory=lambda: np.full(1, np.nan))
    estimator: Estimator | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """What the columns of the values are, from the first one behind cost and iterations."""
        extras = self.method.extras(self.model)
        return extras if self.estimator is None else extras + self.estimator.maps(self.model)


class Prepared:
    """A task with everything that is the same for all voxels, and room for its result.

    Parameters
    ----------
    task : Task
        What to fit.
    x : ndarray, shape (n_variables, n_rows)
        The acquisition, perhaps padded.
    n_voxels : int
        Number of voxels.
    precision : {"float64", "float32"}
        What to compute in; a method that does not take float32 is computed in float64.
    order : {"C", "F"}
        Whether the values of a voxel or those of a column are neighbours in memory.
    """

    def __init__(
        self,
        task: Task,
        x: NDArray[np.float64],
        n_voxels: int,
        precision: str = "float64",
        order: Literal["C", "F"] = "C",
    ) -> None:
        parameters = task.model.parameters
        weight = np.zeros(x.shape[1])
        weight[: task.weight.size] = task.weight
        single = precision == "float32" and task.method.takes_float32(task.model)
        self.real = np.float32 if single else np.float64
        self.full_plan = task.method.plan(task.model, x, weight)
        self.full_x, self.full_root_weight = x, np.sqrt(weight)
        self.x = x.astype(self.real, copy=False)
        self.root_weight = self.full_root_weight.astype(self.real, copy=False)
        self.plan = self.full_plan
        if single:
            self.plan = replace(self.full_plan, table=self.full_plan.table.astype(self.real))
        self.lower = np.array([[p.lower for p in parameters]])
        self.upper = np.array([[p.upper for p in parameters]])
        self.start = np.array([[p.start for p in parameters]])
        self.fixed = {task.model.index(k): v for k, v in task.model.fixed_maps.items()}
        voxel = task.method.voxel_of(task.model)
        voxel = in_single(voxel) if single else voxel
        self.row = pasted_with_kernels(fit_row, ("fit_voxel", voxel))
        self.batch: Batch | None = None
        if not (single or self.fixed):
            self.batch = task.method.batch(task.model, self.plan, x.shape[1])
        self._scratch = threading.local()
        self.sigma = task.sigma
        self.n_found = len(parameters) + 2 + len(task.method.extras(task.model))
        n_columns = len(parameters) + 2 + len(task.columns)
        self.values = np.empty((n_voxels, n_columns), order=order)
        self.variation = np.empty(n_voxels)
        self.status = np.empty(n_voxels, dtype=status_type(len(parameters)))
        self.estimate: PreparedEstimate | None = None
        if task.estimator is not None:
            self.estimate = PreparedEstimate(task, x, weight)

    @property
    def result(self) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]:
        """Values, status and sum of squares about the mean, as `ivimkit.engine.run` returns."""
        return self.values, self.status, self.variation

    def bounds(self, start: int, stop: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return lower and upper bounds of a chunk, in one row or one per voxel."""
        if not self.fixed:
            return self.lower, self.upper
        lower = np.repeat(self.lower, stop - start, axis=0)
        upper = np.repeat(self.upper, stop - start, axis=0)
        for index, values in self.fixed.items():
            lower[:, index] = upper[:, index] = values[start:stop]
        return lower, upper

    def scratch(self, n_voxels: int) -> tuple[Any, ...]:
        """Return what a thread needs to fit so many voxels; it keeps it for the next.

        Parameters
        ----------
        n_voxels : int
            Voxels of a chunk.

        Returns
        -------
        tuple
            The scratch of `ivimkit.engine.cpu.fit_batch`, or of `fit_chunk` where voxels are
            fitted one by one.
        """
        kept: tuple[int, tuple[Any, ...]] | None
        kept = getattr(self._scratch, "arrays", None)
        if kept is None or kept[0] < n_voxels:
            kept = n_voxels, self._make_scratch(n_voxels)
            self._scratch.arrays = kept
        return kept[1]

    def _make_scratch(self, n_voxels: int) -> tuple[Any, ...]:
        clean = np.zeros(self.x.shape[1], self.real)
        if self.batch is None:
            return np.zeros(self.plan.scratch, self.real), clean, np.zeros(self.n_found)
        sizes = (*self.batch.scratch, self.batch.per_voxel * n_voxels)
        return tuple(map(aligned, sizes)), np.zeros(self.batch.counters, np.int64), clean

    def noise(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return the noise of a chunk, one number or one per voxel."""
        return self.sigma if self.sigma.size == 1 else self.sigma[start:stop]


class PreparedEstimate:
    """The estimator of a task, with everything that is the same for all voxels.

    It computes in double precision: it is about small differences.
    """

    def __init__(self, task: Task, x: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
        estimator = task.estimator
        assert estimator is not None
        voxel = with_kernels(
            type(estimator).voxel,
            ("fit_voxel", task.method.voxel_of(task.model)),
            ("signal_kernel", task.model.kernel),
        )
        self.plan = estimator.plan(task.model, x, weight)
        self.row = pasted_with_kernels(estimate_row, ("estimate_voxel", voxel))
