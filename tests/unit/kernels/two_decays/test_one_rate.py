"""fit_rate: the best fast rate, all else given, against searches that share nothing with it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from ivimkit.kernels.two_decays.atoms import build_dictionary
from ivimkit.kernels.two_decays.fitted_decays import INSTANT_RATE, MIN_RATE_RATIO, Box
from ivimkit.kernels.two_decays.one_rate import fit_rate, rate_scratch
from ivimkit.kernels.two_decays.option_positions import two_decay_options
from ivimkit.kernels.voxel import Voxel
from plain_kernels import plain
from tolerances import CLOSED_FORM, NOISE_FREE, SAME_COST, SAME_MINIMUM, ULP

B = np.array([0.0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800, 0, 0, 0])
EVEN = np.where(np.arange(B.size) < 13, 1.0, 0.0)
UNEVEN = EVEN * (1.0 + np.arange(B.size) % 3)
LOW, HIGH = 2e-3, 0.2
N1, N2 = 16, 8
# Points of the scan: neighbours are 2 % apart.
SCAN = 240


def fitted(signals, s0, f, slow, *, fast=(LOW, HIGH), weight=UNEVEN):
    """Fits in rows, as `fit_rate` returns them."""
    table = build_dictionary(B, weight, (0.0, 5e-3), fast, (0.0, 1.0), N1, N2).table
    given = np.broadcast_arrays(s0, s0, f, f, *fast, slow, slow, signals[:, 0])[:-1]
    work = np.zeros(rate_scratch(B.size, N2))
    options = two_decay_options((0, 1, 2, 3), N1, N2, 9, {})
    boxes = np.stack(given, axis=1).astype(float)
    x, root_weight, nothing = B[np.newaxis], np.sqrt(weight), options
    found = [
        plain(fit_rate)(
            Voxel(x, root_weight, signal, math.nan, *[nothing] * 3, options, table, work),
            Box(*box),
        )
        for signal, box in zip(signals, boxes, strict=True)
    ]
    return np.array(found)


def pools(s0, f, fast, slow):
    s0, f, fast, slow = (np.asarray(x)[..., None] for x in (s0, f, fast, slow))
    return s0 * (f * np.exp(-fast * B) + (1 - f) * np.exp(-slow * B))


def costs(signals, s0, f, fast, slow, weight=UNEVEN):
    return (weight * (signals - pools(s0, f, fast, slow)) ** 2).sum(axis=1)


def noisy(n, snr, seed):
    """Signals of tissue, and S0, f and D that are a little wrong, as those of a line are."""
    rng = np.random.default_rng(seed)
    f, fast, slow = rng.uniform([0.02, 5e-3, 0.4e-3], [0.6, 0.15, 3e-3], (n, 3)).T
    signals = pools(1000.0, f, fast, slow) + rng.normal(0, 1000 / snr, (n, B.size))
    s0 = 1000 + rng.normal(0, 1000 / snr, n)
    f = np.clip(f + rng.normal(0, 1 / snr, n), 0.01, 1.0)
    return signals, s0, f, slow * rng.uniform(0.9, 1.1, n), fast


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), snr=st.floats(4, 200))
def test_no_rate_is_better(seed, snr):
    signals, s0, f, slow, _ = noisy(40, snr, seed)
    found = fitted(signals, s0, f, slow)
    assert (found[:, 8] == 0).all()
    rates, cost = found[:, 1], found[:, 4]
    low = np.maximum(LOW, MIN_RATE_RATIO * slow)
    assert ((rates >= low) & (rates <= HIGH)).all()
    np.testing.assert_allclose(cost, costs(signals, s0, f, rates, slow), rtol=SAME_COST)
    scan = low * (HIGH / low) ** np.linspace(0, 1, SCAN)[:, None]
    scanned = np.array([costs(signals, s0, f, rate, slow) for rate in scan])
    assert (cost <= scanned.min(axis=0) * (1 + SAME_COST)).all()
    for i in range(0, len(signals), 10):
        best = scanned[:, i].argmin()
        around = scan[max(best - 1, 0), i], scan[min(best + 1, SCAN - 1), i]
        polished = minimize_scalar(
            lambda rate, i=i: costs(signals[[i]], s0[i], f[i], rate, slow[i])[0],
            bounds=around,
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert cost[i] <= polished.fun * (1 + SAME_COST)


# Noise made a second minimum in these: S0, f and D of their fit, and where the better one is. In
# the last the dictionary does not show it: the faster one of its decays, the better, to the bound.
TWO_BASINS = {
    "beside a bound": (
        [
            1002.7,
            923.2,
            945.9,
            902.2,
            834.9,
            751.7,
            738.3,
            682.5,
            630.3,
            507.3,
            416.7,
            294.7,
            161.4,
        ],
        (1002.67, 0.051854, 2.05979e-3),
        0.0188,
    ),
    "slower": (
        [
            956.6,
            875.5,
            867.2,
            853.4,
            884.8,
            812.5,
            864.3,
            895.5,
            729.6,
            763.0,
            725.6,
            734.6,
            533.6,
        ],
        (956.62, 0.123611, 0.38802e-3),
        0.0118,
    ),
    "faster": (
        [
            1035.9,
            1108.2,
            931.9,
            888.0,
            859.8,
            889.7,
            829.3,
            924.3,
            813.5,
            556.7,
            525.8,
            512.6,
            334.4,
        ],
        (1035.91, 0.06135, 1.28376e-3),
        0.0423,
    ),
    "hidden": (
        [
            996.5,
            919.5,
            945.5,
            852.8,
            796.1,
            740.9,
            726.0,
            702.4,
            639.6,
            488.6,
            467.8,
            292.9,
            176.8,
        ],
        (996.51, 0.055686, 1.95234e-3),
        0.131,
    ),
}


@pytest.mark.parametrize(("values", "known", "expected"), TWO_BASINS.values(), ids=TWO_BASINS)
def test_the_better_of_two_basins(values, known, expected):
    s0, f, slow = known
    signal = np.zeros((1, B.size))
    signal[0, :13] = values
    found = fitted(signal, s0, f, slow, weight=EVEN)[0]
    rates = np.geomspace(LOW, HIGH, SCAN)
    scanned = np.array([costs(signal, s0, f, rate, slow, EVEN)[0] for rate in rates])
    down, up = scanned[1:] < scanned[:-1], scanned[1:] > scanned[:-1]
    minima = np.flatnonzero(np.append(True, down) & np.append(up, True))
    assert len(minima) == 2
    assert found[1] == pytest.approx(expected, rel=0.02)
    assert found[4] <= scanned.min()


def test_noise_free_data_are_exact():
    _, _, f, slow, fast = noisy(60, 50, seed=1)
    found = fitted(pools(1000.0, f, fast, slow), 1000.0, f, slow)
    np.testing.assert_allclose(found[:, 1], fast, rtol=NOISE_FREE)
    np.testing.assert_allclose(found[:, 2:4], 1000 * np.stack([1 - f, f], axis=1), rtol=4 * ULP)
    assert (found[:, 4] <= (NOISE_FREE * 1000) ** 2).all()


@pytest.mark.parametrize("bounds", [(2e-3, 20e-3), (30e-3, 0.2), (25e-3, 26e-3)])
def test_a_rate_outside_its_bounds_ends_on_the_nearer_one(bounds):
    _, _, f, slow, fast = noisy(80, 50, seed=2)
    found = fitted(pools(1000.0, f, fast, slow), 1000.0, f, slow, fast=bounds)
    outside = (fast < bounds[0]) | (fast > bounds[1])
    assert outside.sum() > 12
    np.testing.assert_array_equal(found[outside, 1], np.clip(fast, *bounds)[outside])
    np.testing.assert_allclose(found[~outside, 1], fast[~outside], rtol=NOISE_FREE)
    assert (found[:, 8] == 0).all()


def test_the_fast_rate_keeps_its_side_of_the_slow_one():
    slow = np.linspace(2.2e-3, 5e-3, 40)
    found = fitted(pools(1000.0, 0.3, 0.8 * slow, slow), 1000.0, 0.3, slow)
    np.testing.assert_array_equal(found[:, 1], MIN_RATE_RATIO * slow)
    # A rate that is faster by less than the two can be told apart is where it may be.
    found = fitted(pools(1000.0, 0.3, 1.3 * slow, slow), 1000.0, 0.3, slow)
    np.testing.assert_allclose(found[:, 1], 1.3 * slow, rtol=NOISE_FREE)


def test_without_a_fast_pool_the_rate_is_one_above_the_slow_one():
    slow = np.array([1e-3, 2.2e-3, 4e-3, 5e-3])
    signals = pools(1000.0, 0.0, LOW, slow)
    found = fitted(signals, 990.0, 0.0, slow)
    rates = build_dictionary(B, UNEVEN, (0.0, 5e-3), (LOW, HIGH), (0.0, 1.0), N1, N2).table[0, N1:]
    np.testing.assert_array_equal(found[:, 1], [rates[rates >= r][0] for r in slow])
    np.testing.assert_allclose(found[:, 4], costs(signals, 990.0, 0.0, LOW, slow), rtol=SAME_COST)
    assert (found[:, 3] == 0).all()
    assert (found[:, 6] == 0).all()
    assert (found[:, 8] == 0).all()


def test_without_a_slow_pool_the_slow_rate_is_not_seen():
    fast = np.array([5e-3, 0.03])
    found = fitted(pools(1000.0, 1.0, fast, 1e-3), 1000.0, 1.0, 1e-3)
    np.testing.assert_allclose(found[:, 1], fast, rtol=NOISE_FREE)
    assert (found[:, 2] == 0).all()
    assert (found[:, 5] == 0).all()


@pytest.mark.parametrize("rate", [0.02, INSTANT_RATE])
def test_a_rate_that_is_given_stays(rate):
    signals, s0, f, slow, _ = noisy(50, 30, seed=3)
    found = fitted(signals, s0, f, slow, fast=(rate, rate))
    assert (found[:, 1] == rate).all()
    np.testing.assert_allclose(found[:, 4], costs(signals, s0, f, rate, slow), rtol=CLOSED_FORM)
    assert (found[:, 7] == 1).all()


def test_what_is_seen_of_a_pool_is_its_amplitude_over_its_standard_deviation():
    signals, s0, f, slow, _ = noisy(60, 30, seed=4)
    found = fitted(signals, s0, f, slow)
    free = (found[:, 1] > np.maximum(LOW, MIN_RATE_RATIO * slow)) & (found[:, 1] < HIGH)
    assert 10 < free.sum() < 58
    for fit, is_free in zip(found, free, strict=True):
        r1, r2, a1, a2 = fit[:4]
        slopes = [np.exp(-r1 * B), np.exp(-r2 * B), -a2 * B * np.exp(-r2 * B)]
        jacobian = np.sqrt(UNEVEN)[:, None] * np.stack(slopes[: 2 + is_free], axis=1)
        variance = np.diag(np.linalg.inv(jacobian.T @ jacobian))[:2]
        seen = np.array([a1, a2]) ** 2 / variance
        np.testing.assert_allclose(fit[5:7], seen, rtol=SAME_MINIMUM)


def test_signals_that_no_rate_explains_still_end():
    rng = np.random.default_rng(5)
    shapes = np.array([B / 800, B < 150, B > 150, np.full(B.size, 0.5), np.zeros(B.size)])
    signals = 1000 * (shapes[rng.integers(5, size=200)] + rng.normal(0, 0.3, (200, B.size)))
    s0, f, slow = rng.uniform([1, 0, 0], [2000, 1, 5e-3], (200, 3)).T
    found = fitted(signals, s0, f, slow)
    assert (found[:, 8] == 0).all()
    scan = np.geomspace(1, HIGH / np.maximum(LOW, MIN_RATE_RATIO * slow), SCAN) * np.maximum(
        LOW, MIN_RATE_RATIO * slow
    )
    best = np.min([costs(signals, s0, f, rate, slow) for rate in scan], axis=0)
    assert (found[:, 4] <= best * (1 + SAME_COST)).all()
