"""uncertainty_panels: standard deviations beside information, each on a scale that compares."""

import numpy as np
import pytest

from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures import uncertainty_panels
from ivimkit.status import FitStatus
from made_results import biexp_maps, made_result

SHAPE = (8, 7, 2)


def result_of(shape=SHAPE, kinds=("sd", "bits"), **options):
    maps = biexp_maps(shape)
    ramp = maps["f"] / maps["f"].max()
    for k, name in enumerate(("f", "D_star", "D"), start=1):
        for kind in kinds:
            maps[f"{name}_{kind}"] = k * ramp * (1e-4 if kind == "sd" else 1.0)
    maps["S0_sd"] = ramp
    return made_result(maps, **options)


def panels(figure):
    return {axes.get_title(): axes.images[0] for axes in figure.axes if axes.get_title()}


def test_every_parameter_has_both():
    figure = uncertainty_panels(result_of(), slices=1)
    drawn = panels(figure)
    titles = [
        f"{what} {name}" for what in ("sd of", "information on") for name in ("f", "D*", "D")
    ]
    assert list(drawn) == titles
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert labels == ["f sd", "D* sd (10⁻³ mm²/s)", "D sd (10⁻³ mm²/s)"] + 3 * [
        "information (bit)"
    ]
    np.testing.assert_allclose(np.nanmax(drawn["sd of D*"].get_array()), 0.2)


def test_information_is_on_one_scale_and_limits_can_be_given():
    drawn = panels(uncertainty_panels(result_of(), slices=0))
    assert {drawn[name].get_clim() for name in drawn if "info" in name} == {(0.0, 3.0)}
    given = uncertainty_panels(result_of(), slices=0, limits={"D_bits": (0, 8), "D_sd": (0, 1e-3)})
    assert panels(given)["information on D"].get_clim() == (0, 8)
    assert panels(given)["information on f"].get_clim() == (0.0, 3.0)
    assert panels(given)["sd of D"].get_clim() == (0.0, 1.0)


def test_slices_and_mask():
    status = np.zeros(SHAPE, int)
    status[..., 0] = FitStatus.OUTSIDE_MASK
    figure = uncertainty_panels(result_of(status=status), title="mine")
    assert figure.get_suptitle() == "mine, slice 1"
    both = uncertainty_panels(result_of())
    assert [axes.get_ylabel() for axes in both.axes if axes.get_ylabel()] == ["slice 0", "slice 1"]


def test_a_fit_without_information():
    figure = uncertainty_panels(result_of(kinds=("sd",)), slices=0)
    assert list(panels(figure)) == ["sd of f", "sd of D*", "sd of D"]


def test_nothing_to_draw():
    with pytest.raises(OptionError, match=r"no standard deviations to draw; expected one with"):
        uncertainty_panels(made_result(biexp_maps(SHAPE)))
    with pytest.raises(ShapeError, match=r"expected \(x, y\) or \(x, y, z\)"):
        uncertainty_panels(result_of((5,)))
