"""Thresholds: numbers, with enough b-values on each side."""

import math

import pytest

from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.thresholds import check_threshold, require_two

SCAN = Acquisition([0, 50, 50, 200, 800])


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "200"])
def test_threshold_must_be_a_b_value(value):
    with pytest.raises(OptionError, match=r"b_split is .*; expected a b-value >= 0 in s/mm"):
        check_threshold("b_split", value)


def test_good_thresholds_pass():
    check_threshold("b_split", 0)
    check_threshold("b_split", 150.5)


def test_thresholds_are_inclusive():
    require_two(SCAN, "b_split", lower=200)
    require_two(SCAN, "b_split", upper=50)


def test_a_line_needs_two_different_b_values():
    with pytest.raises(
        AcquisitionError,
        match="b_split: a line needs two b-values with b >= 201, got 1; the scan has 0, 50, 200",
    ):
        require_two(SCAN, "b_split", lower=201)
    with pytest.raises(AcquisitionError, match=r"split_b_S0: .* two b-values with b <= 10, got 1"):
        require_two(SCAN, "split_b_S0", upper=10)
