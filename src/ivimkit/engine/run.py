"""Run drivers over all voxels: chunks, threads, progress.

Threads take chunks of voxels from a queue; each reads, averages and fits its chunk without the
interpreter lock. A voxel is computed by one thread from its own numbers alone, so the result has
the same bits whatever the number of threads, the chunk or the mask.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.engine.bind import bind, with_kernels
from ivimkit.engine.cpu import estimate_chunk, evaluate_chunk, fit_chunk, gradient_chunk
from ivimkit.errors import OptionError
from ivimkit.estimator import Estimator
from ivimkit.fit_method import FitMethod
from ivimkit.signal_model import SignalModel

__all__ = ["DEVICES", "Progress", "Task", "default_threads", "evaluate", "gradients", "run"]

DEVICES = ("auto", "cpu")
# Chunks are small enough to share out evenly and large enough to hide what a chunk costs.
_LARGEST_CHUNK = 4096
_SMALLEST_CHUNK = 256
_CHUNKS_PER_THREAD = 8
# One vector; the compiler goes on with halves of one.
_LANES = 8

Progress = Callable[[int, int], None]
"""Called with the number of voxels done and the number of all voxels."""


class Reader(Protocol):
    """Where signals come from, see `ivimkit.voxel_reader.VoxelReader`."""

    index: NDArray[np.intp]

    def read(self, start: int, stop: int, out: NDArray[np.float64]) -> None:
        """Write the signals of voxels `start` to `stop` to the rows of `out`."""
        ...


@dataclass(frozen=True)
class Task:
    """One model fitted by one method to some of the b-values.

    Parameters
    ----------
    model : SignalModel
        Its `fixed_maps` hold one value per voxel of the reader, shape (n_voxels,).
    method : FitMethod
        How to fit it.
    weight : ndarray, shape (n_b,)
        Weight of each b-value; zero leaves it out.
    sigma : ndarray, shape (1,) or (n_voxels,)
        Noise of one volume, a.u.; NaN where it is not known.
    estimator : Estimator or None
        How sure the numbers are.
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


class _Prepared:
    """A task with everything that is the same for all chunks, and room for its result."""

    def __init__(self, task: Task, b: NDArray[np.float64], n_voxels: int) -> None:
        parameters = task.model.parameters
        weight = np.zeros(b.size)
        weight[: task.weight.size] = task.weight
        self.root_weight = np.sqrt(weight)
        self.plan = task.method.plan(task.model, b, weight)
        self.lower = np.array([[p.lower for p in parameters]])
        self.upper = np.array([[p.upper for p in parameters]])
        self.start = np.array([[p.start for p in parameters]])
        self.fixed = {task.model.index(k): v for k, v in task.model.fixed_maps.items()}
        self.driver = bind(fit_chunk, ("fit_voxel", task.method.voxel))
        self.sigma = task.sigma
        self.n_found = len(parameters) + 2 + len(task.method.extras(task.model))
        self.values = np.empty((n_voxels, len(parameters) + 2 + len(task.columns)))
        self.variation = np.empty(n_voxels)
        self.status = np.empty(n_voxels, dtype=np.int32)
        self.estimate: _Estimate | None = None
        if task.estimator is not None:
            self.estimate = _Estimate(task, b, weight)

    def bounds(self, start: int, stop: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return lower and upper bounds of a chunk."""
        if not self.fixed:
            return self.lower, self.upper
        lower = np.repeat(self.lower, stop - start, axis=0)
        upper = np.repeat(self.upper, stop - start, axis=0)
        for index, values in self.fixed.items():
            lower[:, index] = upper[:, index] = values[start:stop]
        return lower, upper

    def fit(self, b: NDArray[np.float64], signals: NDArray[np.float64], start: int) -> None:
        """Fit one chunk."""
        stop = start + signals.shape[0]
        values, status = self.values[start:stop], self.status[start:stop]
        common = (
            b,
            self.root_weight,
            signals,
            self.sigma if self.sigma.size == 1 else self.sigma[start:stop],
            *self.bounds(start, stop),
            self.start,
            self.plan.options,
            self.plan.table,
            self.plan.work_rows,
        )
        found = values[:, : self.n_found]
        self.driver(*common, found, self.variation[start:stop], status)
        if self.estimate is not None:
            plan = self.estimate.plan
            self.estimate.driver(
                *common,
                found,
                status,
                plan.options,
                plan.table,
                plan.work_rows,
                values[:, self.n_found :],
            )


class _Estimate:
    """The estimator of a task, with everything that is the same for all chunks."""

    def __init__(self, task: Task, b: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
        estimator = task.estimator
        assert estimator is not None
        voxel = with_kernels(
            type(estimator).voxel,
            ("fit_voxel", task.method.voxel),
            ("signal_kernel", task.model.kernel),
        )
        self.plan = estimator.plan(task.model, b, weight)
        self.driver = bind(estimate_chunk, ("estimate_voxel", voxel))


def default_threads() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _checked_threads(threads: int | None) -> int:
    if threads is None:
        return default_threads()
    if threads != int(threads) or threads < 1:
        raise OptionError(f"threads is {threads!r}; expected a whole number >= 1")
    return threads


def _padded(b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return b with zeros behind, up to whole vectors; their weight is zero."""
    padded = np.zeros(-(-b.size // _LANES) * _LANES)
    padded[: b.size] = b
    return padded


def run(
    reader: Reader,
    b: NDArray[np.float64],
    tasks: Sequence[Task],
    *,
    threads: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> list[tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]]:
    """Fit all voxels of a reader, every task in one pass over the data.

    Parameters
    ----------
    reader : Reader
        Gives the signals.
    b : ndarray, shape (n_b,)
        b-values of the reader's columns in s/mm^2.
    tasks : sequence of Task
        What to fit.
    threads : int, optional
        Number of threads; by default all cores that the process may use.
    device : {"auto", "cpu"}
        Where to compute.
    progress : callable, optional
        Called as ``progress(done, total)`` from the calling thread.

    Returns
    -------
    list of tuple
        Per task: values (n_voxels, n_par + 2 + len(columns)) with parameters, weighted sum of
        squares, iterations and the task's `Task.columns`; status (n_voxels,);
        weighted sum of squares about the mean (n_voxels,).

    Raises
    ------
    OptionError
        For a number of threads below 1 or an unknown device.
    """
    if device not in DEVICES:
        raise OptionError(f"device is {device!r}; expected one of {', '.join(DEVICES)}")
    n_threads = _checked_threads(threads)
    total = len(reader.index)
    share = total // (n_threads * _CHUNKS_PER_THREAD)
    chunk = min(max(share, _SMALLEST_CHUNK), _LARGEST_CHUNK)
    padded = _padded(b)
    prepared = [_Prepared(task, padded, total) for task in tasks]

    # Compile here: Ctrl-C ends it at once, while threads would be waited for.
    for task in prepared:
        task.fit(padded, np.zeros((0, padded.size)), 0)

    def work(start: int) -> int:
        stop = min(start + chunk, total)
        signals = np.zeros((stop - start, padded.size))
        reader.read(start, stop, signals)
        for task in prepared:
            task.fit(padded, signals, start)
        return stop - start

    starts = range(0, total, chunk)
    done = 0
    with ThreadPoolExecutor(n_threads) as pool:
        futures = [pool.submit(work, start) for start in starts]
        try:
            for future in as_completed(futures):
                done += future.result()
                if progress is not None:
                    progress(done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [(task.values, task.status, task.variation) for task in prepared]


def evaluate(model: SignalModel, params: ArrayLike, bvals: ArrayLike) -> NDArray[np.float64]:
    """Return the signal of a model.

    Parameters
    ----------
    model : SignalModel
        The model.
    params : array_like, shape (..., n_par)
        Parameters in the model's order and units.
    bvals : array_like, shape (n_b,)
        b-values in s/mm^2.

    Returns
    -------
    ndarray, shape (..., n_b)
        Signal, a.u.

    Raises
    ------
    OptionError
        If the last axis of `params` is not the model's parameters.
    """
    p, b = _points(model, params, bvals)
    out = np.empty((p.size // p.shape[-1], b.size))
    driver = bind(evaluate_chunk, ("signal_kernel", model.kernel))
    driver(b, p.reshape(-1, p.shape[-1]), out)
    return out.reshape(*p.shape[:-1], b.size)


def gradients(model: SignalModel, params: ArrayLike, bvals: ArrayLike) -> NDArray[np.float64]:
    """Return the slopes of the signal of a model: its derivatives by the parameters.

    Parameters
    ----------
    model : SignalModel
        The model.
    params : array_like, shape (..., n_par)
        Parameters in the model's order and units.
    bvals : array_like, shape (n_b,)
        b-values in s/mm^2.

    Returns
    -------
    ndarray, shape (..., n_b, n_par)
        a.u. per unit of the parameter.

    Raises
    ------
    OptionError
        If the last axis of `params` is not the model's parameters.
    """
    p, b = _points(model, params, bvals)
    n_par = p.shape[-1]
    out = np.empty((p.size // n_par, b.size, n_par))
    driver = bind(gradient_chunk, ("signal_kernel", model.kernel))
    driver(b, p.reshape(-1, n_par), out)
    return out.reshape(*p.shape[:-1], b.size, n_par)


def _points(
    model: SignalModel, params: ArrayLike, bvals: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return parameters and b-values as arrays that a driver can read."""
    p = np.ascontiguousarray(params, dtype=np.float64)
    b = np.atleast_1d(np.ascontiguousarray(bvals, dtype=np.float64))
    if p.ndim == 0 or p.shape[-1] != len(model.parameters):
        raise OptionError(
            f"params has shape {p.shape}; expected the {len(model.parameters)} parameters "
            f"{', '.join(model.names)} of model {model.name} on the last axis"
        )
    return p, b
