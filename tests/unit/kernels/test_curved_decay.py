"""curved_decay: the least-squares curve of kurtosis and blood, against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

import ivimkit as ik
from ivimkit.engine import Task, run
from ivimkit.fitting.kurtosis_check import _MODEL, _WithKurtosis
from ivimkit.kernels.curved_decay import curved_decay_table
from ivimkit.status import FAILED, FitStatus

B = np.array([*ik.simulate.B21, 1250, 1500, 2000], dtype=float)
RATE = 0.02
# The steps end where one gains less than a hundredth of the cost.
MAX_EXCESS = 1.01


def fitted(signal, weight=None):
    weight = np.ones(B.size) if weight is None else weight
    dwi = ik.DWI(signal, B)
    task = Task(_MODEL, _WithKurtosis(), weight)
    [(values, status, _)] = run(dwi.voxels(), B[np.newaxis], [task], threads=1, device="cpu")
    return values, status


def noisy(model, params, n, sigma):
    clean = ik.simulate.signals(model, np.tile(params, (n, 1)), B)
    return clean + np.random.default_rng(5).normal(0.0, sigma, clean.shape)


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("kurtosis", [1000.0, 0.1, 0.03, 1.2e-3, 0.9]),
        ("kurtosis", [1000.0, 0.0, 0.03, 1.2e-3, 0.9]),
        ("biexp", [1000.0, 0.3, 0.02, 1.2e-3]),
        ("monoexp", [1000.0, 2e-3]),
    ],
)
def test_the_curve_is_the_least_squares_one(model, params):
    signal = noisy(model, params, 20, 20.0)
    weight = np.where(B == 0.0, 3.0, 1.0)
    values, status = fitted(signal, weight)
    assert not (status & int(FAILED)).any()
    names = _MODEL.names
    table = curved_decay_table(B, weight, RATE)

    def residual(z, row):
        curve = np.exp(z[0] + z[1] * table[0] + z[2] * table[0] ** 2) + z[3] * table[1]
        return np.sqrt(weight) * (row - curve)

    for row, found in zip(signal, values, strict=True):
        start = [np.log(row[0]), -1.2, 0.2, 0.05 * row[0]]
        bounds = ([-np.inf] * 3 + [0.0], np.inf)
        best = least_squares(residual, start, args=(row,), bounds=bounds, x_scale=[1, 1, 1, 100])
        assert found[len(names)] <= MAX_EXCESS * 2.0 * best.cost
        # The parameters are those of the cost: the model itself gives it.
        curve = ik.simulate.signals(_MODEL, found[: len(names)], B)
        cost = (weight * (row - curve) ** 2).sum()
        assert found[len(names)] == pytest.approx(cost, rel=1e-9)


def test_without_noise_the_truth_is_found():
    truth = [1000.0, 0.1, RATE, 1.2e-3, 0.9]
    values, _ = fitted(ik.simulate.signals("kurtosis", [truth], B))
    np.testing.assert_allclose(values[0, :5], truth, rtol=0.02)


def test_a_voxel_without_three_positive_signals_has_no_curve():
    signal = np.full((1, B.size), -1.0)
    signal[0, :2] = 5.0
    _, status = fitted(signal)
    assert status[0] & int(FitStatus.NOT_CONVERGED)


def test_the_start_is_taken_from_all_values_if_few_are_far():
    b = np.array([0.0, 20, 50, 80, 200, 500, 1200])
    assert curved_decay_table(b, np.ones(7), RATE)[2].tolist() == [1.0] * 7
    far = curved_decay_table(B, np.ones(B.size), RATE)[2]
    np.testing.assert_array_equal(far > 0, B >= 100)
