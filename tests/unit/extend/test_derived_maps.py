import pytest

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import DERIVED, describe, is_about_another


def test_describes_parameters_and_derived_maps():
    parameters = models.get("biexp").parameters
    assert describe("D", parameters) is models.get("biexp")["D"]
    assert describe("fD_star", parameters).unit == "mm^2/s"


def test_a_models_own_parameter_comes_first():
    monoexp = models.get("monoexp")
    assert describe("ADC", monoexp.parameters) is monoexp["ADC"]


def test_all_have_a_description():
    assert all(parameter.description for parameter in DERIVED)


def test_unknown_map():
    with pytest.raises(OptionError, match=r"no map 'T2'; expected one of ADC, fD_star"):
        describe("T2", ())


def test_maps_that_tell_how_sure_another_is():
    names = ["D", "f", "D_star", "D_star_sd", "D_bits", "corr_f_D", "fD_star"]
    about = [name for name in names if is_about_another(name, names)]
    assert about == ["D_star_sd", "D_bits", "corr_f_D"]
    assert not is_about_another("Q_sd", names)
