"""Populations have the means and the spread of the prior of their organ, in any model."""

from __future__ import annotations

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.extend.compartment import Compartment
from ivimkit.extend.ivim_parameters import D
from ivimkit.extend.organ_distributions import organ_distributions
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay
from ivimkit.parameter import Parameter
from ivimkit.planning import population_names, population_of

MEAN, SPREAD = 0.05, 0.15
"""128 evenly spread tissues have mean and spread of their distribution almost exactly; those out
of bounds are left out."""


@pytest.mark.parametrize("organ", ik.organs.names())
def test_tissues_of_an_organ(organ):
    found = population_of(ik.models.get("biexp"), organ)
    for name, known in organ_distributions(organ).items():
        if known.ppf(0.999) > found.model[name].upper:
            continue  # Cut off by the bound.
        values = found.params[:, found.model.index(name)]
        assert values.mean() == pytest.approx(known.mean(), rel=MEAN)
        assert values.std() == pytest.approx(known.std(), rel=SPREAD)


@pytest.mark.parametrize("organ", [None, *population_names()])
@pytest.mark.parametrize("name", ik.models.names())
def test_tissues_are_possible_in_every_model(name, organ):
    model = ik.models.get(name)
    if not model.has_equation:
        pytest.skip("a model without equation")
    found = population_of(model, organ)
    assert len(found.params) > 32
    for k, parameter in enumerate(model.parameters):
        assert (found.params[:, k] >= parameter.lower).all()
        assert (found.params[:, k] <= parameter.upper).all()
    for low, high in model.ascending:
        assert (found.params[:, model.index(low)] < found.params[:, model.index(high)]).all()
    assert np.isfinite(found.precision).all()


def test_a_fixed_parameter_is_known():
    model = ik.models.get("biexp").with_fixed(D_star=0.05)
    found = population_of(model, "liver")
    assert found.names == ("f", "D")
    assert (found.params[:, 2] == 0.05).all()


def test_a_parameter_of_both_signs():
    off_diagonal = Parameter("D_xy", "Dxy", "mm^2/s", -1e-3, 1e-3, 0.0, typical=(-2e-4, 2e-4))
    model = SignalModel(
        name="signed",
        title="two rates",
        equation="none",
        compartments=(Compartment("tissue", decay, (D, off_diagonal)),),
    )
    found = population_of(model, "liver")
    assert found.relative == (True, False)
    assert abs(found.mean["D_xy"]) < 1e-6
    assert found.size["D_xy"] == pytest.approx(2e-4 / 1.96, rel=0.05)
    assert found.size["D"] == found.mean["D"]


def test_populations_that_there_are_not():
    with pytest.raises(OptionError, match="no organ 'heart'; expected one of brain"):
        population_of(ik.models.get("biexp"), "heart")
    with pytest.raises(OptionError, match="bounds of model biexp exclude the values of liver"):
        population_of(ik.models.get("biexp").with_bounds(D=(3e-3, 5e-3)), "liver")
    fixed = ik.models.get("monoexp").with_fixed(ADC=1e-3)
    with pytest.raises(OptionError, match="no free parameter except S0"):
        population_of(fixed)
