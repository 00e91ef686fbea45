"""prior_panels: densities in shown units, whatever the prior is about."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.extend.prior_table import PriorTable, hat_integrals
from ivimkit.figures import prior_panels

BIEXP = ik.models.get("biexp")


def labels(figure):
    return [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]


@pytest.mark.parametrize("rule", ["flat", "organ"])
def test_three_parameters_and_their_pairs(rule):
    figure = prior_panels(ik.priors.get(rule).tabulate(BIEXP))
    slow, fast = "D (10⁻³ mm²/s)", "D* (10⁻³ mm²/s)"
    assert labels(figure) == [
        (slow, "density per 10⁻³ mm²/s"),
        (fast, "density per ln D*"),
        ("f", "density"),
        (slow, fast),
        (slow, "f"),
        (fast, "f"),
        ("", "density / maximum"),
    ]


def test_densities_have_an_integral_of_one_in_the_units_that_are_shown():
    figure = prior_panels(ik.priors.get("organ", organ="brain").tabulate(BIEXP))
    for axes in figure.axes[:3]:
        x, y = axes.lines[0].get_data()
        values = np.log(x) if axes.get_xscale() == "log" else x
        assert (y * hat_integrals(values)).sum() == pytest.approx(1.0, rel=1e-6)


def test_the_pair_that_is_highest_is_drawn_brightest():
    knots = (np.linspace(0, 4e-3, 5), np.geomspace(1e-2, 1e-1, 4), np.linspace(0, 1, 3))
    density = np.zeros((5, 4, 3))
    density[1, 2, 0] = 1.0
    table = PriorTable("biexp", "mine", ("D", "D_star", "f"), knots, density)
    figure = prior_panels(table, title="mine")
    pair = figure.axes[3].collections[0]
    colours = pair.get_array().reshape(4, 5)
    assert colours[2, 1] == colours.max() == 1.0
    assert np.count_nonzero(colours) == 1
    np.testing.assert_allclose(figure.axes[0].get_xlim(), (0.0, 2.0))
    assert figure.get_suptitle() == "mine"


def test_parameters_that_a_model_does_not_have_or_that_are_fixed():
    organ = ik.priors.get("organ")
    assert labels(prior_panels(organ.tabulate(ik.models.get("monoexp")))) == [
        ("ADC (10⁻³ mm²/s)", "density per 10⁻³ mm²/s")
    ]
    fixed = organ.tabulate(BIEXP.with_fixed(D_star=0.02))
    assert len(prior_panels(fixed).axes) == 4
    assert labels(prior_panels(organ.tabulate(ik.models.get("sivim"))))[2][1] == "f"


def test_nothing_that_varies():
    model = ik.models.get("monoexp").with_fixed(ADC=1e-3)
    with pytest.raises(OptionError, match="all parameters of the prior are fixed"):
        prior_panels(ik.priors.get("flat").tabulate(model))


def test_titles_say_where_it_is_from():
    dwi = ik.simulate.phantom(shape=(24, 18, 1)).dwi
    table = ik.fit(dwi, method=ik.methods.Bayes(prior="learned")).priors["all"]
    title = prior_panels(table).get_suptitle()
    assert title == f"prior learned, biexp, from {dwi.n_voxels} voxels"
    organ = prior_panels(ik.priors.get("organ", organ="liver").tabulate(BIEXP))
    assert organ.get_suptitle() == "prior organ (liver), biexp"
