"""refit_merged, better and persist: fits whose two decays merged, or that did not end."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from ivimkit.kernels.two_decays import fitted_decays
from ivimkit.kernels.two_decays.atoms import build_dictionary
from ivimkit.kernels.two_decays.fitted_decays import MERGED, UNFINISHED, Box, Fit
from ivimkit.kernels.two_decays.one_decay import refit_merged
from ivimkit.kernels.two_decays.search import persist
from plain_kernels import plain
from tolerances import CLOSED_FORM, NOISE_FREE

better = plain(fitted_decays.better)

B = np.array([0.0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800, 0, 0, 0])
WEIGHT = np.where(np.arange(16) < 13, 1.0, 0.0)
BOX = Box(0.0, math.inf, 0.0, 1.0, 2e-3, 0.2, 0.0, 5e-3)
TABLE = build_dictionary(B, WEIGHT, (0.0, 5e-3), (2e-3, 0.2), (0.0, 1.0), 16, 8).table


def finished(which, signal, start, end, box=BOX):
    begun = Fit(*map(float, start), math.inf, 0.0, 0.0, 1, end)
    return np.array(plain(which)(B, np.sqrt(WEIGHT), signal, begun, box, TABLE))


def best_single_decay(signal, low, high):
    """Return rate and cost of the best A exp(-b r), by a search that shares nothing."""

    def cost(rate):
        decay = np.exp(-rate * B)
        amplitude = max((WEIGHT * decay * signal).sum() / (WEIGHT * decay**2).sum(), 0.0)
        return (WEIGHT * (signal - amplitude * decay) ** 2).sum()

    found = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    return found.x, found.fun


@pytest.mark.parametrize("rate", [1e-3, 2.5e-3, 4.5e-3])
def test_one_decay_is_refitted_alone(rate):
    rng = np.random.default_rng(0)
    for _ in range(20):
        signal = 1000 * np.exp(-rate * B) + rng.normal(0, 30, B.size) * (WEIGHT > 0)
        found = finished(refit_merged, signal, (2e-3, 2.02e-3, 500, 500), MERGED)
        best, cost = best_single_decay(signal, 0.0, 5e-3)
        assert found[8] == 0
        assert found[4] == pytest.approx(cost, rel=1e-8)
        assert found[0] == pytest.approx(best, rel=1e-4)
        assert found[3] == 0.0


def test_a_decay_too_fast_for_the_slow_one_becomes_the_fast_one():
    signal = 1000 * np.exp(-8e-3 * B)
    found = finished(refit_merged, signal, (5e-3, 5.05e-3, 500, 500), MERGED)
    assert found[1] == pytest.approx(8e-3, rel=NOISE_FREE)
    assert (found[2], found[3]) == pytest.approx((0.0, 1000.0), rel=NOISE_FREE)


def test_a_fit_that_ended_well_is_left_alone():
    signal = 1000 * np.exp(-1e-3 * B)
    start = (1e-3, 20e-3, 900.0, 100.0)
    for which in (refit_merged, persist):
        assert finished(which, signal, start, 0)[:4].tolist() == list(start)


def test_an_unfinished_descent_is_continued():
    signal = 800 * np.exp(-1e-3 * B) + 200 * np.exp(-20e-3 * B)
    found = finished(persist, signal, (3e-3, 0.1, 500, 500), UNFINISHED)
    assert found[8] == 0
    assert found[:4] == pytest.approx([1e-3, 20e-3, 800, 200], rel=NOISE_FREE)


def test_the_better_of_two_has_the_lower_cost_and_all_iterations():
    def fit(cost, iterations, end):
        return Fit(1e-3, 0.02, 800.0, 200.0, cost, 1.0, 1.0, iterations, end)

    assert better(fit(2.0, 3, 0), fit(1.0, 4, 0)) == fit(1.0, 7, 0)
    assert better(fit(1.0, 3, 0), fit(2.0, 4, 0)) == fit(1.0, 7, 0)
    assert better(fit(1.0, 3, 2), fit(1.0, 4, 0))[8] == 0, "of equals the one that ended"
    assert better(fit(1.0, 3, 0), fit(math.nan, 4, 2))[4] == pytest.approx(1.0, rel=CLOSED_FORM)
