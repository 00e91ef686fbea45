"""The first look at a voxel: finite, and any signal at all; its spread about the mean."""

import math

import numpy as np
import pytest

from ivimkit.kernels.screen import screen, spread
from tolerances import CLOSED_FORM

ONES = np.ones(5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_sum_is_finite_only_if_every_signal_is(bad):
    signal = np.array([3.0, bad, 1.0, 0.0, -2.0])
    assert not math.isfinite(screen(ONES, signal)[0])
    assert screen(np.array([1.0, 0, 1, 1, 1]), signal) == (2.0, 2.0), "without weight, unseen"


def test_infinities_of_both_signs_do_not_cancel():
    signal = np.array([math.inf, -math.inf, 1.0, 1.0, 1.0])
    assert not math.isfinite(screen(ONES, signal)[0])


def test_positive_signals_are_counted():
    assert screen(ONES, np.array([1.0, 0.0, -0.0, -3.0, 5e-324]))[1] == 2.0


def test_spread_about_the_weighted_mean():
    rng = np.random.default_rng(0)
    signal, weight = rng.normal(size=40), rng.uniform(0, 2, 40)
    mean = np.average(signal, weights=weight)
    expected = (weight * (signal - mean) ** 2).sum()
    assert spread(np.sqrt(weight), signal) == pytest.approx(expected, rel=CLOSED_FORM)


def test_spread_leaves_weight_zero_out():
    signal = np.array([1.0, math.nan, 3.0])
    assert spread(np.array([1.0, 0.0, 1.0]), signal) == pytest.approx(2.0, rel=CLOSED_FORM)
