"""trr: both stages against their definition; start and thresholds matter."""

import math

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.scan.acquisition import Acquisition
from ivimkit.status import FAILED, FitStatus
from tolerances import CLOSED_FORM, NOISE_FREE, SAME_COST

B = np.array(ik.simulate.B21, dtype=float)
BIEXP = ik.models.get("biexp")


def line(b, signal):
    slope, intercept = np.polyfit(b, np.log(signal), 1, w=signal)
    return math.exp(intercept), -slope


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(6)
    truth = rng.uniform([900, 0.05, 0.01, 0.6e-3], [1100, 0.35, 0.08, 2.2e-3], (400, 4))
    return ik.simulate.add_noise(ik.simulate.signals("biexp", truth, B), sigma=30, seed=7)


def differ(first, second, name="cost"):
    return np.abs(first.maps[name] / second.maps[name] - 1.0) > SAME_COST


def test_first_stage_keeps_the_lines_and_fits_f_and_D_star(signals):
    result = ik.fit(signals, B, method=ik.methods.TRR(two_stage=False))
    high, low = B >= 400, B <= 200
    d = [line(B[high], signal[high])[1] for signal in signals]
    s0 = [line(B[low], signal[low])[0] for signal in signals]
    fitted = (result.status & int(FAILED)) == 0
    np.testing.assert_allclose(result.maps["D"][fitted], np.array(d)[fitted], rtol=CLOSED_FORM)
    np.testing.assert_allclose(result.maps["S0"][fitted], np.array(s0)[fitted], rtol=CLOSED_FORM)
    # With both fixed the global optimum is a lower bound, and nearly always reached.
    fixed = BIEXP.with_fixed(D=np.array(d), S0=np.array(s0))
    best = ik.fit(signals, B, model=fixed, method="varpro").maps["cost"]
    assert (result.maps["cost"][fitted] >= best[fitted] * (1 - SAME_COST)).all()
    assert (result.maps["cost"] <= best * (1 + SAME_COST)).mean() > 0.9


def test_second_stage_only_improves(signals):
    one = ik.fit(signals, B, method=ik.methods.TRR(two_stage=False))
    two = ik.fit(signals, B, method="trr")
    assert (two.maps["cost"] <= one.maps["cost"] * (1 + SAME_COST)).all()
    assert differ(one, two).mean() > 0.9


def test_the_second_stage_is_what_makes_it_a_full_fit():
    truth = [1000.0, 0.2, 0.02, 1.2e-3]
    signal = ik.simulate.signals("biexp", truth, B)
    np.testing.assert_allclose(ik.fit(signal, B, method="trr").params, truth, rtol=NOISE_FREE)
    one = ik.fit(signal, B, method=ik.methods.TRR(two_stage=False))
    assert one.maps["rmse"] > 1.0


@pytest.mark.parametrize(
    ("option", "name"), [({"split_b_D": 600}, "D"), ({"split_b_S0": 100}, "S0")]
)
def test_thresholds_change_the_lines(signals, option, name):
    default = ik.fit(signals, B, method=ik.methods.TRR(two_stage=False))
    other = ik.fit(signals, B, method=ik.methods.TRR(two_stage=False, **option))
    assert differ(default, other, name).mean() > 0.99
    untouched = {"D": "S0", "S0": "D"}[name]
    both = np.isfinite(default.maps["cost"] + other.maps["cost"])
    assert not differ(default, other, untouched)[both].any()


def test_start_of_D_star_is_honoured(signals):
    models = [BIEXP.with_start(D_star=start) for start in (5e-3, 0.15)]
    stage = ik.methods.TRR(two_stage=False)
    slow, fast = (ik.fit(signals, B, model=model, method=stage) for model in models)
    assert (slow.maps["n_iter"] != fast.maps["n_iter"]).mean() > 0.1
    slow, fast = (ik.fit(signals, B, model=model, method="trr") for model in models)
    assert differ(slow, fast).any(), "a local method ends in the minimum next to its start"
    assert slow.settings.model["D_star"].start == 5e-3


@pytest.mark.parametrize("start", [-1.0, 0.0, 1e-9, 0.5, 1.0])
def test_a_start_outside_is_moved_inside_and_never_returned(signals, start):
    result = ik.fit(signals, B, model=BIEXP.with_start(D_star=start), method="trr")
    fitted = (result.status & int(FAILED)) == 0
    assert fitted.mean() > 0.98
    d_star = result.maps["D_star"][fitted]
    assert ((d_star >= 2e-3) & (d_star <= 0.2)).all()
    assert (d_star != start).all()
    moved = BIEXP.with_start(D_star=min(max(start, 2e-3), 0.2))
    np.testing.assert_array_equal(
        result.params, ik.fit(signals, B, model=moved, method="trr").params
    )


def test_it_is_never_better_than_the_global_optimum(signals):
    local, best = ik.fit(signals, B, method="trr"), ik.fit(signals, B, method="varpro")
    fitted = (local.status & int(FAILED)) == 0
    assert (best.maps["cost"] <= local.maps["cost"] * (1 + SAME_COST))[fitted].all()
    assert differ(local, best)[fitted].mean() < 0.05


def test_it_always_converges(signals):
    result = ik.fit(signals, B, method="trr")
    assert not (result.status & int(FitStatus.NOT_CONVERGED)).any()


@pytest.mark.parametrize("zeros", [B > 400, B <= 200])
def test_too_few_positive_values(zeros):
    signal = np.where(zeros, 0.0, ik.simulate.signals("biexp", [1000, 0.2, 0.02, 1e-3], B))
    result = ik.fit(signal, B, method="trr")
    assert result.status == FitStatus.TOO_FEW_BVALUES


def test_what_it_cannot_fit():
    for name in ("monoexp", "sivim"):
        with pytest.raises(OptionError, match=f"trr fits bi-exponential models and {name} is not"):
            ik.methods.TRR().check(ik.models.get(name), Acquisition(B))
    with pytest.raises(
        AcquisitionError, match="split_b_D: a line needs two b-values with b >= 950"
    ):
        ik.methods.TRR(split_b_D=950).check(BIEXP, Acquisition(B))
    with pytest.raises(
        AcquisitionError, match="split_b_S0: a line needs two b-values with b <= 5"
    ):
        ik.methods.TRR(split_b_S0=5).check(BIEXP, Acquisition(B))
    with pytest.raises(OptionError, match="split_b_D is -1; expected a b-value >= 0"):
        ik.methods.TRR(split_b_D=-1)
    with pytest.raises(OptionError, match="split_b_S0 is inf; expected a b-value >= 0"):
        ik.methods.TRR(split_b_S0=math.inf)
