"""The weighted straight line through ln S against numpy's."""

import math

import numpy as np
import pytest

from ivimkit.kernels import loglinear_solution
from ivimkit.kernels.loglinear_solution import mean_signal
from plain_kernels import plain
from tolerances import CLOSED_FORM

log_linear = plain(loglinear_solution.log_linear)
B = np.array([0.0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800])
ONES = np.ones(B.size)
RNG = np.random.default_rng(5)


def noisy(n):
    return 900 * np.exp(-1.1e-3 * B) + 100 * np.exp(-0.03 * B) + RNG.normal(0, 20, (n, B.size))


def line(b, signal, weight):
    """Numpy's polyfit takes the square root of the weight: S for S^2."""
    slope, intercept = np.polyfit(b, np.log(signal), 1, w=np.sqrt(weight) * signal)
    return math.exp(intercept), -slope


def test_it_is_the_weighted_line_of_numpy():
    weight = RNG.uniform(0.5, 3.0, B.size)
    for signal in noisy(50):
        amplitude, rate, ok = log_linear(B, np.sqrt(weight), signal, 0, math.inf, -1.0, 1.0)
        assert ok
        assert (amplitude, rate) == pytest.approx(line(B, signal, weight), rel=CLOSED_FORM)


def test_both_ends_of_the_range_are_included():
    signal = noisy(1)[0]
    used = (B >= 200) & (B <= 600)
    expected = line(B[used], signal[used], ONES[used])
    amplitude, rate, _ = log_linear(B, ONES, signal, 200.0, 600.0, -1.0, 1.0)
    assert (amplitude, rate) == pytest.approx(expected, rel=CLOSED_FORM)


def test_values_that_are_not_positive_have_no_weight():
    signal = noisy(1)[0]
    signal[[2, 5, 7]] = 0.0, -30.0, -0.0
    used = signal > 0
    expected = line(B[used], signal[used], ONES[used])
    amplitude, rate, _ = log_linear(B, ONES, signal, 0.0, math.inf, -1.0, 1.0)
    assert (amplitude, rate) == pytest.approx(expected, rel=CLOSED_FORM)


def test_a_rate_at_its_bound_leaves_the_best_amplitude_for_it():
    signal = noisy(1)[0]
    for low, high in ((2e-3, 5e-3), (0.0, 0.5e-3), (1e-3, 1e-3)):
        amplitude, rate, _ = log_linear(B, ONES, signal, 0.0, math.inf, low, high)
        assert rate in (low, high)
        best = np.average(np.log(signal) + B * rate, weights=signal**2)
        assert amplitude == pytest.approx(math.exp(best), rel=CLOSED_FORM)


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(B.size),
        -noisy(1)[0],
        np.where(B == 40, 1.0, 0.0),
        np.where(B > 100, -1.0, np.where(B == 0, 5.0, 0.0)),
        np.full(B.size, 5e-324),
    ],
)
def test_fewer_than_two_positive_values_are_no_line(signal):
    amplitude, rate, ok = log_linear(B, ONES, signal, 0.0, math.inf, 0.0, 1.0)
    assert not ok
    assert math.isnan(amplitude)
    assert math.isnan(rate)


def test_two_values_at_one_b_are_no_line():
    b = np.array([0.0, 200, 200, 50])
    signal = np.array([1.0, 0.8, 0.7, 0.9])
    assert not log_linear(b, np.ones(4), signal, 100.0, math.inf, 0.0, 1.0)[2]


def test_weight_zero_is_left_out_whatever_stands_there():
    signal = noisy(1)[0]
    weight = np.where(B == 80, 0.0, 1.0)
    expected = line(B[weight > 0], signal[weight > 0], ONES[weight > 0])
    for damage in (np.nan, np.inf, -1.0, 1e300):
        damaged = np.where(weight > 0, signal, damage)
        found = log_linear(B, weight, damaged, 0.0, math.inf, -1.0, 1.0)
        assert found[:2] == pytest.approx(expected, rel=CLOSED_FORM)


def test_mean_signal_at_one_b():
    b = np.array([0.0, 0.0, 50.0, 800.0])
    signal = np.array([10.0, 16.0, 8.0, 4.0])
    root_weight = np.sqrt([1.0, 2.0, 5.0, 1.0])
    assert mean_signal(b, root_weight, signal, 0.0) == pytest.approx(14.0, rel=CLOSED_FORM)
    assert mean_signal(b, root_weight, signal, 50.0) == pytest.approx(8.0, rel=CLOSED_FORM)
    assert math.isnan(mean_signal(b, root_weight, signal, 30.0))


def test_mean_signal_leaves_weight_zero_out():
    b = np.array([0.0, 0.0, 50.0])
    signal = np.array([10.0, np.nan, 8.0])
    assert mean_signal(b, np.array([1.0, 0.0, 1.0]), signal, 0.0) == 10.0
