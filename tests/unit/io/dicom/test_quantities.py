"""Quantities: every map of every model has codes that the standard allows."""

import dataclasses

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.extend.compartment import Compartment
from ivimkit.extend.derived_maps import DERIVED, SUFFIXES
from ivimkit.extend.signal_model import SignalModel
from ivimkit.io.dicom.quantities import PRIVATE_SCHEME, quantity_of
from ivimkit.kernels.separable.atoms import decay
from ivimkit.parameter import Parameter
from made_results import made_result

STANDARD = {
    ("monoexp", "ADC"): "113290",
    ("biexp", "D"): "113291",
    ("biexp", "D_star"): "113292",
    ("biexp", "f"): "113293",
    ("biexp", "ADC"): "113290",
    ("biexp", "S0"): "110852",
    ("sivim", "D"): "113291",
    ("sivim", "f"): "113293",
    ("kurtosis", "D"): "113294",
    ("kurtosis", "K"): "113206",
    ("kurtosis", "D_star"): "113292",
    ("stretched", "DDC"): "113298",
    ("stretched", "alpha"): "113299",
    ("tensor", "MD"): "113202",
    ("tensor", "FA"): "110808",
    ("tensor", "D_star"): "113292",
    # Of three compartments, none is the slow or the fast one of the standard.
    ("triexp", "D"): "D",
    ("triexp", "D_fast"): "D_fast",
}
MODELS = {
    "monoexp": "113250",
    "biexp": "113251",
    "kurtosis": "113252",
    "stretched": "113254",
    "sivim": "sivim",
    "triexp": "triexp",
    "tensor": "113231",
}
METHODS = {
    "trr": "113266",
    "bayes": "113270",
    "loglinear": "113261",
    "varpro": "varpro",
    "segmented": "113269",
}


def result_of(model, method="varpro"):
    """Return a result with all maps that a fit of a model may have."""
    names = [*(one.name for one in model.quantities), *(one.name for one in DERIVED)]
    names = list(dict.fromkeys(names))
    names += [f"{name}{end}" for name in names for end in SUFFIXES]
    names += [f"corr_{model.names[0]}_{model.names[-1]}"]
    result = made_result({name: np.zeros((1, 1, 1)) for name in names})
    settings = dataclasses.replace(result.settings, model=model, method=ik.methods.get(method))
    return dataclasses.replace(result, settings=settings)


def check(quantity):
    codes = [quantity.code, quantity.unit.code, quantity.model, quantity.method]
    codes += [quantity.derivation] if quantity.derivation else []
    for code in codes:
        assert 0 < len(code.value) <= 16
        assert 0 < len(code.meaning) <= 64
        assert "\\" not in code.value + code.meaning


@pytest.mark.parametrize("name", ik.models.names())
def test_every_map_of_every_model(name):
    result = result_of(ik.models.get(name))
    for one in result.maps:
        check(quantity_of(result, one))


@pytest.mark.parametrize(("model", "name"), STANDARD)
def test_codes_of_the_standard(model, name):
    found = quantity_of(result_of(ik.models.get(model)), name).code
    assert found.value == STANDARD[model, name]
    assert found.scheme_designator == ("DCM" if found.value.isdigit() else PRIVATE_SCHEME)


@pytest.mark.parametrize("model", MODELS)
def test_models(model):
    name = ik.models.get(model).names[-1]
    assert quantity_of(result_of(ik.models.get(model)), name).model.value == MODELS[model]


@pytest.mark.parametrize("method", METHODS)
def test_methods(method):
    result = result_of(ik.models.get("biexp"), method)
    assert quantity_of(result, "D").method.value == METHODS[method]


def test_steps_of_the_segmented_fit_and_fixed_D_star():
    result = result_of(ik.models.get("biexp"))
    settings = result.settings
    two = dataclasses.replace(settings, method=ik.methods.get("segmented", steps=2))
    assert quantity_of(dataclasses.replace(result, settings=two), "D").method.value == "113268"
    fixed = dataclasses.replace(settings, model=settings.model.with_fixed(D_star=0.02))
    assert quantity_of(dataclasses.replace(result, settings=fixed), "D").method.value == "113267"


def test_adc_of_an_ivim_fit_is_that_of_one_decay_and_its_b_values():
    result = result_of(ik.models.get("biexp"))
    some = dataclasses.replace(result.settings, adc_bvals=(0.0, 800.0))
    found = quantity_of(dataclasses.replace(result, settings=some), "ADC")
    assert (found.model.value, found.method.value) == ("113250", "113261")
    assert found.bvals == [0.0, 800.0]
    assert len(quantity_of(result, "D").bvals) == 8


def test_units_and_windows():
    result = result_of(ik.models.get("biexp"))
    rate, fraction = quantity_of(result, "D"), quantity_of(result, "f_sd")
    assert (rate.unit.code.value, rate.unit.factor, rate.window) == ("um2/s", 1e6, (0, 2500))
    assert (fraction.unit.code.value, fraction.unit.factor) == ("%", 100)
    assert fraction.derivation.meaning == "Standard Deviation"
    liver = dataclasses.replace(result.settings, organ="liver")
    display = ik.organs.get("liver").display["D_star"]
    window = quantity_of(dataclasses.replace(result, settings=liver), "D_star").window
    np.testing.assert_allclose(window, np.array(display) * 1e6)


def test_information_is_in_bits():
    assert quantity_of(result_of(ik.models.get("biexp")), "f_bits").unit.code.value == "bit"


def test_model_of_ones_own():
    """Names, units and descriptions of any length and in any letters."""
    slow = Parameter("a_very_long_name_of_a_rate", "α", "µm²/ms {x}\\", 0, 1, 0.5)
    odd = Parameter("Δ", "Δ", "", 0, 1, 0.5, description="d" * 200, role="fraction")
    fast = Parameter("second", "s", "mm^2/s", 0, 1, 0.5)
    model = SignalModel(
        name="a_model_with_a_long_name",
        title="one \\ two " * 20,
        equation="",
        compartments=(
            Compartment("one", decay, (fast,), fraction=odd),
            Compartment("two", decay, (slow,)),
        ),
    )
    result = result_of(model)
    for name in result.maps:
        check(quantity_of(result, name))
    codes = {quantity_of(result, name).code.value for name in model.names}
    assert len(codes) == len(model.names)
    unknown = dataclasses.replace(model, compartments=())
    for name in result.maps:
        check(quantity_of(result_of(unknown), name))


def test_unknown_map():
    with pytest.raises(OptionError, match="there is no map 'Q'"):
        quantity_of(result_of(ik.models.get("biexp")), "Q")
