"""Numbers in tables: few digits, units as figures show them."""

import math

import pytest

from ivimkit import models
from ivimkit.report.number import in_unit, percent, significant, thousands, unit_of

D = models.get("biexp")["D"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.23456, "1.23"),
        (1000.4, "1000"),
        (0.0, "0.00"),
        (-0.5, "−0.500"),
        (12.0, "12.0"),
        (123.4, "123"),
        (3.2e-9, "3.20e−09"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_significant(value, text):
    assert significant(value) == text


def test_units():
    assert (in_unit(D, 1.1e-3), unit_of(D)) == ("1.10", "10⁻³\u00a0mm²/s")
    assert percent(0.1234) == "12.3 %"
    assert percent(math.nan) == "–"
    assert thousands(1234567) == "1\u202f234\u202f567"
