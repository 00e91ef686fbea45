"""The race: rounds in turn, the next voxels each, and what becomes of those who stop."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from benchmarks.contender import Answer, Contender
from benchmarks.contender_process import Timed
from benchmarks.contenders import contenders_of
from benchmarks.data import DataSet, simulated
from benchmarks.race import ROUNDS, Entry, race, voxels_per_round
from benchmarks.recovery import recovery_error

(SCIPY,) = contenders_of("scipy")
DATA = simulated("b21", 50, 8)


@pytest.fixture(autouse=True)
def _few_noise_free_voxels(monkeypatch: pytest.MonkeyPatch) -> None:
    """What recovery is has tests of its own."""
    few = partial(recovery_error, voxels=4)
    monkeypatch.setattr(import_module("benchmarks.race"), "recovery_error", few)


class Runner:
    """A process that answers from memory, and writes down when it was asked for what."""

    def __init__(self, name: str, calls: list[tuple[str, int]], *, factor: float = 1.0) -> None:
        self.name, self.calls, self.factor, self.stops_at = name, calls, factor, 99
        self.fit_here = SCIPY.make(DATA.bvals)

    def fit(self, signal: np.ndarray, bvals: np.ndarray) -> Timed:
        self.calls.append((self.name, signal.shape[0]))
        if len([name for name, _ in self.calls if name == self.name]) >= self.stops_at:
            raise RuntimeError(f"{self.name} stopped")
        params = self.fit_here(signal).params * [1.0, self.factor, 1.0, 1.0]
        flagged = np.ones(signal.shape[0], dtype=bool)
        return Timed(Answer(params, flagged), 0.5 * len(self.calls), 1000 * len(self.calls), "1")


def entry(name: str, calls: list[tuple[str, int]], **options: Any) -> Entry:
    contender = Contender(
        **{**vars(SCIPY), "name": name, "label": name, "pace": 2.0 if name == "slow" else 100.0}
    )
    return Entry("scipy", contender, Runner(name, calls, **options), "1", 1.0)  # type: ignore[arg-type]


def test_rounds_are_in_turn_and_slow_ones_get_the_next_voxels() -> None:
    calls: list[tuple[str, int]] = []
    notes: list[str] = []
    laps = race(DATA, [entry("slow", calls), entry("fast", calls)], 1.0, notes)
    assert calls[2:] == [("slow", 2), ("fast", 8)] * ROUNDS
    assert notes == []
    fits = SCIPY.make(DATA.bvals)(DATA.signal).params
    np.testing.assert_array_equal(laps["slow"].params, fits[: 2 * ROUNDS])
    np.testing.assert_array_equal(laps["fast"].params, fits)
    assert laps["slow"].flagged.all()
    # The median of 2 / 1.5, 2 / 2.5 and 2 / 3.5 s; the largest of the peaks.
    assert laps["slow"].speed == pytest.approx(2 / 2.5)
    assert laps["slow"].peak == 7000


def test_when_there_are_no_more_voxels_the_first_are_fitted_again() -> None:
    laps = race(DATA.first(3), [entry("slow", [])], 1.0, [])
    assert laps["slow"].params.shape == (2, 4)


def test_who_does_not_recover_is_not_valid_and_is_told_once_per_b_values() -> None:
    notes: list[str] = []
    wrong = entry("wrong", [], factor=1.1)
    race(DATA, [wrong], 1.0, notes)
    race(DATA, [wrong], 1.0, notes)
    assert not wrong.is_valid(DATA.bvals)
    (note,) = notes
    assert "wrong: noise-free fits" in note
    assert "off by 0.1" in note
    assert "times there do not count" in note


def test_who_stops_is_out_and_the_others_go_on() -> None:
    calls: list[tuple[str, int]] = []
    notes: list[str] = []
    broken = entry("broken", calls)
    broken.process.stops_at = 3  # type: ignore[attr-defined]
    laps = race(DATA, [broken, entry("fast", calls)], 1.0, notes)
    assert list(laps) == ["fast"]
    assert notes == [f"{DATA.name}: broken stopped."]
    assert broken.is_valid(DATA.bvals)


def test_voxels_per_round() -> None:
    many = DataSet("many", DATA.bvals, np.ones((1000, DATA.bvals.size)))
    assert voxels_per_round(SCIPY, many, 0.5) == SCIPY.pace / 2
    assert voxels_per_round(SCIPY, many, 1e-9) == 2
    assert voxels_per_round(SCIPY, many, 1e9) == 1000
