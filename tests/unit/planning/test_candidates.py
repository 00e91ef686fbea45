"""Candidates: the steps of scanners, given ones, and tables of further variables."""

from __future__ import annotations

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.extend.compartment import Compartment
from ivimkit.extend.ivim_parameters import D
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import relaxing
from ivimkit.parameter import Parameter
from ivimkit.planning import Goal, StejskalTanner, candidates_of
from ivimkit.planning.candidates import counted_settings

T2 = Parameter("T2", "T2", "ms", 10.0, 300.0, 60.0, role="time", typical=(30.0, 90.0))
RELAXING = SignalModel(
    name="relaxing tissue",
    title="tissue with T2",
    equation="S = S0 exp(-b D - TE / T2)",
    compartments=(Compartment("tissue", relaxing, (D, T2), variables=("b", "echo_time")),),
)
TABLE = {
    "b": np.tile([0.0, 200, 400, 800], 3),
    "echo_time": np.repeat([50.0, 70, 100], 4),
}


def test_usual_steps_end_at_the_highest_b_value():
    b = candidates_of(ik.models.get("biexp"), b_max=430.0).b
    assert b[0] == 0.0
    assert b[-2:].tolist() == [400.0, 430.0]
    assert (np.diff(b) > 0.0).all()


def test_a_model_that_needs_high_b_values_gets_them():
    assert candidates_of(ik.models.get("kurtosis")).b.max() == 1500.0
    assert candidates_of(ik.models.get("biexp")).b.max() == 800.0


def test_no_candidates_where_the_model_does_not_hold():
    b = candidates_of(ik.models.get("sivim"), organ="liver").b
    assert b[0] == 0.0
    assert b[1] == ik.organs.get("liver").b_split


def test_repeated_volumes_are_counted():
    settings, counts = counted_settings(
        RELAXING, {"b": [800, 0, 0, 0], "echo_time": [60, 60, 50, 50]}
    )
    assert settings.columns["echo_time"].tolist() == [50.0, 60.0, 60.0]
    assert counts.tolist() == [2.0, 1.0, 1.0]


def test_echo_times_are_chosen_like_b_values():
    plan = ik.design(snr=40, n=8, model=RELAXING, candidates=TABLE)
    assert set(plan.volumes) == {"b", "echo_time"}
    assert len(np.unique(plan.volumes["echo_time"])) > 1
    assert plan.acquisition.variables["echo_time"].tolist() == plan.volumes["echo_time"].tolist()
    # The SNR is that of b = 0 at the shortest echo time.
    assert plan.problem.reference == pytest.approx(
        np.exp(-50.0 / plan.problem.population.params[:, 2]).mean(), rel=1e-12
    )


def test_models_of_further_variables_need_a_table():
    with pytest.raises(OptionError, match="depends on b and echo_time; expected the settings"):
        ik.design(snr=40, n=12, model=RELAXING)
    with pytest.raises(OptionError, match="echo_time is missing; expected a table"):
        ik.design(snr=40, n=12, model=RELAXING, candidates=[0, 400, 800])
    with pytest.raises(OptionError, match="expected no other rule for it"):
        ik.design(
            snr=40,
            n=8,
            model=RELAXING,
            candidates=TABLE,
            echo_time=StejskalTanner(T2_ms=34.0),
            goal=Goal(min_distinct=2),
        )
