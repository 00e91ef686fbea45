"""Scores of answers whose faults are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.contenders import contenders_of
from benchmarks.data import B21, DataSet, simulated, two_pool_signal
from benchmarks.reference import cost_of
from benchmarks.scores import scores_of

(SCIPY,) = contenders_of("scipy")
NAMES = ("S0", "f", "D_star", "D")


def made_set(n: int) -> tuple[DataSet, np.ndarray]:
    data = simulated("b21", 50, n)
    return data, np.stack([data.truth[name] for name in NAMES], axis=1)


def test_errors_failures_and_silence() -> None:
    data, params = made_set(4)
    params[1, 3] *= 1.2
    params[2, 1] *= 2.0  # Wrong, and says so.
    params[3] = np.nan
    flagged = np.array([False, False, True, False])
    scores = scores_of(SCIPY, data, params, flagged, None)
    assert (scores.voxels, scores.failed, scores.silent, scores.optimum) == (4, 0.25, 0.0, None)
    median, bias, rmse = scores.errors["D"]
    off = 0.2e3 * data.truth["D"][1]
    assert median == pytest.approx(0.0, abs=1e-9)
    assert bias == pytest.approx(off / 3)
    assert rmse == pytest.approx(off / 3**0.5)
    quiet = scores_of(SCIPY, data, params, np.zeros(4, dtype=bool), None)
    assert quiet.silent == 0.25


def test_nothing_but_failures_has_no_errors() -> None:
    data, params = made_set(3)
    scores = scores_of(SCIPY, data, params * np.nan, np.zeros(3, dtype=bool), np.ones(3))
    assert (scores.failed, scores.silent, scores.optimum) == (1.0, 0.0, 0.0)
    assert scores.errors["f"] == (None, None, None)


def test_what_is_not_estimated_is_not_judged() -> None:
    data, params = made_set(3)
    params[:, 2] = np.nan
    ours = replace(SCIPY, estimates=("D", "f"))
    scores = scores_of(ours, data, params, np.zeros(3, dtype=bool), None)
    assert scores.failed == 0.0
    assert scores.errors["D_star"] == (None, None, None)


def test_share_at_the_optimum() -> None:
    data, params = made_set(4)
    reference = cost_of(data.bvals, data.signal, params)[:3]
    reference[1] /= 1.0009
    reference[2] /= 1.0011
    scores = scores_of(SCIPY, data, params, np.zeros(4, dtype=bool), reference)
    assert scores.optimum == pytest.approx(2 / 3)


def test_without_truth_there_are_no_errors() -> None:
    truth = {
        name: np.array([value]) for name, value in zip(NAMES, (1.0, 0.1, 0.02, 1e-3), strict=True)
    }
    data = DataSet("scan", B21, two_pool_signal(B21, **truth))
    params = np.stack([truth[name] for name in NAMES], axis=1)
    scores = scores_of(SCIPY, data, params, np.zeros(1, dtype=bool), np.array([1.0]))
    assert scores.silent is None
    assert scores.errors == {}
    assert scores.optimum == 1.0
