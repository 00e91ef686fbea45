"""What is said of a lesion: from reliable voxels or mean signals, unknown where they differ."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

import ivimkit as ik
from ivimkit import quality
from ivimkit.quality.central_values import Estimate, difference_of, of_voxels
from ivimkit.quality.contrast_verdict import Evidence, judge
from ivimkit.quality.effect_size import Effect
from ivimkit.status import FAILED, FitStatus, at_lower, at_upper, explain
from made_results import biexp_maps, made_result

NO_MEANS = Effect(*[np.nan] * 5)
UNKNOWN = Estimate()


def test_limits_of_the_median_are_those_of_bonett_and_price():
    """By hand for 25 values 1 ... 25: c = 8, order statistics 8 and 18, P(X <= 7) = 0.02164."""
    found = of_voxels(np.arange(25.0) + 1.0)
    error = (18.0 - 8.0) / (2 * stats.norm.isf(stats.binom.cdf(7, 25, 0.5)))
    assert (found.value, found.high) == (13.0, pytest.approx(13.0 + 1.95996 * error, rel=1e-5))
    assert not of_voxels(np.ones(4)).known


def test_limits_of_a_difference_of_medians_hold_the_truth():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(400):
        first, second = rng.lognormal(0.3, 0.6, 40), rng.lognormal(0.0, 0.6, 70)
        found = difference_of(of_voxels(first), of_voxels(second))
        inside += found.low < np.exp(0.3) - 1.0 < found.high
    assert 0.92 < inside / 400 < 0.99


def evidence(value, half, n=50, of=50, signal=UNKNOWN):
    return Evidence(Estimate(value, value - half, value + half), n, n, of, signal)


SURE, LOW_SIGNAL = Estimate(2.0, 1.9, 2.1), Estimate(1.0, 0.9, 1.1)


@pytest.mark.parametrize(
    ("lesion", "reference", "word", "basis"),
    [
        (evidence(1.0, 0.1), evidence(2.0, 0.1), "lower", "voxels"),
        (evidence(2.0, 0.1), evidence(1.0, 0.1), "higher", "voxels"),
        (evidence(1.0, 0.8), evidence(2.0, 0.8), "no difference", "voxels"),
        # Too few voxels are reliable: the mean signals decide, if there are any.
        (evidence(1.0, 0.1, n=20), evidence(2.0, 0.1), "unknown", "none"),
        (evidence(1.0, 0.1, n=4, of=4), evidence(2.0, 0.1), "unknown", "none"),
        (evidence(1.0, 0.1, 20, 50, SURE), evidence(2.0, 0.1, signal=LOW_SIGNAL), "higher",
         "mean signal"),
        # The mean signals say the opposite.
        (evidence(1.0, 0.1, signal=SURE), evidence(2.0, 0.1, signal=LOW_SIGNAL), "unknown",
         "voxels"),
        (evidence(1.0, 0.1, signal=LOW_SIGNAL), evidence(2.0, 0.1, signal=SURE), "lower",
         "voxels"),
    ],
)  # fmt: skip
def test_verdicts(lesion, reference, word, basis):
    found = judge(lesion, reference, NO_MEANS)
    assert (found.word, found.basis) == (word, basis)
    assert bool(found.why) == (word == "unknown")


def test_an_interval_of_g_that_spans_0_leaves_it_unknown():
    means = Effect(0.1, -0.2, 0.4, 0.55, 0.2)
    found = judge(evidence(2.0, 0.1), evidence(1.0, 0.1), means)
    assert found.word == "unknown"
    assert found.why == "medians and means of the voxels disagree"


def test_voxels_that_are_not_reliable_do_not_count():
    maps = biexp_maps((40,))
    maps["D"] = np.where(np.arange(40) < 20, 0.8e-3, 1.4e-3) + np.arange(40) % 5 * 1e-5
    status = np.zeros(40, np.int32)
    # Half of the lesion on a bound, tissue not detected.
    maps["D"][:8], status[:8] = 0.0, int(FitStatus.TISSUE_NOT_DETECTED) | at_lower(3)
    result = made_result(maps, status=status)
    lesion = np.arange(40) < 20
    row = quality.compare_regions(result, lesion, ~lesion, maps=["D"]).loc["D"]
    assert (row["lesion_n"], row["lesion_reliable"], row["lesion_valued"]) == (12, 12, 20)
    assert row["lesion_mean"] == pytest.approx(maps["D"][8:20].mean())
    every = quality.compare_regions(result, lesion, ~lesion, maps=["D"], reliable_only=False)
    assert every.loc["D", "lesion_mean"] == pytest.approx(maps["D"][:20].mean())
    assert every.loc["D", "lesion_n"] == 20
    table = quality.roi_table(result, lesion, maps=["D"])
    assert (table["n"].item(), table["reliable"].item()) == (20, 12)
    only = quality.roi_table(result, lesion, maps=["D"], reliable_only=True)
    assert only["mean"].item() == row["lesion_mean"]
    assert (only["n"].item(), only["missing"].item()) == (12, 8)


def test_voxels_and_mean_signal_that_disagree_are_named():
    """Two tissues in one region: the median voxel is of one of them, the mean of neither."""
    b = np.array(ik.simulate.B13)
    kinds = [[1000, 0.05, 0.02, 0.8e-3], [1000, 0.6, 0.05, 1.5e-3]]
    signal = ik.simulate.signals("biexp", kinds, b)[np.repeat([0, 1], [30, 70])]
    result = ik.fit(ik.DWI(signal * (1 + 1e-3 * np.arange(100)[:, None] / 100), b))
    every = quality.disagreements(result, np.ones(100, int), {1: "mixed"})
    found = next(one for one in every if one.map == "f")
    assert found.region == "mixed"
    assert found.voxels == pytest.approx(0.6, abs=0.02)
    assert found.signal < 0.45
    assert "f is 0.600 in the median voxel and " in found.sentence
    lamp = quality.lights(result, regions=[found])[-1]
    assert (lamp.name, lamp.word) == ("voxels and mean signal", "caution")
    assert found.sentence in lamp.reason
    assert quality.lights(result, regions=())[-1].word == "good"
    assert quality.lights(result)[-1].name == "residuals"


LIGHT_OF = {
    FitStatus.PERFUSION_NOT_DETECTED: "perfusion not detected",
    FitStatus.TISSUE_NOT_DETECTED: "tissue not detected",
    FitStatus.ADC_NOT_AVAILABLE: "voxels without an ADC",
    FitStatus.SD_NOT_AVAILABLE: "no standard deviation",
    FitStatus.POSTERIOR_INACCURATE: "inaccurate posterior",
    **{flag: "voxels without a fit" for flag in FitStatus if flag & FAILED},
    **{at(k): "values at a bound" for k in range(4) for at in (at_lower, at_upper)},
}


@pytest.mark.parametrize("flags", list(combinations(LIGHT_OF, 2)))
def test_no_light_is_good_where_its_flag_is_on_in_most_voxels(flags):
    status = np.zeros(100, np.int32)
    status[:51] |= int(flags[0])
    status[49:] |= int(flags[1])
    result = made_result({**biexp_maps((100,)), "cost": np.full(100, 4.0)}, status=status)
    found = {light.name: light for light in quality.lights(result, noise=ik.noise.given(1.0))}
    for flag in flags:
        assert found[LIGHT_OF[flag]].word != "good", explain(result.model)[int(flag)]


def test_bayes_is_no_advice_to_a_fit_by_bayes():
    status = np.full(100, at_upper(2) | int(FitStatus.SD_NOT_AVAILABLE), np.int32)
    result = made_result({**biexp_maps((100,)), "cost": np.full(100, 4.0)}, status=status)
    noise = ik.noise.given(500.0)
    assert sum("bayes" in light.advice for light in quality.lights(result, noise=noise)) == 3
    by_bayes = replace(result, settings=replace(result.settings, method=ik.methods.get("bayes")))
    assert not any("bayes" in light.advice for light in quality.lights(by_bayes, noise=noise))


def test_a_bound_at_0_is_not_to_be_widened():
    texts = explain(made_result(biexp_maps((2,))).model)
    assert "Nothing lies beyond" in texts[at_lower(1)][2]
    assert "Nothing lies beyond" in texts[at_upper(1)][2]
    assert "widen the bound" in texts[at_upper(3)][2]
    assert "widen the bound" in texts[at_lower(2)][2]
