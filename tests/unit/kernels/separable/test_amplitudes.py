"""Non-negative least squares: the minimum that SciPy finds, with and without a given sum."""

import numpy as np
import pytest
from scipy.optimize import minimize, nnls

from ivimkit.kernels.separable.amplitudes import _non_negative
from plain_kernels import plain
from tolerances import CLOSED_FORM


def solved(gram, dots, total=-1.0):
    n = len(dots)
    share, passive = np.zeros(n), np.zeros(n)
    solve = plain(_non_negative)
    solve(n, gram.ravel(), dots, total, share, passive, np.zeros(2 * n), np.zeros(n * n))
    return share, passive


def problem(seed, n):
    rng = np.random.default_rng(seed)
    columns = np.exp(-np.outer(np.linspace(0, 3, 12), rng.uniform(0.1, 4, n)))
    return columns, rng.normal(0.3, 1, 12)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_it_is_that_of_scipy(n):
    for seed in range(40):
        columns, signal = problem(seed, n)
        share, passive = solved(columns.T @ columns, columns.T @ signal)
        _, norm = nnls(columns, signal)
        assert np.linalg.norm(columns @ share - signal) == pytest.approx(norm, rel=CLOSED_FORM)
        assert ((share > 0) <= (passive > 0)).all()
        assert (share >= 0).all()


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_with_a_given_sum_it_is_that_of_scipy(n):
    for seed in range(10):
        columns, signal = problem(seed, n)
        share, _ = solved(columns.T @ columns, columns.T @ signal, 0.7)
        found = minimize(
            lambda c, columns=columns, signal=signal: ((columns @ c - signal) ** 2).sum(),
            np.full(n, 0.7 / n),
            bounds=[(0, None)] * n,
            constraints={"type": "eq", "fun": lambda c: c.sum() - 0.7},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert share.sum() == pytest.approx(0.7, rel=CLOSED_FORM)
        assert ((columns @ share - signal) ** 2).sum() <= found.fun * (1 + 1e-9)


def test_columns_that_are_the_same_share_nothing():
    columns, signal = problem(0, 2)
    twice = np.stack([columns[:, 0]] * 2, axis=1)
    share, passive = solved(twice.T @ twice, twice.T @ np.abs(signal))
    assert passive.sum() == 1
    assert share.sum() > 0
