"""GPU code: compiler statistics of the kernels, available even without a GPU."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import simulated
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table
from ivimkit.engine import PRECISIONS, Task
from ivimkit.engine.task import Prepared

_CAPABILITY = (9, 0)
_METHODS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("varpro", "varpro", {}),
    ("segmented", "segmented", {}),
    ("trr", "trr", {}),
    ("loglinear", "loglinear", {}),
    ("varpro, Rician", "varpro", {"noise": "rician"}),
    ("bayes", "bayes", {"prior": "flat", "variance": "voxel"}),
)
_ARITHMETIC = r"\b(?:add|sub|mul|fma|div|sqrt|rcp)(?:\.\w+)*\.{kind}\b"
_ABSENT = (
    "There is no compiler for GPUs here: pip install ivimkit[cuda13] nvidia-cuda-nvcc installs "
    "numba-cuda and ptxas."
)


def measure(settings: Settings) -> Findings:
    """Compile every method, count its instructions, and let ptxas report resources per thread."""
    if importlib.util.find_spec("numba_cuda") is None or _path_of_ptxas() is None:
        return Findings(conditions={"compiler": "none"}, checked="nothing.", notes=[_ABSENT])
    rows = [row for method in _METHODS for row in _rows(*method)]
    return Findings(
        conditions={
            "kernels": "biexp, 21 b-values",
            "compilers": f"numba-cuda {_version()}, {_ptxas('--version').splitlines()[-1]}",
            "capability": ".".join(map(str, _CAPABILITY)),
        },
        checked="each compiles to one kernel. Nothing is run.",
        tables=[
            Table(
                "What a thread takes, and what its code computes in",
                [
                    Column("method"),
                    Column("precision"),
                    Column("local memory, bytes", "{:d}"),
                    Column("registers", "{:d}"),
                    Column("spilled, bytes", "{:d}"),
                    Column("float64 instructions", "{:d}"),
                    Column("float32 instructions", "{:d}"),
                ],
                rows,
            )
        ],
        notes=["Instructions are counted once each, not as often as they run."],
    )


def _rows(label: str, method: str, options: dict[str, Any]) -> list[list[Cell]]:
    chosen = ik.methods.get(method, **options)
    biexp = ik.models.get("biexp")
    precisions = PRECISIONS if chosen.takes_float32(biexp) else PRECISIONS[:1]
    task = Task(biexp, chosen, np.ones(21))
    return [_row(label, task, precision) for precision in precisions]


def _row(label: str, task: Task, precision: str) -> list[Cell]:
    text = _assembly(task, precision)
    if text.count(".visible .entry") != 1:
        raise AssertionError(f"{label} in {precision} is not one kernel")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(text)
        # A file that numba-cuda links is missing: only objects are built.
        said = _ptxas("-v", "-c", "-arch", "sm_90", "-o", f"{folder}/kernel.o", str(source))
    found = {
        name: int(match.group(1)) if (match := re.search(pattern, said)) else 0
        for name, pattern in (
            ("local", r"(\d+) bytes stack frame"),
            ("spilled", r"(\d+) bytes spill stores"),
            ("registers", r"Used (\d+) registers"),
        )
    }
    counts = [len(re.findall(_ARITHMETIC.format(kind=kind), text)) for kind in ("f64", "f32")]
    return [
        label, precision, found["local"], found["registers"], found["spilled"], *counts
    ]  # fmt: skip


def _assembly(task: Task, precision: str) -> str:
    """Return the kernel of a task in the assembly language of GPUs."""
    data = simulated("b21", 50, 1)
    padded = np.zeros(-(-data.bvals.size // 8) * 8)
    padded[: data.bvals.size] = data.bvals
    prepared = Prepared(task, padded[np.newaxis], 10, precision, "F")
    kernel, _ = importlib.import_module("ivimkit.engine.cuda").kernels_of(prepared)[-1]
    dispatcher = importlib.import_module("numba.cuda.dispatcher")
    before = dispatcher.get_current_device
    # numba uses the GPU present as the target for called functions.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=_CAPABILITY)
    try:
        cuda: Any = importlib.import_module("numba.cuda")
        text, _ = cuda.compile_ptx(kernel, _types(prepared, precision), cc=_CAPABILITY)
    finally:
        dispatcher.get_current_device = before
    return str(text)


def _types(prepared: Prepared, precision: str) -> tuple[Any, ...]:
    """Return the types of the arrays that the engine passes."""
    data = {"float64": numba.float64, "float32": numba.float32}[precision]
    real = numba.from_dtype(np.dtype(prepared.real))
    line, rows = numba.float64[::1], numba.float64[:, ::1]
    signals, out = numba.types.Array(data, 2, "F"), numba.types.Array(numba.float64, 2, "F")
    own = (real[:, ::1], real[::1], signals, line, rows, rows, rows, line, real[:, ::1])
    return (numba.int64, *own, out, line, numba.int32[::1])


def _version() -> str:
    return str(importlib.import_module("numba_cuda").__version__)


def _path_of_ptxas() -> str | None:
    """Return ptxas of the wheel, which matches numba-cuda's compiler, or the one on the path."""
    try:
        files = importlib.metadata.files("nvidia-cuda-nvcc") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    ours = [str(file.locate()) for file in files if file.name == "ptxas"]
    return ours[0] if ours else shutil.which("ptxas")


def _ptxas(*arguments: str) -> str:
    command = [str(_path_of_ptxas()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ptxas: {done.stderr or done.stdout}")
    return done.stdout + done.stderr


FIGURE = Figure(
    order=22,
    name="gpu_code",
    title="GPU: what the compiler makes of the kernels",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
