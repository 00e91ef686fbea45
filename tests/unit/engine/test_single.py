"""single: loops in float32 out of the source of float64, and how far their numbers are apart."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.engine import evaluate
from ivimkit.engine.single import in_single
from ivimkit.kernels import exponential, precision
from ivimkit.kernels.two_decays import descent
from plugins import LARGE, PAIRS, PROTOCOLS, typical
from tolerances import SINGLE_PRECISION

B = PROTOCOLS["b21"]
N = 4000
# Voxels whose optimum, bound or visibility hangs on the last digits; measured: 1 of 20 000.
EDGES = 1e-3
SERVED = [pair for pair in PAIRS if pair.values[1].takes_float32(pair.values[0])]
# Of the models that are not two decays, tests/contracts/test_devices.py has one.
OTHERS = [
    pair
    for pair in PAIRS
    if not pair.values[1].takes_float32(pair.values[0]) and pair.values[0].two_decays()
]


def signals(model, n=N, snr=50.0):
    made = evaluate(model, typical(model, n, seed=11), B)
    return made + np.random.default_rng(12).normal(0.0, LARGE / snr, made.shape)


@pytest.mark.parametrize(("model", "method"), SERVED)
def test_float32_gives_the_numbers_of_float64_to_a_thousandth(model, method):
    data = signals(model)
    double, single = (
        ik.fit(data, B, model=model, method=method, device="cpu", precision=precision)
        for precision in ("float64", "float32")
    )
    assert (double.status != single.status).mean() <= EDGES
    clear = (double.status == 0) & (single.status == 0)
    assert clear.mean() > 0.9
    for name in (*model.names, "rmse", "ADC"):
        error = np.abs(single.maps[name][clear] / double.maps[name][clear] - 1.0)
        assert (error > SINGLE_PRECISION).mean() <= EDGES, f"{name}: {error.max()}"
    assert (single.params != double.params)[clear].any()


def test_a_rate_on_a_bound_that_float32_cannot_hold_is_on_it():
    # 0.002 is above 0.002 when it has been rounded to float32.
    data = signals(ik.models.get("biexp"), snr=10.0)
    double, single = (
        ik.fit(data, B, method="segmented", device="cpu", precision=precision)
        for precision in ("float64", "float32")
    )
    on_bound = double.maps["D_star"] == 0.002
    assert on_bound.sum() > 100
    assert (single.maps["D_star"][on_bound] == 0.002).all()
    np.testing.assert_array_equal(single.status, double.status)


@pytest.mark.parametrize(("model", "method"), OTHERS)
def test_what_needs_float64_is_computed_in_it(model, method):
    data = signals(model, 50)
    double, single = (
        ik.fit(data, B, model=model, method=method, device="cpu", precision=precision)
        for precision in ("float64", "float32")
    )
    np.testing.assert_array_equal(single.params, double.params)


def test_the_exponential_of_single_precision():
    kernel = precision.REPLACED_IN_SINGLE[exponential.exp]
    values = np.linspace(-43.0, 88.0, 100_001).astype(np.float32)
    found = np.array([kernel(value) for value in values[::100]])
    exact = np.exp(values[::100].astype(np.float64))
    assert np.abs(found / exact - 1.0).max() <= 2 * np.finfo(np.float32).eps
    assert kernel(np.float32(-1e30)) == kernel(np.float32(-43.0))


def test_a_function_without_loops_over_data_stays_itself():
    assert in_single(descent.descend) is not descent.descend
    assert in_single(descent.descend) is in_single(descent.descend)
    log = exponential.log
    assert in_single(log) is log
