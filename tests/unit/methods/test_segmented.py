"""segmented: each step against its definition, and against what theory says of its bias."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import ivimkit as ik
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.scan.acquisition import Acquisition
from ivimkit.status import FitStatus
from tolerances import CLOSED_FORM, NOISE_FREE, SAME_COST, SAME_MINIMUM

B = np.array(ik.simulate.B21, dtype=float)
S0, F, D_STAR, D = 1000.0, 0.2, 0.015, 1.2e-3
EXACT = ik.simulate.signals("biexp", [S0, F, D_STAR, D], B)


def line(b, signal):
    slope, intercept = np.polyfit(b, np.log(signal), 1, w=signal)
    return math.exp(intercept), -slope


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(4)
    truth = rng.uniform([900, 0.1, 0.02, 0.8e-3], [1100, 0.3, 0.06, 1.6e-3], (200, 4))
    return ik.simulate.add_noise(ik.simulate.signals("biexp", truth, B), sigma=20, seed=5)


def excess_slope(b):
    """-d/db of ln S - ln S_tissue: what the blood that is left adds to the slope at b."""
    ratio = F / (1 - F) * np.exp(-b * (D_STAR - D))
    return (D_STAR - D) * ratio / (1 + ratio)


@pytest.mark.parametrize("b_split", [100, 200, 400])
def test_blood_left_above_the_threshold_biases_D_up_and_f_down(b_split):
    result = ik.fit(EXACT, B, method=ik.methods.Segmented(b_split=b_split))
    intercept, rate = line(B[b_split <= B], EXACT[b_split <= B])
    assert result.maps["D"] == pytest.approx(rate, rel=CLOSED_FORM)
    assert result.maps["f"] == pytest.approx(1 - intercept / S0, rel=CLOSED_FORM)
    # The slope of a line is a weighted mean of the slopes between its ends.
    assert excess_slope(B.max()) < result.maps["D"] - D < excess_slope(b_split)
    # ln S is convex: a line through its tail starts below it, but above the tissue's own line.
    assert result.maps["f"] < F


def test_bias_follows_the_blood_left_at_the_threshold():
    bias = {}
    for b_split in (100, 200, 400):
        method = ik.methods.Segmented(b_split=b_split)
        bias[b_split] = ik.fit(EXACT, B, method=method).maps["D"] - D
    assert bias[100] > bias[200] > bias[400] > 0
    # exp(-200 (D* - D)) = 6 % of the blood is left at 200: D is 1.7 % too high, f 0.011 too low.
    assert bias[200] / D == pytest.approx(0.017, abs=0.001)
    # Every 100 s/mm2 leave exp(-1.38) = 1/4 of it.
    assert bias[200] / bias[400] == pytest.approx(math.exp(200 * (D_STAR - D)), rel=0.5)


def test_it_is_not_a_full_fit():
    full = ik.fit(EXACT, B, method="varpro")
    segmented = ik.fit(EXACT, B, method="segmented")
    assert full.maps["D"] == pytest.approx(D, rel=NOISE_FREE)
    assert segmented.maps["D"] > 1.01 * full.maps["D"]
    assert segmented.maps["D_star"] > 1.05 * full.maps["D_star"]
    assert segmented.maps["rmse"] > 1.0 > 1e-6 > full.maps["rmse"]
    assert not ik.methods.Segmented.full_fit


@pytest.mark.parametrize("b", [B, np.linspace(0.0, 1000.0, 41)], ids=["21", "41"])
def test_without_blood_at_the_threshold_it_is_exact(b):
    signal = ik.simulate.signals("biexp", [S0, F, 0.19, D], b)
    result = ik.fit(signal, b, method=ik.methods.Segmented(b_split=400))
    np.testing.assert_allclose(result.params, [S0, F, 0.19, D], rtol=NOISE_FREE)


def test_three_steps_fix_S0_and_f_and_find_the_best_D_star(signals):
    result = ik.fit(signals, B, method=ik.methods.Segmented(steps=3))
    for i in range(40):
        s0, f, d_star, d = result.params[i]
        intercept, rate = line(B[B >= 200], signals[i, B >= 200])
        assert (s0, d) == pytest.approx((signals[i, 0], rate), rel=CLOSED_FORM)
        assert f == pytest.approx(min(max(1 - intercept / s0, 0.0), 1.0), rel=CLOSED_FORM)

        def cost(log_d_star, s0=s0, f=f, d=d, i=i):
            blood = np.exp(-B * math.exp(log_d_star))
            return float(((signals[i] - s0 * (f * blood + (1 - f) * np.exp(-B * d))) ** 2).sum())

        grid = np.linspace(math.log(2e-3), math.log(0.2), 200)
        best = grid[np.argmin([cost(x) for x in grid])]
        polished = minimize_scalar(
            cost, bounds=(max(best - 0.05, grid[0]), min(best + 0.05, grid[-1])), method="bounded"
        )
        assert result.maps["cost"][i] <= min(polished.fun, cost(best)) * (1 + SAME_COST)
        assert result.maps["cost"][i] == pytest.approx(cost(math.log(d_star)), rel=SAME_COST)


def test_two_steps_are_the_optimum_with_D_fixed(signals):
    two = ik.fit(signals, B, method=ik.methods.Segmented(steps=2))
    three = ik.fit(signals, B, method=ik.methods.Segmented(steps=3))
    np.testing.assert_array_equal(two.maps["D"], three.maps["D"])
    assert (two.maps["cost"] <= three.maps["cost"] * (1 + SAME_COST)).all()
    assert (np.abs(two.maps["f"] - three.maps["f"]) > 1e-3).mean() > 0.9
    assert (two.maps["S0"] != signals[:, 0]).all()
    fixed = ik.models.get("biexp").with_fixed(D=two.maps["D"])
    full = ik.fit(signals, B, model=fixed, method="varpro")
    np.testing.assert_allclose(two.maps["cost"], full.maps["cost"], rtol=SAME_COST)
    clear = two.status == 0
    np.testing.assert_allclose(two.params[clear], full.params[clear], rtol=SAME_MINIMUM)


def test_threshold_changes_D_and_is_inclusive(signals):
    at, above, below = (
        ik.fit(signals, B, method=ik.methods.Segmented(b_split=b)).maps["D"]
        for b in (200, 200.5, 199.5)
    )
    np.testing.assert_array_equal(at, below)
    assert (at != above).all()


@pytest.mark.filterwarnings("ignore:the lowest b-value is 10")
@pytest.mark.parametrize("steps", [2, 3])
def test_without_b_0_the_two_lowest_b_values_give_S0(steps):
    low = B > 0
    result = ik.fit(EXACT[low], B[low], model="biexp", method=ik.methods.Segmented(steps=steps))
    slope = math.log(EXACT[1] / EXACT[2]) / 10
    if steps == 3:
        assert result.maps["S0"] == pytest.approx(EXACT[1] * math.exp(10 * slope), rel=CLOSED_FORM)
    assert result.maps["S0"] == pytest.approx(S0, rel=0.05)
    assert result.maps["f"] == pytest.approx(F, abs=0.05)


def test_sivim_is_fitted_too():
    signal = ik.simulate.signals("sivim", [S0, F, D], B)
    for steps in (2, 3):
        method = ik.methods.Segmented(steps=steps)
        result = ik.fit(signal, B, model="sivim", method=method)
        np.testing.assert_allclose(result.params, [S0, F, D], rtol=NOISE_FREE)


def test_bounds_of_D_hold_in_the_first_step(signals):
    model = ik.models.get("biexp").with_bounds(D=(1e-3, 1.1e-3))
    result = ik.fit(signals, B, model=model, method="segmented")
    assert set(np.unique(result.maps["D"])) >= {1e-3, 1.1e-3}


@pytest.mark.parametrize("zeros", [B > 200, B == 0])
def test_too_few_positive_values(zeros):
    result = ik.fit(np.where(zeros, 0.0, EXACT), B, method="segmented")
    assert result.status == FitStatus.TOO_FEW_BVALUES
    assert np.isnan(result.params).all()


@pytest.mark.parametrize("steps", [1, 4, 2.5, "3"])
def test_steps_are_two_or_three(steps):
    with pytest.raises(OptionError, match=f"steps is {steps!r}; expected 3 or 2"):
        ik.methods.Segmented(steps=steps)


def test_what_it_cannot_fit():
    with pytest.raises(OptionError, match="needs a perfusion fraction and model monoexp has none"):
        ik.methods.Segmented().check(ik.models.get("monoexp"), Acquisition(B))
    with pytest.raises(AcquisitionError, match="b_split: a line needs two b-values with b >= 950"):
        ik.methods.Segmented(b_split=950).check(ik.models.get("biexp"), Acquisition(B))
    with pytest.raises(OptionError, match="b_split is nan; expected a b-value >= 0"):
        ik.methods.Segmented(b_split=math.nan)
