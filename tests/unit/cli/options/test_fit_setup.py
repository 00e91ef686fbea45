"""The model that the options of a command describe."""

from ivimkit import models
from ivimkit.cli.options.fit_setup import FitSetup


def test_an_organ_sets_what_it_knows_and_the_user_has_the_last_word():
    assert FitSetup(model="triexp", organ="liver").signal_model() == (
        models.get("triexp").for_organ("liver")
    )
    own = FitSetup(
        model="triexp", organ="liver", bounds=["D_inter=0.004:0.05"], start=["D=0.002"]
    ).signal_model()
    assert (own["D_inter"].lower, own["D_inter"].upper) == (0.004, 0.05)
    assert (own["D_fast"].lower, own["D_fast"].upper) == (0.1, 1.0)
    assert own["D"].start == 0.002
    assert FitSetup(model="kurtosis", organ="prostate").signal_model()["K"].start == 0.63
    assert FitSetup(model="kurtosis").signal_model() == models.get("kurtosis")
