"""Designs are optimal, keep their constraints, and are never worse than published sets."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest
from numpy.testing import assert_allclose

import ivimkit as ik
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.planning import CRITERIA, Goal, StejskalTanner, published
from ivimkit.planning.candidates import candidates_of
from ivimkit.planning.information import Information
from tolerances import CLOSED_FORM

GRID = np.array([0.0, 10, 20, 50, 100, 200, 400, 800])
NEAR_OPTIMUM = 1.01
"""The goal of the design: within 1 % of the best of all protocols."""


def all_counts(n, distinct, low):
    for chosen in combinations_with_replacement(range(len(GRID)), n):
        used = set(chosen)
        enough = len(used) >= distinct and sum(GRID[k] <= 100.0 for k in used) >= low
        if 0 in used and enough:
            yield np.bincount(chosen, minlength=len(GRID)).astype(float)


@pytest.mark.parametrize(
    ("criterion", "echo_time"),
    [*((name, None) for name in CRITERIA), ("bayes", StejskalTanner(T2_ms=34.0, gradient=30.0))],
)
def test_as_good_as_the_best_of_all_protocols(criterion, echo_time):
    goal = Goal(criterion=criterion, min_distinct=4)
    plan = ik.design("liver", snr=30, n=6, candidates=GRID, echo_time=echo_time, goal=goal)
    information = Information(plan.problem, candidates_of(ik.models.get("biexp"), GRID))
    best = min(information.value(counts) for counts in all_counts(6, 4, 2))
    assert best * (1 - CLOSED_FORM) <= plan.criterion <= NEAR_OPTIMUM * best


@pytest.mark.parametrize("size", [1.0, 3.0])
def test_further_volumes_are_as_if_computed_anew(size):
    plan = ik.design("brain", snr=30, n=7, echo_time=StejskalTanner(T2_ms=80.0))
    information = Information(plan.problem, candidates_of(ik.models.get("biexp"), GRID))
    counts = np.array([2.0, 1, 0, 0, 1, 0, 1, 0])
    found = information.values_with_more(counts, size)
    expected = [information.value(counts + size * one) for one in np.eye(len(GRID))]
    assert_allclose(found, expected, rtol=CLOSED_FORM)


@pytest.mark.parametrize("name", ["dyvorne2014", "chabert2020", "chabert2020-regular", "b13"])
def test_never_worse_than_published_sets(name):
    one = published(name)
    goal = Goal(criterion="relative", noise="gaussian", min_distinct=4)
    plan = ik.design(
        one.organ or "liver", snr=40, n=len(one.bvals), b_max=max(one.bvals), goal=goal
    )
    assert plan.comparison({name: one.bvals}).loc[name, "ratio"] >= 1.0 - CLOSED_FORM


def test_three_b_values_for_D_and_f_alone():
    goal = Goal(criterion="relative", noise="gaussian")
    plan = ik.design("liver", snr=40, n=5, model="sivim", goal=goal)
    assert plan.settings.b.tolist() == [0.0, 200.0, 800.0]
    assert plan.counts.tolist() == [1, 2, 2]
    assert sorted(plan.bvals) == sorted(published("jalnefjord2019").bvals)


def test_six_distinct_b_values_unless_told_otherwise():
    goal = {"weights": {"D": 1.0, "f": 0.0, "D_star": 0.0}}
    plan = ik.design("liver", snr=40, n=12, goal=Goal(**goal))
    free = ik.design("liver", snr=40, n=12, goal=Goal(**goal, min_distinct=2))
    assert len(plan.settings) == 6
    assert (plan.settings.b <= 100.0).sum() >= 3
    assert len(free.settings) < 6


def test_the_same_design_every_time():
    first, second = (ik.design("kidney", snr=30, n=7, candidates=GRID) for _ in range(2))
    assert first.bvals.tolist() == second.bvals.tolist()


def test_longer_echo_times_lower_the_highest_b_value():
    weak = StejskalTanner(T2_ms=25.0, gradient=12.0)
    plans = [
        ik.design("liver", snr=40, n=8, candidates=[*GRID, 1100.0, 1500.0], echo_time=echo_time)
        for echo_time in (None, weak)
    ]
    assert plans[1].settings.b.max() < plans[0].settings.b.max()
    assert plans[1].echo_time_ms == weak.ms(plans[1].settings.b.max())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 5}, r"5 volumes .* 6 distinct b-values; expected 6 volumes or more"),
        ({"n": 0}, "n is 0; expected a number of volumes"),
        ({"snr": -1.0}, "SNR is -1.0; expected a number > 0"),
        ({"organ": "spleen"}, "no organ 'spleen'; expected one of brain, liver"),
        ({"b_max": 50.0}, "highest b-value is 50.0; expected a number >= 100"),
        ({"b_max": 800.0, "model": "kurtosis"}, "expected 1500 or more for model kurtosis"),
        ({"candidates": [0, 400, 800]}, "3 distinct b-values to choose from"),
        ({"candidates": [10, 400, 800]}, "lowest b-value to choose from is 10"),
        ({"candidates": {"b": [0, 10, 400], "echo_time": 50}, "b_max": 5e9}, "to choose from"),
        ({"goal": Goal(weights={"K": 1.0})}, "weight of 'K'; expected weights of f, D_star, D"),
        ({"goal": Goal(weights={"f": 0, "D": 0, "D_star": 0})}, "all weights are 0"),
    ],
)
def test_what_cannot_be_designed(options, words):
    with pytest.raises((OptionError, AcquisitionError), match=words):
        ik.design(**({"organ": "liver", "snr": 40.0, "n": 12} | options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"criterion": "best"}, "criterion is 'best'; expected one of bayes, crlb, relative"),
        ({"noise": "chi"}, "noise is 'chi'; expected one of rician, gaussian"),
        ({"weights": {"f": -1.0}}, "weight of f is -1.0"),
        ({"min_distinct": 0}, "min_distinct is 0"),
        ({"starts": 0}, "starts is 0"),
    ],
)
def test_goals_that_make_no_sense(options, words):
    with pytest.raises(OptionError, match=words):
        Goal(**options)
