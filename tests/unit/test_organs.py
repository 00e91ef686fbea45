import re

import pytest

from ivimkit import models, organs
from ivimkit.errors import OptionError

PROMISED = ("brain", "liver", "kidney", "prostate", "pancreas", "muscle", "breast")


def test_names():
    assert set(organs.names()) == set(PROMISED)


def test_unknown_organ_lists_all():
    with pytest.raises(OptionError, match=r"no organ 'heart'; expected one of brain, liver"):
        organs.get("heart")


@pytest.mark.parametrize("name", PROMISED)
def test_means_are_inside_the_default_bounds(name):
    organ, model = organs.get(name), models.get("biexp")
    assert set(organ.means) == {"f", "D_star", "D"}
    for key, mean in organ.means.items():
        assert model[key].lower < mean < model[key].upper
    assert organ.means["D_star"] > 3 * organ.means["D"]


@pytest.mark.parametrize("name", PROMISED)
def test_display_shows_the_means(name):
    organ = organs.get(name)
    assert set(organ.display) == {"f", "D_star", "D", "ADC", "fD_star"}
    for key, mean in organ.means.items():
        low, high = organ.display[key]
        assert low == 0
        assert 0.15 * high < mean < high


@pytest.mark.parametrize("name", PROMISED)
def test_adc_is_shown_on_the_scale_of_d(name):
    organ = organs.get(name)
    assert organ.display["ADC"] == organ.display["D"]


@pytest.mark.parametrize("name", PROMISED)
def test_every_preset_cites_a_doi(name):
    organ = organs.get(name)
    assert organ.references
    assert all(re.search(r"doi:10\.\d{4,}/\S+", reference) for reference in organ.references)
    assert set(organ.sources) == {*organ.means, *organ.further}
    for source in organ.sources.values():
        assert source == organs.TYPICAL or source in organ.references


def test_presets_do_not_change():
    with pytest.raises(TypeError, match="does not support item assignment"):
        organs.get("liver").means["D"] = 1.0


@pytest.mark.parametrize("name", PROMISED)
def test_further_values_belong_to_models_and_lie_inside_their_bounds(name):
    organ = organs.get(name)
    every = [models.get(model).for_organ(name) for model in models.names()]
    for key, value in organ.further.items():
        own = [model[key] for model in every if key in model.names]
        assert own, f"no model has a parameter {key}"
        assert all(p.lower < value < p.upper and p.start == value for p in own)
    for key, (low, high) in organ.bounds.items():
        assert any(key in m.names and (m[key].lower, m[key].upper) == (low, high) for m in every)
    for model in every:
        for small, large in model.ascending:
            assert model[small].upper <= model[large].upper


def test_a_parameter_that_is_like_D_has_the_values_of_D():
    tensor, plain = (models.get(name).for_organ("muscle") for name in ("tensor", "biexp"))
    assert tensor["MD"].start == plain["D"].start == organs.get("muscle").means["D"]
    assert tensor["MD"].display == plain["D"].display
    assert models.get("stretched").for_organ("muscle")["DDC"].display == plain["D"].display


def test_the_liver_moves_the_split_of_three_decays_and_the_brain_does_not():
    usual, liver = models.get("triexp"), models.get("triexp").for_organ("liver")
    assert liver["D_inter"].upper == liver["D_fast"].lower == 0.1 > usual["D_inter"].upper
    assert models.get("triexp").for_organ("brain")["D_inter"].upper == usual["D_inter"].upper
    with pytest.raises(OptionError, match=r"no organ 'heart'"):
        usual.for_organ("heart")
