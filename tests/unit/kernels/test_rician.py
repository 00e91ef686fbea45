"""Bessel ratios against scipy's scaled Bessel functions."""

import numpy as np
import pytest
from scipy.special import ive

from ivimkit.kernels.rician import bessel_ratio
from tolerances import CLOSED_FORM

COILS = (1, 2, 4, 8, 32)
X = np.concatenate([np.geomspace(1e-6, 1e6, 3000), np.linspace(1.0, 100.0, 1000)])


def on(xs, coils):
    return np.array([bessel_ratio(float(x), float(coils)) for x in xs]).T


@pytest.mark.parametrize("coils", COILS)
def test_ratio_against_scipy(coils):
    above, below = ive(coils, X), ive(coils - 1, X)
    seen = above > 1e-290  # Below, scipy's functions run out of digits.
    ratio, deficit, slope, _ = on(X[seen], coils)
    expected = above[seen] / below[seen]
    np.testing.assert_allclose(ratio, expected, rtol=CLOSED_FORM)
    np.testing.assert_allclose(slope, expected / X[seen], rtol=CLOSED_FORM)
    np.testing.assert_allclose(deficit, 1.0 - expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("coils", COILS)
def test_logarithm_against_scipy(coils):
    below = ive(coils - 1, X)
    seen = below > 1e-290
    expected = np.log(below[seen]) - (coils - 1) * np.log(X[seen])
    np.testing.assert_allclose(on(X[seen], coils)[3], expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("coils", COILS)
@pytest.mark.parametrize("x", [1e8, 1e15, 1e30])
def test_where_there_is_no_noise_the_deficit_keeps_its_digits(coils, x):
    # The first two terms of the asymptotic series in 1 / x.
    expected = (coils - 0.5) / x * (1.0 - (2 * coils - 3) * 0.25 / x)
    ratio, deficit, _, _ = bessel_ratio(x, float(coils))
    assert deficit == pytest.approx(expected, rel=CLOSED_FORM)
    assert ratio == pytest.approx(1.0 - expected, rel=1e-15)


def test_at_zero():
    ratio, deficit, slope, log_bessel = bessel_ratio(0.0, 1.0)
    assert ratio == 0.0
    assert deficit == pytest.approx(1.0, rel=1e-15)
    assert slope == pytest.approx(0.5, rel=CLOSED_FORM)
    assert log_bessel == pytest.approx(0.0, abs=1e-8)


def test_the_logarithm_has_the_ratio_as_its_slope():
    step = 1e-3
    for x in np.geomspace(0.01, 300.0, 60):
        ratio, deficit, _, _ = bessel_ratio(x, 3.0)
        rise = bessel_ratio(x + step, 3.0)[3] - bessel_ratio(x - step, 3.0)[3]
        assert rise / (2.0 * step) == pytest.approx(ratio - 1.0, abs=1e-7)
        assert ratio + deficit == pytest.approx(1.0, rel=1e-14)


def test_plain_python_gives_the_same():
    for x in (0.0, 0.3, 7.0, 4e3):
        assert bessel_ratio.py_func(x, 2.0) == pytest.approx(bessel_ratio(x, 2.0), rel=1e-13)
