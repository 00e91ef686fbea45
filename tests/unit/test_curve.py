"""fit_curve: the fit of one curve, in numbers, in words and drawn."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError

B = np.array([0, 10, 20, 50, 100, 200, 400, 800])
TRUTH = {"S0": 1000.0, "f": 0.1, "D_star": 0.02, "D": 1e-3}
NOISE = np.random.default_rng(0).normal(0.0, 8.0, B.size)
SIGNAL = ik.simulate.signals("biexp", list(TRUTH.values()), B) + NOISE


def test_a_curve_has_the_values_and_the_limits_of_fit():
    curve = ik.fit_curve(SIGNAL, B)
    result = ik.fit(SIGNAL, B, uncertainty="profile")
    for name, truth in TRUTH.items():
        low, high = curve.interval[name]
        assert low <= truth <= high
        assert curve.values[name] == result[name]
        assert curve.sd[name] == result.sd[name]
    np.testing.assert_allclose(curve.predict(B), SIGNAL, atol=25.0)
    assert curve.status == "Fitted."


def test_the_text_has_the_numbers_and_what_they_are():
    head, *lines = repr(ik.fit_curve(SIGNAL, B)).splitlines()
    assert head.endswith("value ± sd (95 % limits)")
    (of_D,) = (line for line in lines if line.split()[0] == "D")
    assert "±" in of_D
    assert of_D.endswith("10⁻³ mm²/s")
    assert lines[-1].strip() == "Fitted."
    assert "±" not in repr(ik.fit_curve(SIGNAL, B, uncertainty=None))


@pytest.mark.drawn
def test_the_plot_shows_itself_in_a_notebook():
    figure = ik.fit_curve(SIGNAL, B, uncertainty=None).plot()
    assert figure._repr_png_()[:4] == b"\x89PNG"
    assert figure.get_suptitle() == "decay curve"


@pytest.mark.parametrize(
    ("method", "estimator"), [("varpro", "profile"), ("segmented", "bootstrap")]
)
def test_the_best_estimator_of_a_method_is_taken(method, estimator):
    curve = ik.fit_curve(SIGNAL, B, model="biexp", method=method)
    assert curve.result.settings.estimator.name == estimator


def test_noise_and_repeats_count():
    known = ik.fit_curve(SIGNAL, B, sigma=80.0)
    assert known.sd["D"] > 3.0 * ik.fit_curve(SIGNAL, B).sd["D"]
    twice = ik.fit_curve(np.tile(SIGNAL, 2), np.tile(B, 2), sigma=80.0)
    assert twice.sd["D"] < known.sd["D"]


def test_what_is_not_one_curve_is_refused():
    with pytest.raises(ShapeError, match=r"shape \(2, 8\); expected one curve"):
        ik.fit_curve(np.stack([SIGNAL, SIGNAL]), B)
    with pytest.raises(ShapeError):
        ik.fit_curve(SIGNAL, B[:-1])
    with pytest.raises(OptionError, match="unknown method"):
        ik.fit_curve(SIGNAL, B, method="magic")
