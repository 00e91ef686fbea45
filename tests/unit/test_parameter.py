"""Parameter: bounds in order."""

import math

import pytest

from ivimkit.errors import OptionError
from ivimkit.parameter import Parameter


def test_equal_bounds_fix_a_parameter():
    assert Parameter("D", "D", "mm^2/s", 1e-3, 1e-3, 1e-3).fixed
    assert not Parameter("D", "D", "mm^2/s", 0.0, 1e-3, 1e-3).fixed


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (math.nan, 1.0), (0.0, math.nan)])
def test_bounds_must_be_numbers_in_order(bounds):
    with pytest.raises(OptionError, match=r"bounds of D are .* expected two numbers, the lower"):
        Parameter("D", "D", "mm^2/s", *bounds, 1e-3)


def test_display_range_is_left_to_the_data_by_default():
    assert all(math.isnan(value) for value in Parameter("S0", "S0", "a.u.", 0, 1, 0).display)
