from dataclasses import replace

import numpy as np
import pytest

from ivimkit import simulate
from ivimkit.errors import OptionError
from ivimkit.figures import voxel_plot
from ivimkit.scan.dwi import DWI
from ivimkit.status import FitStatus
from made_results import biexp_maps, made_result

B = [0, 0, 10, 20, 50, 100, 200, 400, 800, 800]
SHAPE = (3, 2)
VOXEL = (2, 1)


@pytest.fixture(scope="module")
def fits():
    maps = biexp_maps(SHAPE)
    other = {**maps, "D": maps["D"] * 1.1}
    return {"segmented": made_result(maps, method="segmented"), "varpro": made_result(other)}


@pytest.fixture(scope="module")
def figure(dwi, fits):
    """The plot of a voxel, which nobody changes."""
    return voxel_plot(dwi, fits, VOXEL)


@pytest.fixture(scope="module")
def dwi(fits):
    clean = simulate.signals("biexp", fits["segmented"].params, B)
    return DWI(simulate.add_noise(clean, sigma=5, seed=1), B)


def line(axes, label):
    return next(found for found in axes.lines if found.get_label() == label)


def test_shows_volumes_and_averages(dwi, figure):
    linear = figure.axes[0]
    raw = line(linear, "measured volumes")
    np.testing.assert_array_equal(raw.get_xdata(), B)
    np.testing.assert_array_equal(raw.get_ydata(), dwi.signal[VOXEL])
    average = line(linear, "average")
    np.testing.assert_array_equal(average.get_xdata(), dwi.fit_bvals)
    np.testing.assert_allclose(average.get_ydata()[0], dwi.signal[VOXEL][:2].mean())


def test_without_repeats_there_is_nothing_to_average(dwi, fits):
    linear = voxel_plot(dwi.select(volumes=range(1, 9)), fits, VOXEL).axes[0]
    assert [found.get_label() for found in linear.lines] == ["measured", "segmented", "varpro"]


def test_selected_volumes_only(dwi, fits):
    linear = voxel_plot(dwi.select(bmax=400), fits, VOXEL).axes[0]
    assert max(line(linear, "measured volumes").get_xdata()) == 400
    assert max(line(linear, "varpro").get_xdata()) == 400


@pytest.mark.parametrize("name", ["segmented", "varpro"])
def test_curves_are_the_models(fits, figure, name):
    for axes in figure.axes[:2]:
        curve = line(axes, name)
        want = simulate.signals("biexp", fits[name].params[VOXEL], curve.get_xdata())
        np.testing.assert_allclose(curve.get_ydata(), want)


def test_curves_can_be_told_apart_without_colour(fits, figure):
    styles = [line(figure.axes[0], name).get_linestyle() for name in fits]
    assert len(set(styles)) == len(styles)


def test_residuals_are_measured_averages_minus_fit(dwi, fits, figure):
    residuals = figure.axes[2]
    found = line(residuals, "segmented")
    np.testing.assert_array_equal(found.get_xdata(), dwi.fit_bvals)
    predicted = fits["segmented"].predict([0.0])[VOXEL]
    np.testing.assert_allclose(found.get_ydata()[0], dwi.signal[VOXEL][:2].mean() - predicted[0])


def cells(figure):
    table = figure.axes[3].tables[0].get_celld()
    rows, columns = (max(axis) + 1 for axis in zip(*table, strict=True))
    return [[table[i, j].get_text().get_text() for j in range(columns)] for i in range(rows)]


def test_estimates_are_printed_with_their_units(figure):
    head, first, second = cells(figure)
    assert head == [
        "",
        "S0\n(a.u.)",
        "f",
        "D*\n(10⁻³ mm²/s)",
        "D\n(10⁻³ mm²/s)",
        "ADC\n(10⁻³ mm²/s)",
        "RMSE\n(a.u.)",
    ]
    assert first == ["segmented", "1\u202f000", "0.300", "50.0", "1.00", "1.50", "10.0"]
    assert (second[0], second[4]) == ("varpro", "1.10")


def test_models_with_other_parameters_share_the_table(dwi, fits):
    maps = {name: biexp_maps(SHAPE)[name] for name in ("S0", "ADC")}
    mono = made_result(maps, model="monoexp", method="loglinear")
    _, _, row = cells(voxel_plot(dwi, {"biexp": fits["varpro"], "mono": mono}, VOXEL))
    assert row == ["mono", "1\u202f000", "–", "–", "–", "1.50", "–"]


def test_status_is_said_in_words(dwi, fits):
    status = np.zeros(SHAPE, int)
    status[VOXEL] = FitStatus.PERFUSION_NOT_DETECTED
    result = made_result(biexp_maps(SHAPE), status=status)
    text = voxel_plot(dwi, result, VOXEL).axes[3].texts[0].get_text()
    assert text.startswith("varpro: f is not distinguishable from 0")


def test_axes(figure):
    assert [axes.get_yscale() for axes in figure.axes[:2]] == ["linear", "log"]
    assert figure.axes[0].get_xlabel() == "b (s/mm²)"
    assert figure.axes[0].get_ylim()[0] == 0
    assert figure.get_suptitle() == "voxel 2, 1"


@pytest.mark.parametrize("signal", [0.0, -5.0, np.nan])
def test_a_voxel_that_failed_is_drawn_all_the_same(signal, pixels):
    maps = {name: np.full(SHAPE, np.nan) for name in biexp_maps(SHAPE)}
    status = np.full(SHAPE, int(FitStatus.NO_SIGNAL))
    empty = DWI(np.full((*SHAPE, len(B)), signal), B)
    figure = voxel_plot(empty, made_result(maps, status=status), VOXEL)
    assert cells(figure)[1][1:] == ["–"] * 6
    pixels(figure)


def test_one_voxel_without_axes(dwi):
    result = made_result({name: array[VOXEL] for name, array in biexp_maps(SHAPE).items()})
    figure = voxel_plot(DWI(dwi.signal[VOXEL], B), result, ())
    assert figure.get_suptitle() == "decay curve"
    raw = line(figure.axes[0], "measured volumes")
    np.testing.assert_array_equal(raw.get_ydata(), dwi.signal[VOXEL])


def test_the_mean_signal_of_a_region_has_its_name(dwi):
    result = made_result({name: values[2] for name, values in biexp_maps(SHAPE).items()})

    def titled(**regions):
        means = replace(result, provenance=replace(result.provenance, region_voxels=regions))
        return voxel_plot(DWI(dwi.signal[2], B), means, (1,)).get_suptitle()

    assert titled(liver=400, lesion=30) == "lesion, mean signal of 30 voxels"
    assert titled() == "voxel 1"


@pytest.mark.parametrize("voxel", [(3, 0), (0, -1), (0,), (0, 0, 0)])
def test_no_such_voxel(dwi, fits, voxel):
    with pytest.raises(OptionError, match=r"expected 2 numbers: 0 to 2, 0 to 1"):
        voxel_plot(dwi, fits, voxel)
