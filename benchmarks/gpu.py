"""GPU: voxels per second, with data already on the GPU and for a volume in memory."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import DataSet, simulated
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from ivimkit.engine import PRECISIONS, Task, default_threads, run
from ivimkit.engine.task import Prepared
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI

# 256 x 256 x 54, the volume of the command line's benchmark, too.
_VOLUME = 256 * 256 * 54
_RESIDENT = 1 << 18
_CHECKED = 20_000
_REPEATS = 10
_PAIRS = (("varpro", "biexp"), ("trr", "biexp"), ("segmented", "biexp"), ("bayes", "biexp"))
_AGREE = {"float64": 1e-9, "float32": 1e-3}
_ENOUGH = 0.99
_LEAST, _AIM, _SECONDS = 50e6, 200e6, 0.5
_NO_GPU = "There is no NVIDIA GPU here, or no numba-cuda: nothing was measured."


def measure(settings: Settings) -> Findings:
    """Time the kernels alone, and a whole volume end to end; report if there is no GPU."""
    cuda = _cuda()
    if cuda is None:
        return _nothing()
    data = simulated("b21", 50, min(settings.size(_RESIDENT), _RESIDENT))
    volume = _tiled(data, settings.size(_VOLUME))
    rows = [
        _resident(cuda, method, model, precision, data)
        for method, model in _PAIRS
        for precision in PRECISIONS
    ]
    whole = {precision: _whole(volume, data.bvals, precision) for precision in PRECISIONS}
    varpro, seconds = rows[0][2], whole["float64"][0]
    enough = volume.shape[0] >= _VOLUME
    assert isinstance(varpro, float)
    return Findings(
        conditions={
            "GPU": str(getattr(cuda.get_current_device(), "name", "simulator")),
            "data": f"{data.name}; resident: {data.signal.shape[0]} voxels on the GPU; the "
            f"volume: {volume.shape[0]} voxels of float32 in memory",
            "threads": f"{default_threads()}, which read the volume",
            "state": f"warm (compiled), best of {_REPEATS} and of three",
        },
        checked=f"every method against the processor, whose answers other figures check, on "
        f"{_CHECKED} voxels: the column shows in how many status and parameters agree, to "
        f"{_AGREE['float64']} relative (float32: {_AGREE['float32']}); below "
        f"{100 * _ENOUGH:g} % nothing is reported.",
        tables=[
            Table(
                "Data resident: kernels alone",
                [
                    Column("method, model"),
                    Column("precision"),
                    Column("voxels/s", "{:,.0f}"),
                    Column("agree, %", "{:.2f}"),
                    Column("registers", "{:d}"),
                    Column("local memory, bytes", "{:d}"),
                ],
                rows,
            ),
            Table(
                f"varpro, {volume.shape[0]} voxels, with transfers",
                [
                    Column("precision"),
                    Column("engine, s", "{:.3f}"),
                    Column("`ik.fit`, s", "{:.3f}"),
                ],
                [[precision, *pair] for precision, pair in whole.items()],
            ),
        ],
        targets=[
            Target(
                f"varpro, b21, float64, data resident: ≥ {_LEAST:,.0f} voxels/s (aim {_AIM:,.0f})",
                f"{varpro:,.0f}",
                varpro >= _LEAST,
            ),
            Target(
                f"{_VOLUME:,} voxels in ≤ {_SECONDS} s with transfers",
                f"{seconds:.3f} s in the engine" if enough else "fewer voxels were requested",
                seconds <= _SECONDS if enough else None,
            ),
        ],
        notes=[
            "Resident is the time of the fit kernel, from launch to end, with signals and space "
            "for the result on the GPU. The time of the engine includes reading, both transfers, "
            "fit and storing; `ik.fit` adds the ADC, residuals and the result object.",
        ],
    )


def _cuda() -> Any:
    """Return numba's CUDA module, if it is available and has a GPU."""
    if importlib.util.find_spec("numba_cuda") is None:
        return None
    cuda: Any = importlib.import_module("numba.cuda")
    return cuda if cuda.is_available() else None


def _nothing() -> Findings:
    return Findings(
        conditions={"GPU": "none"},
        checked="nothing.",
        tables=[],
        targets=[
            Target(
                f"varpro, b21, float64, data resident: ≥ {_LEAST:,.0f} voxels/s", "no GPU", None
            ),
            Target(f"{_VOLUME:,} voxels in ≤ {_SECONDS} s with transfers", "no GPU", None),
        ],
        notes=[_NO_GPU],
    )


def _tiled(data: DataSet, n: int) -> NDArray[np.float32]:
    return np.tile(data.signal.astype(np.float32), (-(-n // data.signal.shape[0]), 1))[:n]


def _task(method: str, model: str, counts: NDArray[np.float64]) -> Task:
    options = {"prior": "flat", "variance": "voxel"} if method == "bayes" else {}
    return Task(ik.models.get(model), ik.methods.get(method, **options), counts)


def _resident(cuda: Any, method: str, model: str, precision: str, data: DataSet) -> list[Cell]:
    """Return the speed of the kernel of one method, and its resources per thread."""
    engine = importlib.import_module("ivimkit.engine.cuda")
    dwi = DWI(data.signal, Acquisition(data.bvals))
    task = _task(method, model, dwi.fit_counts)
    few = data.first(min(_CHECKED, data.signal.shape[0]))
    agreed = _agreement(task, few, precision)
    n = data.signal.shape[0]
    prepared = Prepared(task, dwi.fit_bvals[np.newaxis], n, precision, "F")
    gpu = engine.Gpu(0, [prepared], dwi.fit_bvals.size, n, np.dtype(precision).type)
    with gpu.chosen():
        slot, size = gpu.slots[0], min(gpu.chunk, n)
        dwi.voxels().read(0, size, slot.signals.host[:size])
        slot.signals.device.copy_to_device(slot.signals.host, stream=slot.stream)
        room = slot.tasks[0]

        def compute() -> None:
            room.compute(slot.signals.device, size, slot.stream)
            slot.stream.synchronize()

        seconds = _best(compute, _REPEATS)
        kernel = room.shared.kernels[0]
        return [
            f"{method}, {model}",
            precision,
            size / seconds,
            100 * agreed,
            _first(kernel, "get_regs_per_thread"),
            _first(kernel, "get_local_mem_per_thread"),
        ]


def _agreement(task: Task, data: DataSet, precision: str) -> float:
    """Return the fraction of voxels in which GPU and processor agree; raise if it is low."""
    options: dict[str, Any] = {"model": task.model, "method": task.method}
    here = ik.fit(data.signal, data.bvals, device="cpu", **options)
    there = ik.fit(data.signal, data.bvals, device="cuda", precision=precision, **options)
    close = np.isclose(there.params, here.params, rtol=_AGREE[precision], atol=0, equal_nan=True)
    share = float(((there.status == here.status) & close.all(axis=1)).mean())
    assert share >= _ENOUGH, f"{task.method.name}, {precision}: only {share:.1%} of voxels agree"
    return share


def _first(kernel: Any, ask: str) -> int | None:
    """Return the properties of the only compiled form of a kernel; none from the simulator."""
    if not hasattr(kernel, ask):
        return None
    return int(next(iter(getattr(kernel, ask)().values())))


def _whole(
    volume: NDArray[np.float32], bvals: NDArray[np.float64], precision: str
) -> tuple[float, float]:
    """Return the seconds that the engine, and that `ik.fit`, takes for a volume."""
    dwi = DWI(volume, Acquisition(bvals))
    task = _task("varpro", "biexp", dwi.fit_counts)
    options: dict[str, Any] = {"device": "cuda", "precision": precision}
    engine = _best(lambda: run(dwi.voxels(), dwi.fit_bvals[np.newaxis], [task], **options), 3)
    return engine, _best(lambda: ik.fit(dwi, **options), 3)


def _best(work: Callable[[], object], repeats: int) -> float:
    """Return the shortest of several times, after a run that compiles and warms up."""
    work()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


FIGURE = Figure(
    order=9,
    name="gpu",
    title="Speed: voxels per second of a GPU",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
