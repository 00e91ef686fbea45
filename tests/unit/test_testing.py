"""check_model: each rule finds a model that breaks it, and says what is wrong."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import testing
from ivimkit.errors import OptionError
from ivimkit.extend import Compartment, Parameter, SignalModel, decay
from ivimkit.status import FitStatus
from ivimkit.testing import RULES, check_model

MONOEXP = ik.models.get("monoexp")
BIEXP = ik.models.get("biexp")
ADC = MONOEXP["ADC"]


def one(atom, *parameters, **about):
    """Return a model of one compartment."""
    return SignalModel(
        "mine",
        "my own model",
        f"S(b) = S0 exp({' '.join(p.symbol for p in parameters)})",
        (Compartment("tissue", atom, parameters or (ADC,)),),
        **about,
    )


def wrong_slope(b, p):
    value = math.exp(-b * p[0])
    return value, (-1.01 * b * value,)


def infinite(b, p):
    return math.exp(-b / p[0]), (b / (p[0] * p[0]) * math.exp(-b / p[0]),)


def one_product(b, p):
    value = math.exp(-b * p[0] * p[1])
    return value, (-b * p[1] * value, -b * p[0] * value)


FACTOR = Parameter(
    "k", "k", "", 0.1, 2.0, 1.0, description="a factor", typical=(0.5, 1.5), role="shape"
)
INVERSE = replace(ADC, name="R", symbol="R", description="resistance", lower=0.0)
SLOW, FAST = BIEXP["D"], BIEXP["D_star"]


@pytest.mark.parametrize(
    ("rule", "model", "said"),
    [
        (
            "parameters_are_described",
            replace(MONOEXP, equation="S(b) = S0 exp(-b D)"),
            r"the equation 'S\(b\) = S0 exp\(-b D\)' does not contain 'ADC'",
        ),
        (
            "parameters_are_described",
            one(decay, replace(ADC, description="")),
            "ADC lacks a symbol or a description",
        ),
        (
            "parameters_are_described",
            one(decay, replace(ADC, upper=1.0, most=0.1)),
            "bounds of ADC are 0 to 1, and it can be 0 to 0.1",
        ),
        (
            "parameters_are_described",
            one(decay, replace(ADC, start=1.0)),
            "ADC starts at 1, outside its bounds",
        ),
        (
            "parameters_are_described",
            one(decay, replace(ADC, typical=(1e-3, 1.0))),
            "typical values of ADC, 0.001 to 1, are not inside its bounds",
        ),
        (
            "parameters_are_described",
            one(decay, replace(ADC, scale="log", lower=0.0)),
            "ADC has a logarithmic scale and a lower bound of 0",
        ),
        ("signal_is_finite", one(infinite, INVERSE), "is not finite at S0 = 0, R = 0"),
        (
            "slopes_are_derivatives",
            one(wrong_slope),
            r"slope by ADC differs from the derivative by 1.0e-02 of its size; expected up to",
        ),
        (
            "ordered_parameters_are_comparable",
            replace(BIEXP, ascending=(("f", "D"),)),
            r"f is in no unit and D in mm\^2/s",
        ),
        (
            "ordered_parameters_are_comparable",
            BIEXP.with_bounds(D=(3e-3, 5e-3), D_star=(2e-3, 2.5e-3)),
            "the bounds leave no D_star above D",
        ),
        (
            "ordered_parameters_are_comparable",
            one(one_product, SLOW, FAST, ascending=(("D", "D_star"),)),
            "D and D_star belong to one compartment",
        ),
        (
            "special_cases_hold",
            replace(BIEXP, special_cases={"monoexp": {"D_star": 0.01}}),
            "with D_star = 0.01 the parameters S0, f, D are left; model monoexp has S0, ADC",
        ),
        (
            "special_cases_hold",
            replace(BIEXP, special_cases={"sivim": {"D_star": 0.05}}),
            "with D_star = 0.05 the signal is not that of model sivim",
        ),
        (
            "settings_determine_the_parameters",
            one(one_product, ADC, FACTOR),
            "ADC and k",
        ),
    ],
)
def test_a_model_that_breaks_a_rule(rule, model, said):
    found = RULES[rule](model)
    assert found is not None
    assert re.search(said, found), found


class HalfBlood(SignalModel):
    """Its compartments do not add up."""

    def components(self, params):
        found = super().components(params)
        found["blood"][0] /= 2.0
        return found


def test_compartments_that_do_not_add_up():
    model = HalfBlood(**{field.name: getattr(BIEXP, field.name) for field in fields(BIEXP)})
    assert "do not add up at S0 = " in RULES["compartments_add_up"](model)


def test_a_signal_that_is_not_proportional(monkeypatch):
    def squared(model, params, x):
        return params[:, :1] ** 2 * np.ones(x.shape[1])

    monkeypatch.setattr(testing, "evaluate", squared)
    assert "not proportional to S0" in RULES["signal_is_proportional_to_S0"](MONOEXP)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda r: {"maps": {**r.maps, "ADC": 1.01 * r.maps["ADC"]}},
            "gave ADC = .*; expected an",
        ),
        (lambda r: {"status": r.status | int(FitStatus.NOT_CONVERGED)}, "could not be fitted"),
    ],
)
def test_a_truth_that_is_not_found(monkeypatch, change, said):
    fitted = testing._fitted

    def off(model, truth):
        result = fitted(model, truth)
        return replace(result, **change(result))

    monkeypatch.setattr(testing, "_fitted", off)
    assert re.search(said, RULES["truth_is_found"](MONOEXP))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda maps: {"ADC": maps["ADC"]}, "maps that came back are ADC"),
        (lambda maps: {**maps, "ADC": 1.01 * maps["ADC"]}, "predicts other signals"),
    ],
)
def test_a_result_that_does_not_come_back(monkeypatch, change, said):
    load = ik.io.load_result

    def changed(folder, **options):
        result = load(folder, **options)
        return replace(result, maps=change(result.maps))

    monkeypatch.setattr(ik.io, "load_result", changed)
    assert said in RULES["results_come_back"](MONOEXP)


def test_all_that_is_wrong_is_told_at_once():
    said = r"model monoexp breaks 1 of 10 rules:\n- parameters are described: .*contain 'S0'"
    with pytest.raises(AssertionError, match=said):
        check_model(replace(MONOEXP, equation="S"))


def test_what_is_not_a_model_is_refused():
    with pytest.raises(OptionError, match="unknown model 'mine'"):
        check_model("mine")
    with pytest.raises(OptionError, match="equation of model mine is not known"):
        check_model(replace(MONOEXP, name="mine", compartments=()))
