"""cuda: the kernels compile for a GPU where there is none, and use what they are said to use."""

import importlib
import re
from types import SimpleNamespace

import numba
import numpy as np
import pytest

import ivimkit as ik
from ivimkit import methods
from ivimkit.engine.task import Prepared, Task
from plugins import GENERIC, PROTOCOLS, alone, pairs

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed: pip install ivimkit[cuda]")

B = PROTOCOLS["b21"]
# A kind of GPU that every version of the toolkit serves.
CAPABILITY = (8, 0)
BIEXP = ik.models.get("biexp")


@pytest.fixture(scope="module")
def ptx():
    """Return a function that compiles the last kernel of a task to the assembly of a GPU."""
    dispatcher = importlib.import_module("numba.cuda.dispatcher")
    try:
        numba.cuda.compile_ptx(nothing, (), cc=CAPABILITY)
    except Exception as error:  # noqa: BLE001  Each library that may lack has its own.
        pytest.skip(
            "there is no compiler for GPUs, which pip install ivimkit[cuda] brings: "
            f"{type(error).__name__}"
        )
    made = {}

    def _compile(task, precision="float64"):
        key = task.model.name, task.method, task.estimator, precision
        if key not in made:
            prepared = Prepared(task, B[np.newaxis], 10, precision, "F")
            kernels = importlib.import_module("ivimkit.engine.cuda").kernels_of(prepared)
            kernel, scratch = kernels[-1]
            signature = types_of(prepared, precision)
            text, _ = numba.cuda.compile_ptx(kernel, signature, cc=CAPABILITY)
            made[key] = text, scratch
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        # numba asks the GPU that is there what to compile called functions for.
        here = SimpleNamespace(compute_capability=CAPABILITY)
        patch.setattr(dispatcher, "get_current_device", lambda: here)
        yield _compile


def nothing():
    """Be the least that can be compiled."""


def types_of(prepared, precision):
    """Types of the arguments of the kernel, those of the arrays that the engine passes."""
    numbers = {"float64": numba.float64, "float32": numba.float32}
    data, real = numbers[precision], numba.from_dtype(np.dtype(prepared.real))
    line, rows = numba.float64[::1], numba.float64[:, ::1]
    signals, out = numba.types.Array(data, 2, "F"), numba.types.Array(numba.float64, 2, "F")
    start = numba.int64
    if prepared.estimate is None:
        own = (real[:, ::1], real[::1], signals, line, rows, rows, rows, line, real[:, ::1])
        return (start, *own, out, line, numba.int32[::1])
    common = (rows, line, signals, line, rows, rows, rows, line, rows)
    return (start, *common, out, numba.int32[::1], line, rows, out)


def task(model, method, estimator=None):
    return Task(model, method, np.ones(B.size), estimator=estimator)


def arithmetic(text, kind):
    """Number of instructions that compute in numbers of a kind."""
    return len(re.findall(rf"\b(?:add|sub|mul|fma|div|sqrt|rcp)(?:\.\w+)*\.{kind}\b", text))


TASKS = {
    **{method.name: task(model, method) for model, method in pairs() if model.two_decays()},
    GENERIC: task(ik.models.get(GENERIC), methods.get("varpro")),
    "rician": task(BIEXP, methods.get("varpro", noise="rician")),
    "means": task(
        BIEXP,
        methods.get("varpro", noise="rician").for_means(np.ones(B.size), np.full(B.size, 6.0)),
    ),
    "curvature": task(BIEXP, methods.get("varpro"), ik.uncertainty.get("curvature")),
}


@pytest.mark.parametrize("name", TASKS)
def test_kernels_compile_without_a_gpu(ptx, name):
    text, scratch = ptx(TASKS[name])
    assert text.count(".visible .entry") == 1
    # Nothing is called that is not there: no memory, no printing, no exception. A kernel that
    # links a file, as `reshape` is one, could not be kept on disk.
    assert re.findall(r"^\.extern \.func.*?(\w+)$", text, re.M) == []
    local = sum(int(size) for size in re.findall(r"\.local .*?\[(\d+)\]", text))
    assert local <= scratch + 1024
    assert arithmetic(text, "f64") > 100
    # Neither slow division of integers by floats nor powers sneaked in as calls of libdevice.
    assert arithmetic(text, "f32") < 100


def test_float32_computes_in_float32(ptx):
    varpro = task(BIEXP, alone("varpro"))
    (double, room), (single, half) = ptx(varpro), ptx(varpro, "float32")
    assert half < 0.6 * room
    # The passes over the b-values; the algebra of the steps stays in double precision.
    assert arithmetic(single, "f32") > 1000
    assert arithmetic(single, "f64") < arithmetic(double, "f64") - 500


def test_chunks_of_scratch_do_not_depend_on_small_changes_of_the_protocol():
    cuda = importlib.import_module("ivimkit.engine.cuda")
    kernels = set()
    for n in (17, 21, 32):
        one = Task(BIEXP, methods.get("varpro"), np.ones(n))
        prepared = Prepared(one, np.linspace(0.0, 800.0, n)[np.newaxis], 10)
        [(kernel, _)] = cuda.kernels_of(prepared)
        kernels.add(kernel.__qualname__)
    assert len(kernels) == 1
