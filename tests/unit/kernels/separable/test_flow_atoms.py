"""Atoms of flowing blood against the integral that defines them, and their limits."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.conventions import D_BLOOD
from ivimkit.kernels.separable import flow_atoms
from ivimkit.scan.gradient_timing import FOUR_LOBES, ONE_PAIR, OPPOSITE_PAIRS, TWO_PAIRS
from plain_kernels import plain
from tolerances import DERIVATIVE

ballistic, ballistic_bend = plain(flow_atoms.ballistic), plain(flow_atoms.ballistic_bend)
turning, turning_bend = plain(flow_atoms.turning), plain(flow_atoms.turning_bend)

B, V = 50.0, 2.5
# Code, then duration, separation and encoding time in ms.
SHAPES = {
    "monopolar": (ONE_PAIR, 20.0, 35.0, 55.0),
    "halves": (ONE_PAIR, 20.0, 20.0, 40.0),
    "two pairs": (TWO_PAIRS, 7.5, 9.0, 60.0),
    "compensated": (OPPOSITE_PAIRS, 7.5, 9.0, 60.0),
    "four lobes": (FOUR_LOBES, 35.0, 35.0, 70.0),
}


def weighting(shape, t):
    """The integral Q of a gradient of strength 1, at times t."""
    code, short, apart, whole = SHAPES[shape]
    turn = (0.5 - np.sqrt(2.0) / 4.0) * whole
    if code == FOUR_LOBES:
        edges = {0.0: -1, turn: 2, whole / 2: -2, whole - turn: 2, whole: -1}
    else:
        edges = {0.0: 1}
        for start, sign in ((0.0, 1), (whole - short - apart, code)):
            for time, step in ((0.0, 1), (short, -1), (apart, -1), (apart + short, 1)):
                if (start, time) != (0.0, 0.0):
                    edges[start + time] = edges.get(start + time, 0) + sign * step
    return sum(step * np.maximum(t - time, 0.0) for time, step in edges.items())


def atom(shape, v, tau):
    code, *times = SHAPES[shape]
    return turning(B, *times, code, (v, tau))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tau", [3.0, 40.0, 400.0])
def test_blood_that_turns_is_the_double_integral_of_its_velocity(shape, tau):
    """exp(-b Db) exp(-gamma^2 v^2 / 6 int int Q Q exp(-|t - s| / tau)), with b of the same Q."""
    n = 40_000
    whole = SHAPES[shape][3]
    t = (np.arange(n) + 0.5) * whole / n
    Q, step = weighting(shape, t), whole / n
    # Pairs of times by their distance: the autocorrelation of Q.
    lags = np.fft.irfft(np.abs(np.fft.rfft(Q, 2 * n)) ** 2)[:n] * step
    weights = np.exp(-np.arange(n) * step / tau)
    weights[0] *= 0.5
    h = float((lags * weights).sum() * step / lags[0])
    expected = np.exp(-B * D_BLOOD - 1e-3 * B * V**2 * h / 3.0)
    assert atom(shape, V, tau)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_limits_are_pseudo_diffusion_and_ballistic_flow(shape):
    tau = 1e-5
    D_star = ik.conventions.D_star_of_flow(1e3 * V, tau)
    assert atom(shape, 1e3 * V, tau)[0] == pytest.approx(np.exp(-B * D_star), rel=1e-10)

    code, short, apart, whole = SHAPES[shape]
    columns = {"gradient_code": code, "gradient_duration": short}
    columns |= {"gradient_separation": apart, "encoding_time": whole}
    [c] = ik.Acquisition([0, B], variables=columns).numbers_of("c")[1:]
    assert (c == 0.0) == (shape in ("compensated", "four lobes"))
    straight = ballistic(B, c, (V,))[0]
    assert straight == pytest.approx(np.exp(-B * D_BLOOD - c**2 * V**2 / 6.0), rel=1e-14)
    assert atom(shape, V, 1e9)[0] == pytest.approx(straight, rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_slopes_and_second_derivatives(shape):
    code, *times = SHAPES[shape]
    for tau in (0.3, 8.0, 150.0, 900.0):
        p = np.array([V, tau])
        slopes = atom(shape, *p)[1]
        second = turning_bend(B, *times, code, tuple(p))
        for i in range(2):

            def derivative(value, i=i, p=p):
                def difference(h):
                    up, down = p.copy(), p.copy()
                    up[i] += h
                    down[i] -= h
                    return (np.array(value(up)) - np.array(value(down))) / (2 * h)

                h = 4e-3 * p[i]
                return (16 * (4 * difference(h / 2) - difference(h)) / 3
                        - (4 * difference(h) - difference(2 * h)) / 3) / 15  # fmt: skip

            number = derivative(lambda q: atom(shape, *q)[0])
            assert slopes[i] * p[i] == pytest.approx(number * p[i], rel=DERIVATIVE, abs=1e-11)
            rows = derivative(lambda q: atom(shape, *q)[1])
            own = np.array([second[i], second[i + 1]])
            np.testing.assert_allclose(own * p * p[i], rows * p * p[i], rtol=1e-7, atol=1e-10)


def test_ballistic_derivatives():
    c, h = 2.0, 1e-3
    value, (slope,) = ballistic(B, c, (V,))
    up, down = (ballistic(B, c, (V + s,))[0] for s in (h, -h))
    assert slope == pytest.approx((up - down) / (2 * h), rel=1e-5)
    [bend] = ballistic_bend(B, c, (V,))
    assert bend == pytest.approx((up - 2 * value + down) / h**2, rel=1e-5)


def test_nothing_overflows():
    for shape in SHAPES:
        for tau in (1e-6, 1e12):
            value, slopes = atom(shape, 1e3, tau)
            assert 0.0 <= value <= 1.0
            assert np.isfinite(slopes).all()
    assert turning(0.0, 0.0, 0.0, 0.0, 0.0, (V, 100.0)) == (1.0, (0.0, 0.0))
