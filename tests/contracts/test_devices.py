"""Every kind of model x method and every estimator on a GPU: the simulated one, and the processor.

The simulator of numba runs the drivers of the GPU as Python, a thread of the host for each thread
of the GPU. It has to be chosen before numba is imported, and so runs in a process of its own.
"""

import json
import os
import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import uncertainty
from ivimkit.engine import evaluate
from ivimkit.status import FitStatus
from plugins import LARGE, PAIRS, kinds, protocol, typical
from tolerances import SAME_ON_GPU, SAME_POSTERIOR, SINGLE_PRECISION

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed: pip install ivimkit[cuda]")

# Five voxels in chunks of two: more chunks than the GPU has room for, and the last one smaller.
N = 5

SIMULATED = """
import json, sys
import ivimkit as ik
from ivimkit.engine import cuda, place
cuda._MIN_CHUNK = cuda._N_SLOTS = cuda._BLOCK = 2
place.AUTO_VOXELS = 5
jobs = json.load(sys.stdin)
for job in jobs:
    seen = []
    result = ik.fit(
        ik.DWI(job["signal"], job["b"], value_weights=job["value_weights"]),
        model=ik.models.get(job["model"]).with_fixed(**job["fixed"]),
        method=ik.methods.get(job["method"], **job["options"]),
        uncertainty=job["uncertainty"] and ik.uncertainty.get(
            job["uncertainty"][0], **job["uncertainty"][1]
        ),
        sigma=job["sigma"],
        device=job["device"],
        precision=job["precision"],
        progress=lambda done, total: seen.append([done, total]),
    )
    job["maps"] = {name: values.tolist() for name, values in result.maps.items()}
    job["status"], job["where"] = result.status.tolist(), result.provenance.device
    job["seen"] = seen
errors = []
def refused(**options):
    try:
        ik.fit(jobs[0]["signal"], jobs[0]["b"], device="cuda", **options)
    except ik.errors.DeviceError as error:
        errors.append(str(error))
refused(uncertainty=ik.uncertainty.Bootstrap(n=20_000))
cuda._refusals = lambda: (MemoryError,)
cuda.Slot.launch = lambda *_: exec("raise MemoryError('CUDA_ERROR_OUT_OF_MEMORY')")
refused()
print(json.dumps({"jobs": jobs, "errors": errors}))
"""

# Options with which an estimator takes less of the simulator's time.
_QUICK = {"bootstrap": {"n": 40}, "profile": {"parameters": ("D",)}}


def signals(model):
    """Signals of typical tissue with noise, and one that cannot be fitted."""
    rng = np.random.default_rng(5)
    made = evaluate(model, typical(model, N, seed=6), protocol(model))
    made += rng.normal(0, LARGE / 40, made.shape)
    made[2] = np.nan
    return made


def job(model, method, **more):
    signal = signals(model)
    # A voxel of a posterior, a spectrum or 40 refits takes the simulator most of a second: one of
    # the last chunk. Of a generic model two voxels take as long.
    if ik.methods.get(method.name).learns or more.get("uncertainty", [""])[0] == "bootstrap":
        signal[:-1] = np.nan
    elif model.two_decays() is None:
        signal[1:-1] = np.nan
    return {
        "model": model.name,
        "method": method.name,
        "options": method.options(),
        "b": protocol(model).tolist(),
        "signal": signal.tolist(),
        "fixed": {},
        "uncertainty": None,
        "sigma": None,
        "value_weights": None,
        "device": "cuda",
        "precision": "float64",
        **more,
    }


def jobs():
    """One fit per pair, one per estimator, and one of each kind of argument: how to make each."""
    for pair in kinds(PAIRS):
        model, method = pair.values
        if not method.takes_gpu(model):
            continue
        yield f"{pair.id}", partial(job, model, method)
        if method.takes_float32(model):
            yield f"{pair.id}-float32", partial(job, model, method, precision="float32")
    biexp, varpro = ik.models.get("biexp"), ik.methods.get("varpro")
    for name in uncertainty.names():
        yield name, partial(job, biexp, varpro, uncertainty=[name, _QUICK.get(name, {})])
    yield "maps", _with_maps
    yield "auto", partial(job, biexp, varpro, device="auto")
    yield "weights", _with_weights
    yield "means", _of_repeats


def _with_maps():
    biexp = ik.models.get("biexp")
    own = typical(biexp, N, seed=6)[:, biexp.index("D")]
    noise = np.linspace(20.0, 30.0, N).tolist()
    more = {"sigma": noise, "uncertainty": ["curvature", {}]}
    return job(biexp, ik.methods.get("varpro"), fixed={"D": own.tolist()}, **more)


def _with_weights():
    biexp = ik.models.get("biexp")
    weights = np.ones((N, protocol(biexp).size))
    weights[1, 3] = weights[4, -1] = 0.0
    weights[4, 2] = 0.5
    return job(biexp, ik.methods.get("varpro"), value_weights=weights.tolist())


def _of_repeats():
    biexp = ik.models.get("biexp")
    b = protocol(biexp)
    again = signals(biexp) + 0.01 * LARGE * np.cos(np.arange(b.size))
    twice = np.hstack([signals(biexp), again])
    rician = ik.methods.get("varpro", noise="rician")
    return job(biexp, rician, b=[*b, *b], signal=twice.tolist())


# Made when they are needed: every process of pytest collects this file.
JOBS = dict(jobs())


@pytest.fixture(scope="module")
def simulated():
    """All jobs by name, what the simulator made of them in one process, and its errors."""
    wanted = {name: make() for name, make in JOBS.items()}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SIMULATED],
        input=json.dumps(list(wanted.values())),
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "NUMBA_ENABLE_CUDASIM": "1",
            "NUMBA_DISABLE_JIT": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return wanted, dict(zip(wanted, found["jobs"], strict=True)), found["errors"]


@pytest.mark.parametrize("name", JOBS)
def test_the_gpu_gives_what_the_processor_gives(simulated, name):
    wanted, found = (jobs[name] for jobs in simulated[:2])
    estimator = wanted["uncertainty"]
    result = ik.fit(
        ik.DWI(wanted["signal"], wanted["b"], value_weights=wanted["value_weights"]),
        model=ik.models.get(wanted["model"]).with_fixed(**wanted["fixed"]),
        method=ik.methods.get(wanted["method"], **wanted["options"]),
        uncertainty=estimator and ik.uncertainty.get(estimator[0], **estimator[1]),
        sigma=wanted["sigma"],
        device="cpu",
    )
    assert found["status"] == result.status.tolist()
    assert found["status"][2] == FitStatus.NON_FINITE
    assert found["where"] == "cuda:0 (simulator)"
    # Voxels of the same weights are done together: three of them, then one after the other.
    in_groups = [[3, N], [4, N], [N, N]]
    assert found["seen"] == (in_groups if name == "weights" else [[2, N], [4, N], [N, N]])
    assert set(found["maps"]) == set(result.maps)
    single = wanted["precision"] == "float32"
    differs = 0
    for key, values in result.maps.items():
        if single and key == "n_iter":
            continue
        rtol = SINGLE_PRECISION if single else SAME_ON_GPU
        if wanted["method"] == "bayes":  # It sums in single precision.
            rtol = SAME_POSTERIOR
        np.testing.assert_allclose(found["maps"][key], values, rtol=rtol, atol=1e-300, err_msg=key)
        differs += int((np.array(found["maps"][key]) != values)[~np.isnan(values)].any())
    # Not the same numbers by another way round: what is said to be float32 is.
    assert differs > 0 or not single


def test_what_a_gpu_cannot_do_is_said_in_words(simulated):
    scratch, memory = simulated[2]
    assert re.fullmatch(
        r"GPU 0 has inf MiB free, and this fit needs \d+ KiB of scratch for each of its threads "
        r"\(.*; 512 KiB at most\)\. Use device cpu, or a simpler method or uncertainty",
        scratch,
    )
    assert memory == (
        "GPU 0 refused: CUDA_ERROR_OUT_OF_MEMORY; use device cpu, or fewer voxels at a time"
    )
