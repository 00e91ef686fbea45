"""One curve per setting of the variables besides b, in numbers and in figures."""

import math
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.extend.compartment import Compartment
from ivimkit.extend.signal_model import SignalModel
from ivimkit.figures.decay_axes import Decay, decay_panels
from ivimkit.fitting.decay_curves import decay_curves, fitted_values, fitted_x, with_b

MONOEXP = ik.models.get("monoexp")
PARAMS = [100.0, 1e-3]
B = [0.0, 400, 800, 0, 400, 800]
TE = [60.0] * 3 + [90.0] * 3


@pytest.fixture
def dwi():
    signal = 100 * np.exp(-np.array(B) * 1e-3) * np.exp(-np.array(TE) / 50)
    return ik.DWI(signal[np.newaxis], B, variables={"echo_time": TE})


@pytest.fixture
def relaxing():
    """A model of b and echo time, T2 being 50 ms."""

    def atom(b: float, te: float, p: tuple[float]) -> float:
        return math.exp(-b * p[0] - te / 50.0)

    tissue = Compartment("tissue", atom, (MONOEXP["ADC"],), variables=("b", "echo_time"))
    return SignalModel("relaxing", "relaxing", "S0 exp(-b ADC - TE / T2)", (tissue,))


def _of(result, model):
    """Return a result as if it were that of another model."""
    return replace(result, settings=replace(result.settings, model=model))


def test_a_model_of_b_has_one_curve_for_all(dwi):
    curves = decay_curves(MONOEXP, PARAMS, dwi)
    assert [curve.series.text for curve in curves] == ["TE 60 ms", "TE 90 ms"]
    assert all(curve.is_same_as_others for curve in curves)
    expected = 100 * np.exp(-1e-3 * dwi.fit_bvals)
    np.testing.assert_allclose(fitted_values(curves, 6), expected, rtol=1e-12)


def test_a_model_of_more_has_a_curve_for_each(dwi, relaxing):
    first, second = decay_curves(relaxing, PARAMS, dwi)
    assert first.is_line
    np.testing.assert_allclose(first([0]), 100 * np.exp(-60 / 50), rtol=1e-12)
    np.testing.assert_allclose(second([0]), 100 * np.exp(-90 / 50), rtol=1e-12)
    np.testing.assert_allclose(fitted_values((first, second), 6), dwi.curve(), rtol=1e-12)


def test_other_b_values(dwi):
    x = fitted_x(("b", "echo_time"), dwi)
    assert with_b(x, ("b", "echo_time"), 7.0).tolist() == [[7.0] * 6, x[1].tolist()]
    assert with_b(dwi.fit_bvals, ("b",), 7.0).tolist() == [7.0] * 6
    assert with_b(x[1:], ("echo_time",), 7.0).tolist() == x[1:].tolist()


def test_figures_tell_settings_apart(dwi, relaxing):
    curves = decay_curves(relaxing, PARAMS, dwi)
    decay = Decay("voxel", dwi.fit_bvals, dwi.curve(), None, curves=curves)
    axes, below = decay_panels([decay]).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["TE 60 ms", "TE 90 ms"]
    points, lines = axes.lines[:2], axes.lines[2:]
    assert [line.get_color() for line in lines] == [line.get_color() for line in points]
    for point, line, te in zip(points, lines, (60, 90), strict=True):
        assert point.get_xdata().tolist() == [0, 400, 800]
        np.testing.assert_allclose(line.get_ydata()[0], 100 * np.exp(-te / 50), rtol=1e-12)
    np.testing.assert_allclose(below.lines[1].get_ydata(), 0.0, atol=1e-12)


def test_one_setting_is_drawn_as_ever(dwi):
    alone = dwi.with_variables(None)
    curves = decay_curves(MONOEXP, PARAMS, alone)
    decay = Decay("voxel", alone.fit_bvals, alone.curve(), None, curves=curves)
    axes = decay_panels([decay]).axes[0]
    assert axes.get_legend() is None
    assert [line.get_label() for line in axes.lines] == ["measured", "fit"]


def test_the_plot_of_a_voxel(dwi, relaxing):
    maps = {"S0": np.full(1, 100.0), "ADC": np.full(1, 1e-3)}
    with pytest.warns(UserWarning, match="differ in echo_time"):
        result = ik.fit(dwi, model="monoexp", method="loglinear")
    known = _of(replace(result, maps={**dict(result.maps), **maps}), relaxing)
    linear = ik.report.voxel_plot(dwi, {"known": known}, (0,)).axes[0]
    legend = [text.get_text() for text in linear.get_legend().get_texts()]
    assert legend == ["TE 60 ms", "TE 90 ms", "known"]
    drawn = [line for line in linear.lines if line.get_linestyle() == "-"]
    assert len(drawn) == 2


def test_the_viewer_has_a_curve_for_each(dwi, relaxing):
    from ivimkit.viewer import voxel_answer

    with pytest.warns(UserWarning, match="differ in echo_time"):
        result = ik.fit(dwi, model="monoexp", method="loglinear")
    values = {name: float(result.maps[name][0]) for name in result.maps}
    plain = voxel_answer.fit_entry(result, values, 0, dwi)
    assert plain["curve"]["settings"] == []
    assert voxel_answer.averaged(dwi)["series"] == [
        {"name": "TE 60 ms", "members": (0, 2, 4)},
        {"name": "TE 90 ms", "members": (1, 3, 5)},
    ]
    answer = voxel_answer.fit_entry(_of(result, relaxing), {**values, "S0": 100.0}, 0, dwi)
    names = [part["name"] for part in answer["curve"]["settings"]]
    assert names == ["TE 60 ms", "TE 90 ms"]
    heights = [part["signal"][0] for part in answer["curve"]["settings"]]
    np.testing.assert_allclose(heights, 100 * np.exp(-np.array([60, 90]) / 50), rtol=1e-12)


def test_residuals_are_named_by_setting(dwi):
    noisy = ik.DWI(np.repeat(dwi.signal, 60, axis=0), B, variables={"echo_time": TE})
    with pytest.warns(UserWarning, match="differ in echo_time"):
        result = ik.fit(noisy, model="monoexp", method="loglinear")
    found = ik.quality.residuals(result)
    assert found.names[:2] == ("0 (TE 60 ms)", "0 (TE 90 ms)")
    assert found.bvals.tolist() == sorted(B)
    (finding,) = ik.quality.residual_findings(found)
    assert finding.sentence.startswith("The volumes differ in echo_time, which model monoexp")
    ticks = ik.report.residual_panels(found).axes[1].get_xticklabels()
    assert ticks[1].get_text() == "0 (TE 90 ms)"
    assert ticks[1].get_rotation() == 90
