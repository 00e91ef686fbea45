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
    assert set(organ.sources) == set(organ.means)
    for source in organ.sources.values():
        assert source == organs.TYPICAL or source in organ.references


def test_presets_do_not_change():
    with pytest.raises(TypeError, match="does not support item assignment"):
        organs.get("liver").means["D"] = 1.0
