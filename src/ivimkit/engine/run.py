"""Run tasks over all voxels: on a processor, in chunks and threads, or on GPUs.

Threads take chunks of voxels from a queue; each reads, averages and fits its chunk without the
interpreter lock. A voxel is computed by one thread from its own values alone, so the result is
bit-identical whatever the number of threads, the chunk or the mask.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.engine.bind import bind
from ivimkit.engine.cpu import (
    estimate_chunk,
    evaluate_chunk,
    fit_batch,
    fit_chunk,
    gradient_chunk,
)
from ivimkit.engine.other_process import begin
from ivimkit.engine.place import gpus_for
from ivimkit.engine.task import PRECISIONS, Prepared, Progress, Reader, Task
from ivimkit.engine.waiting import is_compiled, say_compiling
from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.fit_method import Step
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.memory import aligned, padded
from ivimkit.machine import default_threads

__all__ = [
    "checked_threads",
    "compile_aside",
    "default_threads",
    "evaluate",
    "gradients",
    "in_threads",
    "padded_acquisition",
    "run",
]

# Voxels of a chunk: few enough for an even load, enough to make the overhead of a chunk
# negligible.
_MAX_CHUNK = 4096
_MIN_CHUNK = 256
_CHUNKS_PER_THREAD = 8

Fitted = tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]
Done = TypeVar("Done")


def _row_driver(prepared: Prepared) -> Callable[..., Any]:
    """Return the loop that fits voxels one by one."""
    return bind(fit_chunk, ("fit_row", prepared.row), allocates=False)


def _step_driver(step: Step) -> Callable[..., Any]:
    """Return the loop of a step that many voxels take together."""
    return bind(fit_batch, ("fit_voxels", step.function), allocates=False)


def _drivers(prepared: Prepared) -> Iterator[Callable[..., Any]]:
    """Yield all drivers that are compiled for a task."""
    if prepared.batch is not None:
        yield from map(_step_driver, prepared.batch.steps)
    else:
        yield _row_driver(prepared)
    if prepared.estimate is not None:
        yield bind(estimate_chunk, ("estimate_row", prepared.estimate.row))


def _fit(prepared: Prepared, signals: NDArray[np.float64], start: int) -> None:
    """Fit one chunk."""
    stop = start + signals.shape[0]
    values, status = prepared.values[start:stop], prepared.status[start:stop]
    bounds, noise = prepared.bounds(start, stop), prepared.noise(start, stop)
    plan, estimate = prepared.plan, prepared.estimate
    # For arrays that are not contiguous, a driver would be compiled a second time.
    found = values if estimate is None else np.empty((stop - start, prepared.n_found))
    variation = prepared.variation[start:stop]
    data = prepared.x, prepared.root_weight
    scratch = prepared.scratch(signals.shape[0])
    results = found, variation, status
    if prepared.batch is not None:
        low, high = (rows[0] for rows in bounds)
        rest = noise, low, high, plan.options, plan.table, *scratch, *results
        steps = prepared.batch.steps
        for step in steps:
            ends = step is steps[0], step is steps[-1]
            measured = _signals_of(step, signals, scratch[0][-1])
            _step_driver(step)(step.part, *ends, *data, measured, *rest)
    else:
        fixed = prepared.start[0], plan.options, plan.table
        _row_driver(prepared)(*data, signals, noise, *bounds, *fixed, *scratch, *results)
    if estimate is not None:
        full, own = prepared.full_plan, estimate.plan
        extra = np.empty((stop - start, values.shape[1] - prepared.n_found))
        driver = bind(estimate_chunk, ("estimate_row", estimate.row))
        driver(
            prepared.full_x,
            prepared.full_root_weight,
            signals,
            noise,
            *bounds,
            prepared.start[0],
            full.options,
            full.table,
            full.scratch,
            found,
            status,
            own.options,
            own.table,
            own.scratch,
            extra,
        )
        np.concatenate([found, extra], axis=1, out=values)


def _signals_of(
    step: Step, signals: NDArray[np.float64], written: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the signals of a step, the measured ones or those that an earlier step wrote."""
    if step.signals == 0:
        return signals
    first = step.signals * signals.shape[0]
    return written[first : first + signals.size].reshape(signals.shape)


def compile_aside(task: Task, x: NDArray[np.float64], *, threads: int | None = None) -> None:
    """Let another process compile the last driver of a task, if this one has others to compile.

    This process waits for it when it needs that driver. Nothing happens if the driver is compiled
    already, or with a single thread.

    Parameters
    ----------
    task : Task
        The fit to make.
    x : ndarray, shape (n_variables, n_rows)
        The acquisition, as for `run`.
    threads : int, optional
        Number of threads of that fit.
    """
    if checked_threads(threads) < 2:
        return
    # What differs from voxel to voxel is not compiled.
    fixed = {name: values[:0] for name, values in task.model.fixed_maps.items()}
    model = replace(task.model, fixed_maps=fixed)
    task = replace(task, model=model, sigma=task.sigma[:1], estimator=None)
    *_, last = _drivers(Prepared(task, _padded(x), 0))
    if not is_compiled(last):
        begin(last.py_func.__qualname__, _compile_last, task, x)  # type: ignore[attr-defined]


def _compile_last(task: Task, x: NDArray[np.float64]) -> None:
    """Compile the last driver of a task."""
    full = _padded(x)
    prepared = Prepared(task, full, 0)
    if prepared.batch is not None:
        prepared.batch = replace(prepared.batch, steps=prepared.batch.steps[-1:])
    _fit(prepared, np.zeros((0, full.shape[1])), 0)


def checked_threads(threads: int | None) -> int:
    """Return the number of threads, by default that of the cores that the process may use."""
    if threads is None:
        return default_threads()
    if threads != int(threads) or threads < 1:
        raise OptionError(f"threads is {threads!r}; expected a whole number >= 1")
    return threads


def _padded(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x padded to whole vectors with copies of its last column.

    Their weight is 0, but kernels compute them too. A measured setting gives a finite signal in
    every model; infinity times a weight of 0 would be NaN.
    """
    behind = padded(x.shape[1]) - x.shape[1]
    return np.ascontiguousarray(np.pad(x, ((0, 0), (0, behind)), mode="edge"))


def padded_acquisition(
    x: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return an acquisition and its weights padded to whole vectors, those of the padding 0."""
    full = _padded(x)
    return full, np.concatenate([weight, np.zeros(full.shape[1] - weight.size)])


def run(
    reader: Reader,
    x: NDArray[np.float64],
    tasks: Sequence[Task],
    *,
    threads: int | None = None,
    device: str = "auto",
    precision: str = "float64",
    progress: Progress | None = None,
) -> list[Fitted]:
    """Fit all voxels of a reader, every task in one pass over the data.

    Parameters
    ----------
    reader : Reader
        Provides the signals.
    x : ndarray, shape (n_variables, n_rows)
        The acquisition: a row per variable of the models, of which b in s/mm^2 is the first, and a
        column per column of the reader.
    tasks : sequence of Task
        The fits to make.
    threads : int, optional
        Number of threads; by default the number of cores that the process may use.
    device : str
        Where to compute, see `ivimkit.engine.place.gpus_for`.
    precision : {"float64", "float32"}
        Precision of the loops over the data.
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
        For a number of threads below 1, an unknown device or an unknown precision.
    DeviceError
        If a GPU is requested that is not available, or has too little memory.
    """
    if precision not in PRECISIONS:
        raise OptionError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    n_threads = checked_threads(threads)
    gpus = gpus_for(device, len(reader.index))
    if gpus:
        # Imported here: the driver of a GPU takes seconds to start, and need not be installed.
        from ivimkit.engine.cuda import run_on_gpus

        return run_on_gpus(gpus, reader, x, tasks, n_threads, precision, progress)
    return _run_on_cpu(reader, x, tasks, n_threads, precision, progress)


def in_threads(
    work: Callable[[int], Done], starts: Sequence[int], n_threads: int
) -> Generator[Done]:
    """Yield the results of chunks as they are done; one thread, or chunk, is the calling one's."""
    if n_threads == 1 or len(starts) == 1:
        yield from map(work, starts)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        futures = [pool.submit(work, start) for start in starts]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_on_cpu(
    reader: Reader,
    x: NDArray[np.float64],
    tasks: Sequence[Task],
    n_threads: int,
    precision: str,
    progress: Progress | None,
) -> list[Fitted]:
    total = len(reader.index)
    share = total // (n_threads * _CHUNKS_PER_THREAD)
    chunk = min(max(share, _MIN_CHUNK), _MAX_CHUNK)
    full = _padded(x)
    prepared = [Prepared(task, full, total, precision) for task in tasks]

    say_compiling(driver for ready in prepared for driver in _drivers(ready))
    for task, ready in zip(tasks, prepared, strict=True):
        if ready.batch is not None and len(ready.batch.steps) > 1:
            compile_aside(task, x, threads=n_threads)
    # Compile in the calling thread, which Ctrl-C ends at once; other threads would be waited for.
    for ready in prepared:
        _fit(ready, np.zeros((0, full.shape[1])), 0)

    scratch = threading.local()

    def work(start: int) -> int:
        stop = min(start + chunk, total)
        # Reuse the memory of a thread, as fresh memory is much slower; the padding stays zero.
        if not hasattr(scratch, "signals"):
            scratch.signals = aligned(chunk * full.shape[1]).reshape(chunk, full.shape[1])
        signals = scratch.signals[: stop - start]
        reader.read(start, stop, signals)
        for ready in prepared:
            _fit(ready, signals, start)
        return stop - start

    done = 0
    with closing(in_threads(work, range(0, total, chunk), n_threads)) as chunks:
        for n in chunks:
            done += n
            if progress is not None:
                progress(done, total)
    return [ready.result for ready in prepared]


def evaluate(model: SignalModel, params: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
    """Return the signal of a model.

    Parameters
    ----------
    model : SignalModel
        The model.
    params : array_like, shape (..., n_par)
        Parameters in the model's order and units.
    x : array_like, shape (n_b,) or (n_variables, n_rows)
        b-values in s/mm^2; or the variables of the model, a row each.

    Returns
    -------
    ndarray, shape (..., n_rows)
        Signal, a.u.

    Raises
    ------
    OptionError
        If the last axis of `params` does not match the parameters of the model.
    ShapeError
        If `x` does not have a row for each variable of the model.
    """
    p, columns = _points(model, params, x)
    out = np.empty((p.size // p.shape[-1], columns.shape[1]))
    driver = bind(evaluate_chunk, ("signal_kernel", model.kernel))
    driver(columns, p.reshape(-1, p.shape[-1]), out)
    return out.reshape(*p.shape[:-1], columns.shape[1])


def curve(model: SignalModel, params: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
    """Return the signal of a model as `evaluate` does, or NaN if its equation is not available.

    For plots, which then show the measured signal without a curve.
    """
    if model.has_equation:
        return evaluate(model, params, x)
    return np.full((*np.shape(params)[:-1], np.atleast_2d(np.asarray(x)).shape[1]), np.nan)


def gradients(model: SignalModel, params: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
    """Return the slopes of the signal of a model: its derivatives by the parameters.

    Parameters
    ----------
    model : SignalModel
        The model.
    params : array_like, shape (..., n_par)
        Parameters in the model's order and units.
    x : array_like, shape (n_b,) or (n_variables, n_rows)
        b-values in s/mm^2; or the variables of the model, a row each.

    Returns
    -------
    ndarray, shape (..., n_rows, n_par)
        a.u. per unit of the parameter.

    Raises
    ------
    OptionError
        If the last axis of `params` does not match the parameters of the model.
    ShapeError
        If `x` does not have a row for each variable of the model.
    """
    p, columns = _points(model, params, x)
    n_par = p.shape[-1]
    out = np.empty((p.size // n_par, columns.shape[1], n_par))
    driver = bind(gradient_chunk, ("signal_kernel", model.kernel))
    driver(columns, p.reshape(-1, n_par), out)
    return out.reshape(*p.shape[:-1], columns.shape[1], n_par)


def _points(
    model: SignalModel, params: ArrayLike, x: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return parameters and acquisition as arrays for a driver."""
    p = np.ascontiguousarray(params, dtype=np.float64)
    columns = np.atleast_2d(np.ascontiguousarray(x, dtype=np.float64))
    if p.ndim == 0 or p.shape[-1] != len(model.parameters):
        raise OptionError(
            f"params has shape {p.shape}; expected the {len(model.parameters)} parameters "
            f"{', '.join(model.names)} of model {model.name} on the last axis"
        )
    if len(columns) < len(model.variables):
        raise ShapeError(
            f"x has {len(columns)} rows; expected one for each of "
            f"{', '.join(model.variables)}, the variables of model {model.name}"
        )
    return p, columns
