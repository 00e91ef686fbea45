from dataclasses import replace

import numpy as np
import pytest

from ivimkit import simulate
from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures import example_panels
from ivimkit.scan.dwi import DWI
from made_results import biexp_maps, made_result

B = [0, 0, 10, 20, 50, 100, 200, 400, 800, 800]
SHAPE = (3, 2)


@pytest.fixture
def result():
    fit = made_result(biexp_maps(SHAPE))
    clean = simulate.signals("biexp", fit.params, B)
    noisy = simulate.add_noise(clean, sigma=5, seed=1)
    return replace(fit, dwi=DWI(noisy, B, average="arithmetic"))


def line(axes, label):
    return next(found for found in axes.lines if found.get_label() == label)


def test_averages_fit_and_residuals_of_each_voxel(result):
    voxels = {"best fit": (0, 1), "worst fit": (2, 0)}
    figure = example_panels(result, voxels)
    for number, index in enumerate(voxels.values()):
        above, below = figure.axes[2 * number : 2 * number + 2]
        signal = line(above, "measured")
        np.testing.assert_array_equal(signal.get_xdata(), result.dwi.fit_bvals)
        assert signal.get_ydata()[0] == pytest.approx(result.dwi.signal[index][:2].mean())
        curve = line(above, "fit")
        want = simulate.signals("biexp", result.params[index], curve.get_xdata())
        np.testing.assert_allclose(curve.get_ydata(), want)
        left = signal.get_ydata() - result.predict(signal.get_xdata())[index]
        np.testing.assert_allclose(line(below, "measured - fit").get_ydata(), left, atol=1e-9)
    titles = [axes.get_title() for axes in figure.axes[::2]]
    assert titles == ["best fit (0, 1)", "worst fit (2, 0)"]


def test_estimates_are_written_with_their_units(result):
    axes = example_panels(result, {"best": (2, 1)}).axes[0]
    assert axes.texts[0].get_text().splitlines() == [
        "D = 1.00·10⁻³ mm²/s",
        "f = 0.300",
        "D* = 50.0·10⁻³ mm²/s",
        "ADC = 1.50·10⁻³ mm²/s",
    ]


def test_a_voxel_without_a_fit(result, pixels):
    maps = {name: np.full(SHAPE, np.nan) for name in biexp_maps(SHAPE)}
    empty = replace(made_result(maps), dwi=result.dwi)
    figure = example_panels(empty, {"failed": (0, 0)}, title="x")
    assert figure.axes[0].texts[0].get_text() == ""
    assert figure.get_suptitle() == "x"
    pixels(figure)


def test_another_scan(result):
    other = DWI(2 * result.dwi.signal, B, average="arithmetic")
    axes = example_panels(result, {"a": (0, 0)}, dwi=other).axes[0]
    assert line(axes, "measured").get_ydata()[0] == pytest.approx(
        2 * result.dwi.signal[0, 0, :2].mean()
    )


def test_no_scan(result):
    with pytest.raises(OptionError, match="does not include its scan"):
        example_panels(replace(result, dwi=None), {"a": (0, 0)})


def test_a_scan_of_another_shape(result):
    with pytest.raises(ShapeError, match=r"the scan has shape \(4, 4\)"):
        example_panels(result, {"a": (0, 0)}, dwi=DWI(np.ones((4, 4, len(B))), B))


def test_no_voxel(result):
    with pytest.raises(OptionError, match="no voxel to draw"):
        example_panels(result, {})


def test_no_such_voxel(result):
    with pytest.raises(OptionError, match=r"expected 2 numbers: 0 to 2, 0 to 1"):
        example_panels(result, {"a": (3, 0)})
