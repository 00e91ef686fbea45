"""solve_amplitudes: the optimality conditions of a convex problem, which leave no doubt.

A point of a convex polygon is the minimum of a convex function exactly if the function rises
towards every corner (and along every infinite edge).
"""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ivimkit.kernels.two_decays import amplitudes
from plain_kernels import plain
from tolerances import CLOSED_FORM

solve_amplitudes = plain(amplitudes.solve_amplitudes)

B = np.array([0.0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800])


def problem(slow, fast, signal):
    """Return Gram terms and inner products of two decays and a signal."""
    e1, e2 = np.exp(-slow * B), np.exp(-fast * B)
    return e1 @ e1, e1 @ e2, e2 @ e2, e1 @ signal, e2 @ signal


def assert_optimal(terms, bounds, solution):
    g11, g12, g22, p1, p2 = terms
    f_low, f_high, s0_low, s0_high = bounds
    a1, a2 = solution[:2]
    scale = max(abs(p1), abs(p2), 1e-3)
    s0 = a1 + a2
    slack = CLOSED_FORM * max(scale, s0)
    assert s0_low - slack <= s0 <= s0_high + slack
    assert f_low * s0 - slack <= a2 <= f_high * s0 + slack
    slope = np.array([g11 * a1 + g12 * a2 - p1, g12 * a1 + g22 * a2 - p2])
    edges = [np.array([1.0 - f, f]) for f in (f_low, f_high)]
    tolerance = CLOSED_FORM * scale * max(1.0, s0)
    for edge in edges:
        assert slope @ (s0_low * edge - [a1, a2]) >= -tolerance
        if math.isfinite(s0_high):
            assert slope @ (s0_high * edge - [a1, a2]) >= -tolerance * s0_high
        else:
            assert slope @ edge >= -CLOSED_FORM * scale


signals = st.tuples(
    st.floats(0.0, 1.5),
    st.floats(0.0, 1.5),
    st.floats(0.0, 5e-3),
    st.floats(2e-3, 0.2),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.05, 1.0]),
)


@given(
    rates=st.tuples(st.floats(0.0, 5e-3), st.floats(2e-3, 0.2)),
    parts=signals,
    fractions=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
    s0=st.sampled_from([(0.0, math.inf), (0.5, math.inf), (0.0, 0.8), (0.7, 1.1), (1.0, 1.0)]),
)
def test_no_point_inside_the_bounds_is_better(rates, parts, fractions, s0):
    assume(rates[1] > 1.05 * rates[0])
    a1, a2, slow, fast, seed, noise = parts
    signal = a1 * np.exp(-slow * B) + a2 * np.exp(-fast * B)
    signal += noise * np.random.default_rng(seed).normal(size=B.size)
    terms = problem(*rates, signal)
    bounds = (min(fractions), max(fractions), *s0)
    assert_optimal(terms, bounds, solve_amplitudes(*terms, *bounds))


def test_inside_the_bounds_it_is_the_normal_equation():
    signal = 0.8 * np.exp(-1e-3 * B) + 0.2 * np.exp(-0.03 * B)
    a1, a2, free, _, _ = solve_amplitudes(*problem(1e-3, 0.03, signal), 0, 1, 0, math.inf)
    assert (a1, a2) == pytest.approx((0.8, 0.2), rel=CLOSED_FORM)
    assert free == 2


@pytest.mark.parametrize(
    ("bounds", "free", "direction"),
    [
        ((0.0, 0.1, 0.0, math.inf), 1, (0.9, 0.1)),
        ((0.3, 1.0, 0.0, math.inf), 1, (0.7, 0.3)),
        ((0.0, 1.0, 0.0, 0.9), 1, (-1.0, 1.0)),
        ((0.0, 1.0, 1.1, math.inf), 1, (-1.0, 1.0)),
        ((0.0, 0.1, 0.0, 0.7), 0, None),
        ((0.25, 0.25, 0.95, 0.95), 0, None),
    ],
)
def test_what_is_free_on_an_edge_and_in_a_corner(bounds, free, direction):
    signal = 0.8 * np.exp(-1e-3 * B) + 0.2 * np.exp(-0.03 * B)
    terms = problem(1e-3, 0.03, signal)
    solution = solve_amplitudes(*terms, *bounds)
    assert_optimal(terms, bounds, solution)
    assert solution[2] == free
    if direction is not None:
        cross = solution[3] * direction[1] - solution[4] * direction[0]
        assert cross == pytest.approx(0.0, abs=CLOSED_FORM)


def test_equal_decays_and_signals_below_zero_give_an_answer():
    signal = np.exp(-1e-3 * B)
    a1, a2 = solve_amplitudes(*problem(1e-3, 1e-3, signal), 0, 1, 0, math.inf)[:2]
    assert a1 + a2 == pytest.approx(1.0, rel=CLOSED_FORM)
    assert solve_amplitudes(*problem(1e-3, 0.03, -signal), 0, 1, 0, math.inf)[:2] == (0.0, 0.0)
    assert sum(solve_amplitudes(*problem(1e-3, 0.03, -signal), 0, 1, 0.5, 2)[:2]) == 0.5
    # A pool that is gone even at the lowest b-value has no decay at all.
    b, gone = B[1:], np.zeros(B.size - 1)
    e1 = np.exp(-1e-3 * b)
    a1, _ = solve_amplitudes(e1 @ e1, e1 @ gone, 0.0, e1 @ e1, 0.0, 0, 1, 0, math.inf)[:2]
    assert a1 == pytest.approx(1.0, rel=CLOSED_FORM)
