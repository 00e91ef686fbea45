"""compare_regions: Hedges' g, Mann-Whitney and ROC AUC, against SciPy and pingouin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ivimkit import quality
from ivimkit.quality.effect_size import effect
from made_results import biexp_maps, made_result
from tolerances import CLOSED_FORM

ONE = np.array([1.1, 0.9, 1.3, 0.8, 1.05, 0.97])
TWO = np.array([1.5, 1.2, 1.6, 1.4, 0.95])


def test_against_pingouin():
    """pingouin 0.7: mwu(ONE, TWO) and compute_effsize(ONE, TWO, eftype="hedges"), which uses
    the approximation 1 - 3 / (4 n - 9) of the correction for small groups."""
    found = effect(ONE, TWO)
    assert found.auc == pytest.approx(0.166666666667)
    assert found.p == pytest.approx(0.082251082251)
    assert found.g == pytest.approx(-1.3135840638816905, rel=1e-3)


def test_hedges_correction_is_exact():
    """Cohen's d times gamma(v/2) / (sqrt(v/2) gamma((v-1)/2)) with v = 9: 0.9139..."""
    pooled = np.sqrt((5 * ONE.var(ddof=1) + 4 * TWO.var(ddof=1)) / 9)
    d = (ONE.mean() - TWO.mean()) / pooled
    assert effect(ONE, TWO).g / d == pytest.approx(0.913875, abs=1e-6)


def test_the_interval_of_g_covers_the_truth_19_times_of_20(monkeypatch):
    # The test of ranks takes most of the time, and g has no part in it.
    ranks = stats.mannwhitneyu([1.0, 2.0], [1.5, 3.0])
    monkeypatch.setattr(stats, "mannwhitneyu", lambda *groups, **options: ranks)
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        found = effect(rng.normal(0.8, 1, 30), rng.normal(0, 1, 50))
        inside += found.g_lo < 0.8 < found.g_hi
    assert 0.93 < inside / 1000 < 0.97


def test_against_scipy_in_a_table():
    values = np.random.default_rng(1).normal(1e-3, 2e-4, 90)
    lesion = np.arange(90) < 20
    table = quality.compare_regions(made_result({"D": values}), lesion, ~lesion, maps=["D"])
    row, test = table.loc["D"], stats.mannwhitneyu(values[lesion], values[~lesion])
    assert row["p"] == test.pvalue
    assert row["auc"] == test.statistic / (20 * 70)
    difference = values[lesion].mean() - values[~lesion].mean()
    assert row["cnr"] == pytest.approx(abs(difference) / values[~lesion].std(ddof=1))


def test_the_map_that_separates_best_comes_first():
    lesion = np.array([1, 1, 1, 0, 0, 0])
    maps = {
        "ADC": [1, 2, 4, 3, 5, 6],
        "f": [7, 8, 9, 1, 2, 3],
        "D": [1, 2, 3, 107, 108, 109],
        "D_star": [2, 2, 2, 2, 2, 2],
    }
    table = quality.compare_regions(made_result(maps), lesion, 1 - lesion, maps=list(maps))
    # D and f separate without fault, D by more standard deviations.
    assert list(table.index) == ["D", "f", "ADC", "D_star"]
    assert (table.loc["D_star", "auc"], table.loc["D_star", "p"]) == (0.5, 1.0)
    assert np.isnan(table.loc["D_star", "g"])
    assert np.isnan(table.loc["D_star", "cnr"])


def test_maps_that_the_fit_does_not_have_are_no_default():
    result = made_result({"S0": [1.0, 2], "ADC": [1e-3, 2e-3]}, model="monoexp")
    assert list(quality.compare_regions(result, [1, 0], [0, 1]).index) == ["ADC"]


def test_a_region_of_labels_is_a_mask():
    from ivimkit import Labels

    labels = Labels(np.repeat([1, 2], 3).reshape(2, 3), {1: "lesion", 2: "liver"})
    table = quality.compare_regions(
        made_result(biexp_maps((2, 3))), labels["lesion"], labels["liver"]
    )
    assert (table["lesion_n"] == 3).all()


def test_the_organ_around_a_lesion_may_hold_it():
    result = made_result({"D": [1.0, 2.0, 5.0, 7.0]})
    table = quality.compare_regions(result, [1, 1, 0, 0], [1, 1, 1, 1], maps=["D"])
    assert (table.loc["D", "reference_n"], table.loc["D", "reference_mean"]) == (2, 6.0)


values = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=20).map(np.array)


@settings(max_examples=40)
@given(values, values)
def test_exchanging_the_regions_turns_everything_round(one, two):
    there, back = effect(one, two), effect(two, one)
    assert there.auc + back.auc == pytest.approx(1.0)
    assert there.p == pytest.approx(back.p)
    np.testing.assert_allclose(there.g, -back.g, atol=CLOSED_FORM)
    np.testing.assert_allclose([there.g_lo, there.g_hi], [-back.g_hi, -back.g_lo], atol=1e-9)


@settings(max_examples=40)
@given(values, values, st.floats(0.1, 100), st.floats(-100, 100))
def test_units_do_not_matter(one, two, factor, offset):
    there, scaled = effect(one, two), effect(factor * one, factor * two)
    assert there.auc == scaled.auc
    np.testing.assert_allclose(there.g, scaled.g, rtol=1e-6, atol=1e-9)


@settings(max_examples=40)
@given(values, values)
def test_auc_counts_pairs(one, two):
    pairs = one[:, None] - two
    expected = ((pairs > 0).sum() + 0.5 * (pairs == 0).sum()) / pairs.size
    assert effect(one, two).auc == pytest.approx(expected)
