"""refine: a stationary point inside the bounds, with the cost that it says."""

import math

import numpy as np
import pytest

from ivimkit.kernels.two_decays import descent
from ivimkit.kernels.two_decays.atoms import build_dictionary
from ivimkit.kernels.two_decays.fitted_decays import Box
from plain_kernels import plain
from tolerances import CLOSED_FORM, NOISE_FREE, SAME_COST

B = np.zeros(24)
B[:21] = [0, 10, 20, 30, 40, 60, 80, 100, 120, 140, 160, 180, 200, 300, 400, 500, 600, 700, 800,
          900, 1000]  # fmt: skip
WEIGHT = np.where(np.arange(24) < 21, 1.0 + np.arange(24) % 3, 0.0)
BOX = (0.0, math.inf, 0.0, 1.0, 2e-3, 0.2, 0.0, 5e-3)
refine, squared_residual = plain(descent.refine), plain(descent.squared_residual)
TABLE = build_dictionary(B, WEIGHT, (0.0, 5e-3), (2e-3, 0.2), (0.0, 1.0), 16, 8).table


def refined(signals, start=(1.2e-3, 0.02), box=BOX):
    bounds, root_weight = Box(*map(float, box)), np.sqrt(WEIGHT)
    return np.array([refine(B, root_weight, s, *start, bounds, TABLE) for s in signals])


def signal(params):
    """Rows r1, r2, a1, a2 to signals."""
    r1, r2, a1, a2 = (np.asarray(params).T[:4])[..., None]
    return a1 * np.exp(-r1 * B) + a2 * np.exp(-r2 * B)


def tissue(n, sigma, seed):
    rng = np.random.default_rng(seed)
    truth = rng.uniform([0.6e-3, 10e-3, 600, 80], [2e-3, 60e-3, 900, 400], (n, 4))
    return truth, signal(truth) + rng.normal(0, sigma, (n, B.size)) * (WEIGHT > 0)


def costs(signals, params):
    return (WEIGHT * (signals - signal(params)) ** 2).sum(axis=1)


def test_noise_free_truth():
    truth, signals = tissue(25, 0.0, seed=0)
    found = refined(signals)
    assert (found[:, 8] == 0).all()
    np.testing.assert_allclose(found[:, :4], truth, rtol=NOISE_FREE)


@pytest.mark.parametrize("sigma", [1.0, 30.0, 100.0])
def test_cost_is_that_of_the_parameters(sigma):
    _, signals = tissue(20, sigma, seed=1)
    found = refined(signals)
    np.testing.assert_allclose(found[:, 4], costs(signals, found), rtol=SAME_COST)
    i = 7
    assert squared_residual(B, np.sqrt(WEIGHT), signals[i], *found[i, :4]) == pytest.approx(
        costs(signals[[i]], found[[i]])[0], rel=CLOSED_FORM
    )


def gain_left(signals, params):
    """Return what a Gauss-Newton step from here promises: 0 at a stationary point."""
    left = []
    for row, s in zip(params, signals, strict=True):
        r1, r2, a1, a2 = row[:4]
        e1, e2 = np.exp(-r1 * B), np.exp(-r2 * B)
        jacobian = np.stack([-B * a1 * e1, -B * a2 * e2, e1, e2], axis=1)
        jacobian *= np.sqrt(WEIGHT)[:, None]
        residual = np.sqrt(WEIGHT) * (s - a1 * e1 - a2 * e2)
        step = np.linalg.lstsq(jacobian / np.linalg.norm(jacobian, axis=0), residual, rcond=None)
        gradient = (jacobian / np.linalg.norm(jacobian, axis=0)).T @ residual
        left.append(gradient @ step[0])
    return np.array(left)


def test_it_ends_at_a_stationary_point():
    _, signals = tissue(60, 20.0, seed=2)
    found = refined(signals)
    r1, r2, a1, a2 = found[:, :4].T
    inside = (
        (found[:, 8] == 0)
        & (r1 > 0) & (r1 < 5e-3) & (r2 > 2e-3) & (r2 < 0.2) & (a1 > 0) & (a2 > 0)
    )  # fmt: skip
    assert inside.mean() > 0.9
    left = gain_left(signals[inside], found[inside])
    assert (left <= 1e-6 * found[inside, 4]).all()


@pytest.mark.parametrize(
    "box",
    [
        (0, math.inf, 0, 1, 2e-3, 0.2, 0.0, 0.9e-3),
        (0, math.inf, 0, 1, 2e-3, 15e-3, 0.0, 5e-3),
        (0, math.inf, 0.1, 0.15, 2e-3, 0.2, 0.0, 5e-3),
        (900, 1000, 0, 1, 2e-3, 0.2, 0.0, 5e-3),
        (1000, 1000, 0.2, 0.2, 2e-3, 0.2, 0.0, 5e-3),
        (950, 1050, 0.1, 0.3, 20e-3, 20e-3, 1e-3, 1e-3),
    ],
)
def test_no_feasible_step_lowers_the_cost(box):
    _, signals = tissue(30, 20.0, seed=3)
    start = np.clip([0.9e-3, 0.015], [box[6], box[4]], [box[7], box[5]])
    found = refined(signals, start=start, box=box)
    assert ((found[:, 0] >= box[6]) & (found[:, 0] <= box[7])).all()
    assert ((found[:, 1] >= box[4]) & (found[:, 1] <= box[5])).all()
    s0, f = found[:, 2] + found[:, 3], found[:, 3] / (found[:, 2] + found[:, 3])
    assert ((s0 >= box[0] * (1 - 1e-12)) & (s0 <= box[1] * (1 + 1e-12))).all()
    assert ((f >= box[2] - 1e-12) & (f <= box[3] + 1e-12)).all()
    settled = found[:, 8] == 0
    assert settled.mean() > 0.9
    # Small feasible steps in all directions: none may gain more than the descent gave up.
    rng = np.random.default_rng(4)
    low, high = np.array(box[0::2]), np.array(box[1::2])
    here = np.stack([s0, f, found[:, 1], found[:, 0]], axis=1)
    for size in (1e-2, 1e-3):
        for _ in range(40):
            there = np.clip(here * (1 + size * rng.normal(size=here.shape)), low, high)
            moved = np.stack(
                [there[:, 3], there[:, 2], there[:, 0] * (1 - there[:, 1]),
                 there[:, 0] * there[:, 1]], axis=1
            )  # fmt: skip
            gain = 1 - costs(signals, moved)[settled] / found[settled, 4]
            assert (gain < 1e-6).all(), f"a step of {size} gains {gain.max():.2e}"


def test_detectability_is_the_squared_amplitude_over_its_variance():
    _, signals = tissue(30, 10.0, seed=5)
    found = refined(signals)
    for row in found[found[:, 8] == 0]:
        r1, r2, a1, a2 = row[:4]
        if not (0 < r1 < 5e-3 and 2e-3 < r2 < 0.2 and a1 > 0 and a2 > 0):
            continue
        e1, e2 = np.exp(-r1 * B), np.exp(-r2 * B)
        jacobian = np.stack([-B * a1 * e1, -B * a2 * e2, e1, e2], axis=1)
        jacobian *= np.sqrt(WEIGHT)[:, None]
        covariance = np.linalg.inv(jacobian.T @ jacobian)
        assert row[5] == pytest.approx(a1**2 / covariance[2, 2], rel=1e-3)
        assert row[6] == pytest.approx(a2**2 / covariance[3, 3], rel=1e-3)
