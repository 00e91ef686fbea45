"""The GPU drivers: a thread per voxel, chunks in streams; indexing and memory, without formulas.

The kernels are templates: `ivimkit.engine.bind` puts `fit_row` and `estimate_row`, the same as on
the processor, and the shapes of a thread's scratch in. The scratch is local
memory, which the hardware interleaves between threads, so that neighbours read neighbouring
addresses while the kernels see plain arrays.

The host fills page-locked memory with one chunk while the GPU copies and computes others: the
copies and kernels of a chunk follow each other in one stream.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine.bind import tagged
from ivimkit.engine.task import Prepared, Progress, Reader, Task
from ivimkit.errors import DeviceError
from ivimkit.kernels.templates import Kernel
from ivimkit.kernels.voxel import Tables, Voxel

__all__ = ["Gpu", "Slot", "estimate_chunk", "fit_chunk", "kernels_of", "run_on_gpus"]

# Imported by name, as they have no type hints.
cuda: Any = importlib.import_module("numba.cuda")
_config: Any = importlib.import_module("numba").config

# Threads of a block: a kernel needs about 250 registers per thread, and few blocks fit anyway.
_BLOCK = 64
# Largest and smallest number of voxels of a chunk; number of chunks, unless they would be smaller.
_MAX_CHUNK = 1 << 18
_MIN_CHUNK = 1 << 14
_N_CHUNKS = 8
# Number of chunks in progress: one is read, one copied, one computed.
_N_SLOTS = 3
# Largest share of the free memory for chunks, and for chunks and scratch together.
_MAX_CHUNK_SHARE = 0.5
_MAX_MEMORY_SHARE = 0.9
# Lengths of scratch are rounded up to multiples of these, so that few protocols compile anew.
_ROW_STEP, _SCRATCH_STEP = 16, 64
# Local memory of a thread that the hardware allows, bytes.
_MAX_SCRATCH = 512 * 1024

# Put in by `ivimkit.engine.bind`: lengths of a thread's arrays and the type of the data.
WORK = METHOD_WORK = 1
N_ROWS = N_FOUND = 1
REAL: type = np.float64


def fit_row(*_: Any) -> None:
    """Stand for `ivimkit.engine.row_steps.fit_row` with the voxel function of a method."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def estimate_row(*_: Any) -> None:
    """Stand for `ivimkit.engine.row_steps.estimate_row` with the function of an estimator."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def fit_chunk(
    n: int,
    x: NDArray[Any],
    root_weight: NDArray[Any],
    signals: NDArray[Any],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    start: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[Any],
    out: NDArray[np.float64],
    variation: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Fit one of the first `n` rows of `signals`; sigma and bounds: one, or one per voxel."""
    v = cuda.grid(1)
    if v < n:
        work = cuda.local.array(WORK, REAL)
        clean = cuda.local.array(N_ROWS, REAL)
        found = cuda.local.array(N_FOUND, np.float64)
        row = min(v, lower.shape[0] - 1)
        voxel = Voxel(
            x, root_weight, clean[: x.shape[1]], sigma[min(v, sigma.size - 1)], lower[row],
            upper[row], start[0], options, table, work,
        )  # fmt: skip
        fit_row(v, voxel, signals, found, out, variation, status)


def estimate_chunk(
    n: int,
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[Any],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    start: NDArray[np.float64],
    method_options: NDArray[np.float64],
    method_table: NDArray[np.float64],
    found: NDArray[np.float64],
    status: NDArray[np.int32],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Estimate the uncertainty of the parameters fitted to one of the first `n` rows."""
    v = cuda.grid(1)
    if v < n:
        method_work = cuda.local.array(METHOD_WORK, np.float64)
        work = cuda.local.array(WORK, np.float64)
        clean = cuda.local.array(N_ROWS, np.float64)
        row = min(v, lower.shape[0] - 1)
        voxel = Voxel(
            x, root_weight, clean[: x.shape[1]], sigma[min(v, sigma.size - 1)], lower[row],
            upper[row], start[0], method_options, method_table, method_work,
        )  # fmt: skip
        estimate_row(v, voxel, signals, found, status, Tables(options, table, work), out)


def _rounded(n: int, step: int) -> int:
    return max(-(-n // step), 1) * step


def kernels_of(task: Prepared) -> list[tuple[Any, int]]:
    """Return the functions that compute a task on a GPU, and the scratch of a thread in bytes.

    Parameters
    ----------
    task : Prepared
        The task.

    Returns
    -------
    list of tuple
        A plain function with everything put in, to be compiled by ``numba.cuda``, and a number;
        the one that fits and, where there is an estimator, the one of that.
    """
    n_rows = _rounded(task.x.shape[1], _ROW_STEP)
    work = _rounded(task.plan.scratch, _SCRATCH_STEP)
    constants: tuple[Kernel, ...] = (
        ("WORK", work),
        ("N_ROWS", n_rows),
        ("N_FOUND", task.n_found),
        ("REAL", task.real),
    )
    size = np.dtype(task.real).itemsize * (work + n_rows) + 8 * task.n_found
    kernels = [(_named(fit_chunk, ("fit_row", task.row), *constants), size)]
    if task.estimate is not None:
        method_work = _rounded(task.full_plan.scratch, _SCRATCH_STEP)
        own = _rounded(task.estimate.plan.scratch, _SCRATCH_STEP)
        constants = (("WORK", own), ("METHOD_WORK", method_work), ("N_ROWS", n_rows))
        size = 8 * (own + method_work + n_rows)
        row = ("estimate_row", task.estimate.row)
        kernels.append((_named(estimate_chunk, row, *constants), size))
    return kernels


@functools.cache
def _named(template: Any, *kernels: Kernel) -> Any:
    return tagged(template, *kernels)


@functools.cache
def _compiled(driver: Any) -> Any:
    """Return the kernel of a driver; it is compiled, once per kind of GPU, when it is launched."""
    try:
        return cuda.jit(cache=not _config.ENABLE_CUDASIM)(driver)
    except RuntimeError:  # No cache folder can be written: compile in every process.
        return cuda.jit(driver)


class _Pair:
    """An array in page-locked memory of the host, and its counterpart on the GPU."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, order: Literal["C", "F"] = "F") -> None:
        self.host: NDArray[Any] = cuda.pinned_array(shape, dtype=dtype, order=order)
        self.device = cuda.device_array(shape, dtype=dtype, order=order)


class _TaskOnGpu:
    """Arrays and kernels of a task on one GPU, shared by all chunks."""

    def __init__(self, task: Prepared) -> None:
        self.task = task
        send = cuda.to_device
        self.constants = (send(task.x), send(task.root_weight))
        self.plan = (
            send(task.start),
            send(task.plan.options),
            send(np.ascontiguousarray(task.plan.table)),
        )
        self.bounds = (send(task.lower), send(task.upper))
        self.sigma = send(task.sigma) if task.sigma.size == 1 else None
        self.kernels = [_compiled(driver) for driver, _ in kernels_of(task)]
        estimate = task.estimate
        if estimate is not None:
            full = task.full_plan
            self.full_constants = (send(task.full_x), send(task.full_root_weight))
            self.full_plan = (
                send(task.start),
                send(full.options),
                send(np.ascontiguousarray(full.table)),
            )
            self.own_plan = (
                send(estimate.plan.options),
                send(np.ascontiguousarray(estimate.plan.table)),
            )


class _ChunkOfTask:
    """Memory for input and output of a task for the voxels of one chunk."""

    def __init__(self, shared: _TaskOnGpu, size: int) -> None:
        self.shared = shared
        task = shared.task
        n_extra = task.values.shape[1] - task.n_found
        self.found = _Pair((size, task.n_found), np.float64)
        self.extra = _Pair((size, n_extra), np.float64) if task.estimate is not None else None
        self.variation = _Pair((size,), np.float64)
        self.status = _Pair((size,), task.status.dtype)
        self.sigma = _Pair((size,), np.float64) if shared.sigma is None else None
        shape = (size, task.lower.shape[1])
        # Rows of bounds are views for the kernels, which read them many times.
        self.bounds = [_Pair(shape, np.float64, "C") for _ in range(2)] if task.fixed else []

    def send(self, start: int, n: int, stream: Any) -> None:
        """Send noise and bounds of the voxels, where these are maps."""
        task = self.shared.task
        if self.sigma is not None:
            self.sigma.host[:n] = task.noise(start, start + n)
            self.sigma.device.copy_to_device(self.sigma.host, stream=stream)
        if self.bounds:
            for pair, values in zip(self.bounds, task.bounds(start, start + n), strict=True):
                pair.host[:n] = values
                pair.device.copy_to_device(pair.host, stream=stream)

    def compute(self, signals: Any, n: int, stream: Any) -> None:
        """Fit the first `n` voxels of the chunk."""
        shared = self.shared
        sigma = shared.sigma if self.sigma is None else self.sigma.device
        lower, upper = [pair.device for pair in self.bounds] or shared.bounds
        shape = (-(-max(n, 1) // _BLOCK), _BLOCK, stream)
        found, status = self.found.device, self.status.device
        shared.kernels[0][shape](
            n,
            *shared.constants,
            signals,
            sigma,
            lower,
            upper,
            *shared.plan,
            found,
            self.variation.device,
            status,
        )
        if self.extra is not None:
            shared.kernels[1][shape](
                n,
                *shared.full_constants,
                signals,
                sigma,
                lower,
                upper,
                *shared.full_plan,
                found,
                status,
                *shared.own_plan,
                self.extra.device,
            )

    def fetch(self, stream: Any) -> None:
        """Send the result back."""
        for result in (self.found, self.extra, self.variation, self.status):
            if result is not None:
                result.device.copy_to_host(result.host, stream=stream)

    def store(self, start: int, n: int) -> None:
        """Move the result to its rows."""
        task = self.shared.task
        stop = start + n
        task.values[start:stop, : task.n_found] = self.found.host[:n]
        if self.extra is not None:
            task.values[start:stop, task.n_found :] = self.extra.host[:n]
        task.variation[start:stop] = self.variation.host[:n]
        task.status[start:stop] = self.status.host[:n]


class Slot:
    """Memory for one chunk, and the stream in which it is worked on."""

    def __init__(self, gpu: Gpu, size: int, n_b: int, real: Any) -> None:
        self.stream = cuda.stream()
        self.signals = _Pair((size, n_b), real)
        self.tasks = [_ChunkOfTask(task, size) for task in gpu.tasks]
        self.busy: tuple[int, int] | None = None

    def launch(self, start: int, n: int) -> None:
        """Start the chunk in the memory of the host, without waiting for the GPU."""
        self.busy = start, n
        self.signals.device.copy_to_device(self.signals.host, stream=self.stream)
        for task in self.tasks:
            task.send(start, n, self.stream)
            task.compute(self.signals.device, n, self.stream)
            task.fetch(self.stream)

    def finish(self) -> int:
        """Wait for the chunk and store its result; return the number of voxels."""
        if self.busy is None:
            return 0
        start, n = self.busy
        self.busy = None
        self.stream.synchronize()
        for task in self.tasks:
            task.store(start, n)
        return n


class Gpu:
    """One GPU with its share of the work.

    Parameters
    ----------
    number : int
        Its number.
    prepared : sequence of Prepared
        The tasks.
    n_b : int
        Number of values per voxel.
    total : int
        Number of voxels.
    real : type
        Type of the signals on the GPU.
    """

    def __init__(
        self, number: int, prepared: Sequence[Prepared], n_b: int, total: int, real: Any
    ) -> None:
        self.number = number
        with self.chosen():
            self.tasks = [_TaskOnGpu(task) for task in prepared]
            self.chunk = self._chunk_size(prepared, n_b, total, real)
            slots = min(_N_SLOTS, -(-total // self.chunk))
            self.slots = [Slot(self, self.chunk, n_b, real) for _ in range(slots)]
            # Compile in the calling thread: other threads would be waited for.
            self.slots[0].launch(0, 0)
            self.slots[0].finish()

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Use this GPU, and raise errors of CUDA as `DeviceError`."""
        try:
            with cuda.gpus[self.number]:
                yield
        except _refusals() as error:
            text = str(error).strip().splitlines()
            raise DeviceError(
                f"GPU {self.number} refused: {text[0] if text else type(error).__name__}; "
                "use device cpu, or fewer voxels at a time"
            ) from error

    def _chunk_size(self, prepared: Sequence[Prepared], n_b: int, total: int, real: Any) -> int:
        """Return the number of voxels of a chunk; raise if the memory is too small."""
        context = cuda.current_context()
        free = context.get_memory_info().free
        scratch = max(size for task in prepared for _, size in kernels_of(task))
        per_voxel = np.dtype(real).itemsize * n_b + sum(
            8 * (task.values.shape[1] + 2)
            + 8 * (task.sigma.size > 1)
            + (16 * task.lower.shape[1] if task.fixed else 0)
            for task in prepared
        )
        reserved = scratch * _resident_threads(context.device)
        smallest = min(total, _MIN_CHUNK)
        if scratch > _MAX_SCRATCH or (
            reserved + _N_SLOTS * smallest * per_voxel > _MAX_MEMORY_SHARE * free
        ):
            raise DeviceError(
                f"GPU {self.number} has {free / 2**20:.0f} MiB free, and this fit needs "
                f"{scratch / 2**10:.0f} KiB of scratch for each of its threads "
                f"({reserved / 2**20:.0f} MiB; {_MAX_SCRATCH >> 10} KiB at most). Use device "
                "cpu, or a simpler method or uncertainty"
            )
        room = min(_MAX_CHUNK_SHARE * free, _MAX_MEMORY_SHARE * free - reserved)
        fits = min(room / (_N_SLOTS * per_voxel), _MAX_CHUNK)
        return max(min(int(fits), max(-(-total // _N_CHUNKS), _MIN_CHUNK), total), 1)

    def work(
        self,
        take: Callable[[int], tuple[int, int] | None],
        read: Callable[[int, int, NDArray[Any]], None],
        report: Callable[[int], None],
    ) -> None:
        """Compute chunks until all are done.

        Parameters
        ----------
        take : callable
            ``take(size)`` returns the first voxel of the next chunk and its number of voxels.
        read : callable
            ``read(start, stop, out)`` writes signals to the rows of `out`.
        report : callable
            Called with the number of voxels of every chunk that is done.
        """
        with self.chosen():
            free, running = deque(self.slots), deque[Slot]()
            while (chunk := take(self.chunk)) is not None:
                start, n = chunk
                if not free:
                    slot = running.popleft()
                    report(slot.finish())
                    free.append(slot)
                slot = free.popleft()
                read(start, start + n, slot.signals.host[:n])
                slot.launch(start, n)
                running.append(slot)
            for slot in running:
                report(slot.finish())


def _resident_threads(device: Any) -> int:
    """Return the number of threads for which a GPU reserves scratch; 0 in the simulator."""
    if _config.ENABLE_CUDASIM:
        return 0
    return int(device.MULTIPROCESSOR_COUNT * device.MAX_THREADS_PER_MULTI_PROCESSOR)


def _refusals() -> tuple[type[Exception], ...]:
    """Return the exceptions of numba when CUDA fails; none in the simulator."""
    if _config.ENABLE_CUDASIM:
        return ()
    from numba.cuda.cudadrv import error

    return (error.CudaDriverError, error.CudaRuntimeError, error.CudaSupportError, error.NvvmError)


class _Shares:
    """Chunks of the voxels, handed out to all GPUs."""

    def __init__(self, total: int) -> None:
        self._next, self._total = 0, total
        self._lock = threading.Lock()

    def take(self, size: int) -> tuple[int, int] | None:
        """Return where the next chunk starts and its number of voxels; None at the end."""
        with self._lock:
            start = self._next
            n = min(size, self._total - start)
            self._next += n
        return (start, n) if n > 0 else None

    def stop(self) -> None:
        """Hand out no more chunks."""
        with self._lock:
            self._next = self._total


def run_on_gpus(
    numbers: Sequence[int],
    reader: Reader,
    x: NDArray[np.float64],
    tasks: Sequence[Task],
    n_threads: int,
    precision: str,
    progress: Progress | None,
) -> list[tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]]:
    """Fit all voxels of a reader on GPUs; see `ivimkit.engine.run`.

    Parameters
    ----------
    numbers : sequence of int
        Numbers of the GPUs; a chunk goes to whichever is free.
    reader, x, tasks, precision, progress
        As for `ivimkit.engine.run`.
    n_threads : int
        Number of threads that read.

    Returns
    -------
    list of tuple
        As `ivimkit.engine.run`.

    Raises
    ------
    DeviceError
        If a GPU has too little memory, or CUDA fails.
    """
    total = len(reader.index)
    real = np.dtype(precision).type
    prepared = [Prepared(task, x, total, precision, "F") for task in tasks]
    if total == 0:
        return [task.result for task in prepared]
    gpus = [Gpu(number, prepared, x.shape[1], total, real) for number in numbers]
    shares = _Shares(total)
    reports: SimpleQueue[int | None] = SimpleQueue()
    with ThreadPoolExecutor(n_threads) as readers, ThreadPoolExecutor(len(gpus)) as pool:

        def read(start: int, stop: int, out: NDArray[Any]) -> None:
            part = -(-(stop - start) // n_threads)
            starts = range(start, stop, part)
            ends = [min(first + part, stop) for first in starts]
            pieces = [out[i - start : k - start] for i, k in zip(starts, ends, strict=True)]
            for _ in readers.map(reader.read, starts, ends, pieces):
                pass

        def work(gpu: Gpu) -> None:
            try:
                gpu.work(shares.take, read, reports.put)
            finally:
                # If this one failed, the result of the others is of no use either.
                shares.stop()
                reports.put(None)

        futures = [pool.submit(work, gpu) for gpu in gpus]
        done, running = 0, len(gpus)
        try:
            while running:
                report = reports.get()
                running -= report is None
                done += report or 0
                if report and progress is not None:
                    progress(done, total)
        except BaseException:
            shares.stop()
            raise
        for future in futures:
            future.result()
    return [task.result for task in prepared]
