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


# b-values with which a model cannot be told from a simpler one, and what is said.
POOR = {
    "monoexp": ([5, 800], "lowest b-value is 5"),
    "sivim": ([0, 200], "highest b-value is 200.*D still contains perfusion"),
    "biexp": ([0, 100, 200, 400, 600, 800, 900, 1000], "D\\* is hardly identifiable"),
    "kurtosis": ([*GOOD, 600, 1000], "highest b-value is 1000.*1500.*K is hardly identifiable"),
    "stretched": ([*GOOD, 600, 1000], "1500 or more, where alpha shows"),
    "triexp": ([*GOOD, 90, 110, 140, 500, 600], "3 b-values above.*up to 60.*expected 6.*D_inter"),
    "tensor": ([*GOOD, 600], "9 distinct settings.*expected 18"),
}


@pytest.mark.parametrize("name", POOR)
def test_every_model_says_what_its_b_values_cannot_tell(name):
    bvals, message = POOR[name]
    directions = [[1, 0, 0]] * len(bvals)
    found = models.get(name).advice(Acquisition(bvals, directions))
    assert any(re.search(message, one) for one in found), found


def test_directions_that_are_not_known_are_no_advice():
    # They are an error of its own, which a check reports in addition.
    assert models.get("tensor").advice(Acquisition([0, 10, 30, 60, 200, 500])) == []
