"""Uncertain voxels: the probability that an estimate is far off, and the flags that follow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

import ivimkit as ik
from ivimkit.fitting.uncertain_voxels import off_probability, uncertain_flags
from ivimkit.status import MAX_OFF_PROBABILITY, uncertain

BIEXP = ik.models.get("biexp")
SCORES = norm.ppf([0.025, 0.25, 0.75, 0.975])


def log_normal(estimate, mean, sd):
    """The limits of a log-normal posterior around an estimate."""
    return tuple(np.atleast_1d(estimate * np.exp(mean + sd * score)) for score in SCORES)


@given(estimate=st.floats(1e-4, 1e3), mean=st.floats(-0.5, 0.5), sd=st.floats(0.01, 2.0))
def test_it_is_exact_for_a_log_normal_posterior(estimate, mean, sd):
    found = off_probability(np.array([estimate]), log_normal(estimate, mean, sd))[0]
    exact = norm.cdf((-np.log(1.5) - mean) / sd) + norm.sf((np.log(2.0) - mean) / sd)
    assert found == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("estimate", [0.0, -1.0, np.nan])
def test_a_share_of_nothing_has_no_meaning(estimate):
    limits = tuple(np.array([x]) for x in (-2.0, -1.0, 1.0, 2.0))
    assert np.isnan(off_probability(np.array([estimate]), limits)).all()


def test_limits_that_are_0_or_coincide():
    exact = off_probability(np.ones(1), (np.ones(1),) * 4)
    assert exact == 0.0
    ends = tuple(np.array([x]) for x in (0.0, 0.0, 1.0, 4.0))
    assert 0.0 <= off_probability(np.ones(1), ends)[0] <= 1.0


def test_only_parameters_with_a_posterior_get_a_flag():
    columns = {name: np.ones(2) for name in BIEXP.names}
    narrow, wide = log_normal(1.0, 0.0, 0.1), log_normal(1.0, 0.0, 0.5)
    for end, low, high in zip(("_lo", "_lo50", "_hi50", "_hi"), narrow, wide, strict=True):
        columns[f"f{end}"] = np.array([low[0], high[0]])
    # Limits of a standard deviation are not those of a posterior.
    columns |= {"D_lo": np.zeros(2), "D_hi": np.full(2, 9.0)}
    assert uncertain_flags(BIEXP, columns).tolist() == [0, uncertain(1, 4)]


def test_a_fit_is_wrong_without_a_flag_in_few_voxels_and_right_with_one_in_some():
    """The promise of the flags: at most 5 % where the prior is that of the voxels."""
    rng = np.random.default_rng(4)
    n, bvals = 600, np.array(ik.simulate.B21, dtype=float)
    truth = np.stack(
        [
            np.full(n, 1000.0),
            rng.uniform(0.05, 0.4, n),
            rng.uniform(0.01, 0.1, n),
            rng.uniform(0.5e-3, 2.0e-3, n),
        ],
        axis=1,
    )
    signals = ik.simulate.signals("biexp", truth, bvals)
    noisy = ik.simulate.add_noise(signals, sigma=20.0, seed=1)
    result = ik.fit(noisy, bvals, method="bayes")
    for k, name in enumerate(BIEXP.names):
        wrong = np.abs(result.maps[name] / truth[:, k] - 1.0) > 0.5
        told = result.uncertain(name)
        assert (wrong & ~told).mean() <= MAX_OFF_PROBABILITY
        assert wrong[told].mean() >= wrong[~told].mean() if told.any() else True
    assert 0.2 < result.uncertain("D_star").mean() < 0.9
    assert not result.uncertain("D").any()
    np.testing.assert_array_equal(
        result.uncertain("fD_star"), result.uncertain("f") | result.uncertain("D_star")
    )
    assert not result.uncertain("ADC").any()
    # A value that may be far off is still the best estimate: statistics keep it.
    kept = np.isfinite(result.reliable("D_star"))
    assert (kept & result.uncertain("D_star")).any()
