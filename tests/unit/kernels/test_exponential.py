"""exp and log against the C library's."""

import math

import numpy as np
import pytest

from ivimkit.kernels.exponential import exp, log, log_single
from tolerances import EXPONENTIAL

RNG = np.random.default_rng(0)
LN2 = math.log(2.0)


def relative_error(function, reference, values):
    return max(abs(function(x) / reference(x) - 1.0) for x in values)


def test_exp_on_its_whole_range():
    values = np.concatenate([RNG.uniform(-350, 708, 20_000), RNG.uniform(-30, 0.1, 20_000)])
    assert relative_error(exp, math.exp, values) < EXPONENTIAL


def test_exp_where_it_changes_the_exponent():
    halves = (np.arange(-500, 1000) + 0.5) * LN2
    around = np.concatenate([np.nextafter(halves, 1e9), halves, np.nextafter(halves, -1e9)])
    assert relative_error(exp, math.exp, around) < EXPONENTIAL


def test_exp_near_zero():
    assert exp(0.0) == 1.0
    assert exp(-0.0) == 1.0
    for x in (1e-300, 1e-17, -1e-17):
        assert exp(x) == 1.0
    assert exp(1e-8) == pytest.approx(1.0 + 1e-8, rel=EXPONENTIAL)


@pytest.mark.parametrize("x", [-350.0, -351.0, -745.0, -1e6, -1e300, -math.inf])
def test_exp_of_what_is_gone_is_next_to_nothing(x):
    assert exp(x) == exp(-350.0)
    assert 0.0 < exp(x) < 1e-151


def test_exp_never_falls():
    values = np.sort(RNG.uniform(-400, 10, 5000))
    results = [exp(x) for x in values]
    assert np.all(np.diff(results) >= 0)


def test_log_on_its_whole_range():
    values = 10.0 ** RNG.uniform(-300, 300, 20_000)
    assert relative_error(log, math.log, values) < EXPONENTIAL


def test_log_near_one_keeps_its_digits():
    offsets = 10.0 ** RNG.uniform(-15, -1, 5000) * RNG.choice([-1.0, 1.0], 5000)
    assert relative_error(log, math.log, 1.0 + offsets[np.abs(offsets) > 1e-15]) < EXPONENTIAL
    assert log(1.0) == 0.0


def test_log_where_it_changes_the_exponent():
    powers = math.sqrt(0.5) * 2.0 ** np.arange(-1000, 1000)
    around = np.concatenate([np.nextafter(powers, np.inf), powers, np.nextafter(powers, 0)])
    assert relative_error(log, math.log, around) < EXPONENTIAL


def test_log_undoes_exp():
    for x in RNG.uniform(-350, 700, 2000):
        assert log(exp(x)) == pytest.approx(x, rel=EXPONENTIAL, abs=EXPONENTIAL)


def test_plain_python_gives_the_same():
    for x in RNG.uniform(-350, 700, 500):
        assert exp.py_func(x) == pytest.approx(exp(x), rel=EXPONENTIAL)
        assert log.py_func(math.exp(x)) == pytest.approx(log(math.exp(x)), rel=EXPONENTIAL)


def test_log_in_single_precision():
    values = np.float32(10.0) ** RNG.uniform(-30, 30, 5000).astype(np.float32)
    found = np.array([log_single(x) for x in values])
    wanted = np.log(values.astype(np.float64))
    # Two units in the last place of the larger of the logarithm and 1.
    np.testing.assert_array_less(
        np.abs(found - wanted), 2.0 * 2.0**-23 * np.maximum(np.abs(wanted), 1.0)
    )
    assert log_single(np.float32(1.0)) == 0.0
