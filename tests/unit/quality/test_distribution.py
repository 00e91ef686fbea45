"""The numbers of one region's values, against SciPy and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ivimkit.quality.distribution import ENTROPY_BINS, distribution, entropy, shape_of
from tolerances import CLOSED_FORM

LIMITS = (0.0, 3e-3)
VALUES = np.array([0.7, 0.9, 1.0, 1.1, 1.15, 1.3, 1.4, 2.6, np.nan]) * 1e-3
FINITE = VALUES[:-1]


def test_against_numpy_and_scipy():
    found = distribution(VALUES, LIMITS)
    expected = {
        "n": 8,
        "missing": 1,
        "mean": np.mean(FINITE),
        "sd": np.std(FINITE, ddof=1),
        "cv": stats.variation(FINITE, ddof=1),
        "median": np.median(FINITE),
        "q25": np.quantile(FINITE, 0.25),
        "q75": np.quantile(FINITE, 0.75),
        "iqr": stats.iqr(FINITE),
        "p5": np.quantile(FINITE, 0.05),
        "p95": np.quantile(FINITE, 0.95),
        "skewness": stats.skew(FINITE, bias=False),
        "kurtosis": stats.kurtosis(FINITE, fisher=True, bias=False),
    }
    assert set(found) == {*expected, "entropy"}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=CLOSED_FORM, err_msg=name)


def test_skewness_and_kurtosis_as_spreadsheets_have_them():
    """SKEW and KURT of Excel for the example of its manual: 3, 4, 5, 2, 3, 4, 5, 6, 4, 7."""
    found = shape_of(np.array([3, 4, 5, 2, 3, 4, 5, 6, 4, 7.0]))
    np.testing.assert_allclose(found, [0.359543071, -0.151799637], atol=1e-9)


@pytest.mark.parametrize(
    ("values", "known"),
    [([], ()), ([1e-3], ("mean", "median")), ([1e-3] * 5, ("mean", "sd", "cv", "entropy"))],
)
def test_too_little_to_tell_is_nan_without_a_warning(values, known):
    found = distribution(np.array(values), LIMITS)
    for name in known:
        assert np.isfinite(found[name]), name
    assert np.isnan(found["skewness"])
    assert np.isnan(found["kurtosis"])


def test_rounding_errors_have_no_shape():
    values = 0.1 * 3 + np.array([0.0, 1e-17, 5e-17, -5e-17, 0.0])
    assert np.isnan(shape_of(values)).all()


def test_no_cv_of_a_mean_of_zero():
    assert np.isnan(distribution(np.array([-1.0, 1.0]), LIMITS)["cv"])
    assert distribution(np.array([-1.0, -2.0]), LIMITS)["cv"] > 0


class TestEntropy:
    width = (LIMITS[1] - LIMITS[0]) / ENTROPY_BINS

    @pytest.mark.parametrize("n", [1, 2, 8, 64])
    def test_n_bins_that_are_equally_full_have_log2_n_bits(self, n):
        values = (np.arange(n) + 0.5) * self.width
        assert entropy(np.repeat(values, 3), LIMITS) == pytest.approx(np.log2(n))

    def test_bins_go_on_beyond_the_limits(self):
        values = LIMITS[1] + (np.arange(4) + 0.5) * self.width
        assert entropy(values, LIMITS) == pytest.approx(2.0)
        assert entropy(-values, LIMITS) == pytest.approx(2.0)

    def test_against_scipy(self):
        values = np.random.default_rng(0).normal(1.5e-3, 3e-4, 500)
        counts, _ = np.histogram(values, ENTROPY_BINS, LIMITS)
        assert counts.sum() == values.size
        assert entropy(values, LIMITS) == pytest.approx(stats.entropy(counts, base=2))

    def test_no_range(self):
        assert entropy(np.array([1.0, 2.0]), (0.0, 0.0)) == 0.0


@settings(max_examples=40)
@given(st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=30), st.randoms())
def test_order_does_not_matter(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    one, other = (distribution(np.array(v), (-1e3, 1e3)) for v in (values, shuffled))
    scale = max(map(abs, values))
    for name, value in one.items():
        if name in ("cv", "skewness", "kurtosis"):  # ill-conditioned near a mean or sd of 0
            continue
        np.testing.assert_allclose(other[name], value, atol=CLOSED_FORM * (1 + scale))
