"""Advice about b-values: what each model asks for."""

import re

import pytest

from ivimkit import models
from ivimkit.extend.b_value_advice import coverage_needed
from ivimkit.scan.acquisition import Acquisition

GOOD = [0, 10, 20, 40, 80, 200, 400, 800]
BIEXP = models.get("biexp")


@pytest.mark.parametrize(
    ("bvals", "message"),
    [
        ([*GOOD[:6], 800], "7 distinct b-values; expected 8 or more"),
        ([5, *GOOD[1:]], "lowest b-value is 5 s/mm.*extrapolated"),
        ([0, 60, 100, 200, 300, 400, 600, 800], "no b-value above 0 and up to 50"),
        ([0, 10, 20, 30, 40, 50, 100, 200], "highest b-value is 200.*300 or more"),
        ([*GOOD, 2000], "highest b-value is 2000.*1500.*kurtosis"),
    ],
)
def test_each_warning(bvals, message):
    (warning,) = BIEXP.advice(Acquisition(bvals))
    assert re.search(message, warning)


def test_a_good_protocol_has_no_warning():
    assert BIEXP.advice(Acquisition(GOOD)) == []


def test_models_without_perfusion_or_D_star_ask_for_less():
    two = Acquisition([0, 200])
    assert models.get("monoexp").advice(two) == []
    assert len(models.get("sivim").advice(two)) == 1


def test_a_model_without_blood_rate_needs_b_0_and_tissue_only():
    acquisition = Acquisition(GOOD)
    assert coverage_needed(BIEXP, acquisition) == acquisition.coverage()
    purposes = [part.purpose for part in coverage_needed(models.get("sivim"), acquisition)]
    assert purposes == ["S0", "tissue: D"]
