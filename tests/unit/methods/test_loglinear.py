"""loglinear: closed forms checked against numpy's straight line."""

import math

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.scan.acquisition import Acquisition
from ivimkit.status import FitStatus
from tolerances import CLOSED_FORM

B = np.array(ik.simulate.B13, dtype=float)


def line(b, signal):
    """Weights S^2; numpy's polyfit takes their square root."""
    slope, intercept = np.polyfit(b, np.log(signal), 1, w=signal)
    return math.exp(intercept), -slope


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(2)
    truth = rng.uniform([900, 0.1, 0.02, 0.8e-3], [1100, 0.3, 0.06, 1.6e-3], (40, 4))
    return ik.simulate.add_noise(ik.simulate.signals("biexp", truth, B), sigma=15, seed=3)


def test_monoexp_is_the_line_through_all_b(signals):
    result = ik.fit(signals, B, model="monoexp", method="loglinear")
    expected = [line(B, signal) for signal in signals]
    np.testing.assert_allclose(result.params, expected, rtol=CLOSED_FORM)
    np.testing.assert_array_equal(result.maps["n_iter"], 1)


def test_monoexp_above_a_threshold(signals):
    method = ik.methods.LogLinear(b_split=200)
    result = ik.fit(signals, B, model="monoexp", method=method)
    expected = [line(B[B >= 200], signal[B >= 200]) for signal in signals]
    np.testing.assert_allclose(result.params, expected, rtol=CLOSED_FORM)


@pytest.mark.parametrize("b_split", [None, 100, 300.0])
def test_sivim_is_the_high_b_line_and_the_signal_at_b_0(signals, b_split):
    result = ik.fit(signals, B, model="sivim", method=ik.methods.LogLinear(b_split=b_split))
    high = (200 if b_split is None else b_split) <= B
    for params, signal in zip(result.params, signals, strict=True):
        intercept, rate = line(B[high], signal[high])
        expected = (signal[0], 1 - intercept / signal[0], rate)
        np.testing.assert_allclose(params, expected, rtol=CLOSED_FORM)


@pytest.mark.parametrize("model", ["monoexp", "sivim"])
def test_noise_free_data_of_its_own_model_are_exact(model):
    truth = {"monoexp": [800.0, 1.3e-3], "sivim": [800.0, 0.15, 1.3e-3]}[model]
    result = ik.fit(ik.simulate.signals(model, truth, B), B, model=model, method="loglinear")
    np.testing.assert_allclose(result.params, truth, rtol=CLOSED_FORM)


def test_f_is_cut_at_its_bounds():
    signal = 1000 * np.exp(-1e-3 * B)
    signal[0] = 900
    result = ik.fit(signal, B, model="sivim", method="loglinear")
    assert result.maps["f"] == 0.0
    assert "f is at its lower bound" in result.sentence(())
    assert result.maps["S0"] == 900


@pytest.mark.parametrize(
    ("model", "zeros"), [("monoexp", B > 0), ("sivim", B > 200), ("sivim", B == 0)]
)
def test_too_few_positive_values(model, zeros):
    signal = np.where(zeros, 0.0, 1000 * np.exp(-1e-3 * B))
    result = ik.fit(signal, B, model=model, method="loglinear")
    assert result.status == FitStatus.TOO_FEW_BVALUES
    assert np.isnan(result.params).all()


def test_it_cannot_estimate_D_star():
    with pytest.raises(OptionError, match="loglinear cannot estimate D_star of model biexp; use"):
        ik.methods.LogLinear().check(ik.models.get("biexp"), Acquisition(B))


def test_too_few_b_values_above_the_threshold():
    method = ik.methods.LogLinear(b_split=700)
    with pytest.raises(AcquisitionError, match="b_split: a line needs two b-values with b >= 700"):
        method.check(ik.models.get("sivim"), Acquisition(B))


def test_threshold_that_is_none():
    with pytest.raises(OptionError, match="b_split is -1; expected a b-value >= 0"):
        ik.methods.LogLinear(b_split=-1)
