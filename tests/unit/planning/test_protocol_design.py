"""ProtocolDesign: expected errors are those of the formula, and of real fits."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.planning import Goal, StejskalTanner, published, published_for, published_names
from tolerances import CLOSED_FORM

SIMULATED = 0.15
"""Rms error of 2000 simulated fits against the linearised expectation."""


@pytest.fixture(scope="module")
def plan():
    return ik.design("liver", snr=40, n=12)


@pytest.mark.parametrize("snr", [5.0, 40.0])
def test_errors_are_those_of_the_information_and_the_prior(snr):
    plan = ik.design("kidney", snr=snr, n=8, goal=Goal(min_distinct=4))
    tissues = plan.problem.population
    bound = ik.crlb(
        "biexp", tissues.params, plan.settings.b, 1 / snr, counts=plan.counts, noise="rician"
    )
    scale = tissues.params * np.array([1, 0, 1, 1]) + np.array([0, 1, 0, 0])
    variance = []
    for covariance, d in zip(bound.covariance, scale, strict=True):
        information = np.linalg.inv(covariance / np.outer(d, d))
        variance.append(np.diag(np.linalg.inv(information + tissues.precision))[1:])
    expected = np.sqrt(np.mean(variance, axis=0)) * [
        1.0,
        tissues.mean["D_star"],
        tissues.mean["D"],
    ]
    assert_allclose(list(plan.errors.values()), expected, rtol=1e-6)


def test_table_of_settings(plan):
    table = plan.to_dataframe()
    assert table["averages"].sum() == plan.n == 12
    assert table["b"].tolist() == plan.settings.b.tolist()
    assert sorted(plan.bvals) == sorted(np.repeat(table["b"], table["averages"]))
    timed = ik.design("liver", snr=40, n=8, echo_time=StejskalTanner(T2_ms=34.0))
    assert (timed.to_dataframe()["echo_time_ms"] == timed.echo_time_ms).all()


def test_it_says_what_it_is(plan):
    assert re.match(
        r"12 volumes for liver at SNR 40: b = 0 × 2, .*; expected errors f ", str(plan)
    )
    assert (
        plan.error_table().loc["D", "share"]
        == plan.errors["D"] / plan.problem.population.mean["D"]
    )
    assert (plan.error_table()["error"] < plan.error_table()["prior"]).all()


def test_twice_the_volumes_are_as_good_as_sqrt_two_times_the_snr():
    goal = Goal(noise="gaussian")
    plan = ik.design("liver", snr=40, n=12, goal=goal)
    curves = plan.error_curves(np.array([12.0, 24.0]))
    better = plan.problem.with_snr(40 * math.sqrt(2))
    errors = better.errors(plan.settings, plan.counts.astype(float))
    assert curves["f"][1] == pytest.approx(errors[0], rel=CLOSED_FORM)
    assert curves["D"][0] == pytest.approx(plan.errors["D"], rel=CLOSED_FORM)


def test_what_a_wanted_error_takes(plan):
    found = plan.needed("D", plan.errors["D"] / 2)
    assert found.snr > 60
    assert found.volumes > 36
    check = plan.problem.with_snr(found.snr).errors(plan.settings, plan.counts.astype(float))
    assert check[2] * plan.problem.population.mean["D"] == pytest.approx(found.error, rel=1e-3)
    assert math.isnan(plan.needed("f", 1e-12).snr)
    with pytest.raises(OptionError, match="'K' is not estimated; expected one of f, D_star, D"):
        plan.needed("K", 1.0)
    with pytest.raises(OptionError, match=r"wanted error of f is 0\.0"):
        plan.needed("f", 0.0)


def test_comparison_is_at_the_same_scan_time(plan):
    table = plan.comparison(
        {"own": plan.bvals, "twice": np.tile(plan.bvals, 2), "b13": ik.simulate.B13}
    )
    assert_allclose(table.loc["own", "ratio"], 1.0, rtol=CLOSED_FORM)
    assert_allclose(table.loc["twice", "D"], plan.errors["D"], rtol=CLOSED_FORM)
    assert table.loc["b13", "ratio"] > 1.0
    assert table.loc["b13", "volumes"] == 13


def test_real_fits_have_the_expected_errors(plan):
    methods = {"varpro": ik.methods.get("varpro")}
    found = plan.monte_carlo(2000, methods, seed=1)
    again = plan.monte_carlo(2000, methods, seed=1)
    other = plan.monte_carlo(2000, methods, seed=2)
    assert found.equals(again)
    assert not found.equals(other)
    assert (found["failed"] < 0.02).all()
    # Fits without the prior have the larger errors of the bound without it.
    assert (found["rmse"] > found["expected"]).all()
    with pytest.raises(OptionError, match="n is 0; expected a number of voxels"):
        plan.monte_carlo(0, methods)


def test_fits_reach_the_bound_where_perfusion_is_strong():
    goal = Goal(criterion="crlb", noise="gaussian")
    plan = ik.design("liver", snr=1000, n=12, goal=goal)
    found = plan.monte_carlo(2000, {"varpro": ik.methods.get("varpro")})
    assert_allclose(found["rmse"], found["expected"], rtol=SIMULATED)


def test_published_sets():
    for name in published_names():
        one = published(name)
        assert one.bvals[0] == 0
        assert "doi:" in one.reference or "PMC" in one.reference or one.name in ("b13", "b21")
    assert {one.organ for one in published_for("brain")} == {"brain", ""}
    with pytest.raises(OptionError, match="no published set 'smith'; expected one of dyvorne2014"):
        published("smith")
