"""The real thing: an NVIDIA GPU gives what the processor gives. ``pytest -m gpu`` runs this alone.

Statuses may differ where a voxel stands on the edge of one: the shares that may are named here.
"""

import importlib

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.engine import AUTO_VOXELS, evaluate
from ivimkit.errors import DeviceError
from plugins import LARGE, PAIRS, PROTOCOLS, protocol, typical
from tolerances import SAME_ON_GPU, SINGLE_PRECISION

B = PROTOCOLS["b21"]
N = 3000
# Voxels on an edge: of an optimum, a bound or what counts as seen.
EDGES = 2e-3
SINGLE_EDGES = 1e-2


def n_gpus():
    """Number of GPUs that numba can use here."""
    if importlib.util.find_spec("numba_cuda") is None:
        return 0
    cuda = importlib.import_module("numba.cuda")
    return len(cuda.gpus) if cuda.is_available() else 0


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(n_gpus() == 0, reason="there is no NVIDIA GPU here, or no numba-cuda"),
]


def signals(model, n=N, snr=50.0):
    rng = np.random.default_rng(7)
    made = evaluate(model, typical(model, n, seed=8), protocol(model, "b21"))
    made = made + rng.normal(0.0, LARGE / snr, made.shape)
    made[::97] = np.nan
    made[1::97] = 0.0
    return made


def assert_close(found, wanted, rtol, edges):
    """Same status but for a share, and the same numbers where there is nothing to report."""
    same = found.status == wanted.status
    assert same.mean() >= 1.0 - edges
    clear = same & (wanted.status == 0)
    for name in set(wanted.maps) - {"n_iter"}:
        first, second = found.maps[name][clear], wanted.maps[name][clear]
        far = ~np.isclose(first, second, rtol=rtol, atol=0.0, equal_nan=True)
        assert far.mean() <= edges, f"{name}: {far.sum()} of {far.size} voxels"


@pytest.mark.parametrize(("model", "method"), PAIRS)
def test_float64_agrees(model, method):
    data, b = signals(model), protocol(model, "b21")
    wanted = ik.fit(data, b, model=model, method=method, device="cpu")
    found = ik.fit(data, b, model=model, method=method, device="cuda")
    assert found.provenance.device.startswith("cuda:0 (")
    assert_close(found, wanted, SAME_ON_GPU, EDGES)


@pytest.mark.parametrize(("model", "method"), PAIRS)
def test_float32_agrees(model, method):
    data, b = signals(model), protocol(model, "b21")
    wanted = ik.fit(data, b, model=model, method=method, device="cpu")
    found = ik.fit(data, b, model=model, method=method, device="cuda", precision="float32")
    assert_close(found, wanted, SINGLE_PRECISION, SINGLE_EDGES)


@pytest.mark.parametrize("name", ik.uncertainty.names())
def test_estimators_agree(name):
    model = ik.models.get("biexp")
    data = signals(model, 500)
    wanted = ik.fit(data, B, uncertainty=name, device="cpu")
    found = ik.fit(data, B, uncertainty=name, device="cuda")
    # Limits of a profile are found to 3e-4 of the way, by another path after any rounding.
    assert_close(found, wanted, 1e-3 if name == "profile" else 1e-6, 2e-2)


def test_chunks_and_slots_do_not_matter(monkeypatch):
    model = ik.models.get("biexp")
    data, noise = signals(model, 10_000), np.linspace(15.0, 25.0, 10_000)
    own = typical(model, 10_000, seed=8)[:, model.index("D")]
    fixed, cuda = model.with_fixed(D=own), importlib.import_module("ivimkit.engine.cuda")
    options = {"sigma": noise, "uncertainty": "curvature", "device": "cuda"}
    whole = ik.fit(data, B, model=fixed, **options)
    monkeypatch.setattr(cuda, "_MIN_CHUNK", 700)
    monkeypatch.setattr(cuda, "_MAX_CHUNK", 700)
    seen = []
    parts = ik.fit(data, B, model=fixed, progress=lambda *now: seen.append(now), **options)
    assert seen[-1] == (10_000, 10_000)
    assert len(seen) == 15
    np.testing.assert_array_equal(parts.status, whole.status)
    for name, values in whole.maps.items():
        np.testing.assert_array_equal(parts.maps[name], values, err_msg=name)


def test_a_second_fit_gives_the_same_bits():
    data = signals(ik.models.get("biexp"))
    first, second = (ik.fit(data, B, device="cuda") for _ in range(2))
    for name, values in first.maps.items():
        np.testing.assert_array_equal(second.maps[name], values, err_msg=name)


def test_several_gpus_share_the_voxels():
    if n_gpus() < 2:
        pytest.skip("there is one GPU only")
    data = signals(ik.models.get("biexp"), 200_000)
    one, two = (ik.fit(data, B, device=device) for device in ("cuda:1", "cuda:0,1"))
    assert two.provenance.device.startswith("cuda:0,1 (")
    for name, values in one.maps.items():
        np.testing.assert_array_equal(two.maps[name], values, err_msg=name)


def test_auto_takes_the_gpu_for_a_volume():
    data = signals(ik.models.get("monoexp"), 100)
    few = ik.fit(data, B, model="monoexp", method="loglinear")
    many = np.tile(data, (AUTO_VOXELS // 100, 1))
    volume = ik.fit(many, B, model="monoexp", method="loglinear")
    assert few.provenance.device == "cpu"
    assert volume.provenance.device.startswith("cuda:0 (")


def test_too_much_scratch_is_an_error_and_not_a_crash():
    bootstrap = ik.uncertainty.Bootstrap(n=20_000)
    data = signals(ik.models.get("biexp"), 10)
    with pytest.raises(DeviceError, match=r"KiB of scratch for each of its threads.* device cpu"):
        ik.fit(data, B, uncertainty=bootstrap, device="cuda")


def test_a_gpu_that_is_not_there():
    with pytest.raises(DeviceError, match="there is no GPU 99; this machine has"):
        ik.fit(signals(ik.models.get("biexp"), 10), B, device="cuda:99")
