"""The reference optimum of several sets and bounds at once, and the sets it is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import reference
from benchmarks.data import (
    ABDOMEN,
    PROTOCOLS,
    abdomen_scan,
    organ_mixture,
    simulated,
    two_pool_signal,
)
from benchmarks.phantoms import phantom_set
from benchmarks.reference import Bounds, Job, best_costs, best_costs_of, cost_from, cost_of

WIDE: Bounds = ((0.0, 0.2), (0.0, 1.0), (0.0, 1.0))
USUAL: Bounds = ((0.0, 1.0), (2e-3, 0.2), (0.0, 5e-3))
STARTS = 2


def here(jobs: list[Job]) -> list[np.ndarray]:
    return [reference._fit_job(job) for job in jobs]


def test_several_problems_are_solved_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "_CACHE", tmp_path / "one")
    monkeypatch.setattr(reference, "_on_all_cores", here)
    data = simulated("b13", 50, 22)  # More than one job.
    few = simulated("b21", 50, 2)
    problems = [(data, USUAL), (few, WIDE), (few, USUAL)]
    together = best_costs_of(problems, starts=STARTS)
    assert [costs.size for costs in together] == [22, 2, 2]
    monkeypatch.setattr(reference, "_CACHE", tmp_path / "two")
    for (one, bounds), costs in zip(problems, together, strict=True):
        np.testing.assert_array_equal(best_costs(one, bounds, starts=STARTS), costs)

    def again(jobs: list[Job]) -> list[np.ndarray]:
        raise AssertionError("it was kept")

    monkeypatch.setattr(reference, "_on_all_cores", again)
    for one, two in zip(best_costs_of(problems, starts=STARTS), together, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_reference_is_no_worse_than_a_fit_from_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "_CACHE", tmp_path)
    monkeypatch.setattr(reference, "_on_all_cores", here)
    data = simulated("b21", 100, 4)
    truth = np.stack([data.truth[name] for name in ("S0", "f", "D_star", "D")], axis=1)
    (costs,) = best_costs_of([(data, USUAL)], starts=10)
    for signal, start, cost in zip(data.signal, truth, costs, strict=True):
        assert cost <= 1.001 * cost_from(data.bvals, signal, start, USUAL)


def test_no_start_is_outside_the_bounds() -> None:
    for bounds in (USUAL, WIDE):
        job = Job(np.array([0.0]), np.ones((1, 1)), bounds, 200, 0)
        points = reference._random_starts(job, job.signal[0], 0)
        assert np.isfinite(points).all()
        for column, (low, high) in zip(points.T[1:], bounds, strict=True):
            assert (low <= column).all()
            assert (column <= high).all()
        assert points[:, 3].max() <= 5e-3


def test_organs_are_four_with_noise() -> None:
    data = organ_mixture("b21", 100, 4000)
    assert data.name == "organs, b21 SNR 100"
    assert data.truth["D"].mean() == pytest.approx(
        np.mean([1.1, 2.0, 1.25, 1.45]) * 1e-3, rel=0.02
    )
    clean = two_pool_signal(data.bvals, **data.truth)
    assert np.std(data.signal - clean) == pytest.approx(10.0, rel=0.02)


@pytest.mark.parametrize("kind", ["abdomen", "brain"])
def test_phantoms_have_perfused_voxels_of_known_truth(kind: str) -> None:
    data = phantom_set(kind, 50)
    assert data.signal.shape == (50, data.bvals.size)
    assert data.bvals.size == PROTOCOLS["b13"].size
    assert all((values > 0.0).all() for values in data.truth.values())
    clean = two_pool_signal(data.bvals, **data.truth)
    assert np.median(np.abs(data.signal / clean - 1.0)) < 0.1
    assert cost_of(data.bvals, clean, np.zeros((50, 4))).min() > 0.0


def test_the_abdomen_scan_has_nine_b_values(shared_data: Path) -> None:
    data = abdomen_scan(100, ABDOMEN)
    assert data is not None
    np.testing.assert_array_equal(data.bvals, [0, 10, 25, 50, 100, 200, 300, 400, 500])
    assert data.signal.shape == (100, 9)
    assert data.truth == {}
    middle = np.median(data.signal, axis=0)
    assert middle[0] > 2.0 * middle[-1]


def test_a_scan_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert abdomen_scan(10, tmp_path) is None
