"""Pooling: one sigma out of many sums of squares."""

from __future__ import annotations

import numpy as np
import pytest

from ivimkit.errors import OptionError
from ivimkit.noise.pooling import POOLS, check_pool, evenly, pooled


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("degrees", [[1], [2], [9], [1, 2, 5, 40]])
def test_is_unbiased_and_its_degrees_are_its_scatter(pool, degrees):
    """500 estimates of 801 voxels: their deviation has a standard error of 3.2 %."""
    generator = np.random.default_rng(0)
    each = np.resize(np.array(degrees, dtype=float), 801)
    squares = 4.0 * generator.chisquare(each, size=(500, each.size))
    found = [pooled(row, each, pool) for row in squares]
    sigma = np.array([value for value, _ in found])
    error = 2.0 / np.sqrt(2.0 * found[0][1])
    assert abs(sigma.mean() - 2.0) < 4 * error / np.sqrt(500) + 2e-3
    assert sigma.std() == pytest.approx(error, rel=0.13)


def test_median_of_disturbed_voxels():
    each = np.full(10001, 2.0)
    squares = np.random.default_rng(0).chisquare(each)
    squares[:500] += 1e4
    assert pooled(squares, each, "median")[0] == pytest.approx(1.0, rel=0.07)
    assert pooled(squares, each, "mean")[0] > 10


def test_one_voxel_is_its_own_mean():
    assert pooled(np.array([12.0]), np.array([3.0]), "median") == (2.0, 3.0)


@pytest.mark.parametrize("pool", POOLS)
def test_the_order_of_voxels_changes_no_bit(pool):
    random = np.random.default_rng(0)
    squares = random.lognormal(0.0, 8.0, 5000)
    degrees = random.choice([0.1, 2.7, 9.3], 5000)
    found = [pooled(squares[order], degrees[order], pool) for order in orders(random)]
    assert len(set(found)) == 1


def orders(random):
    yield np.arange(5000)
    yield np.arange(5000)[::-1]
    yield random.permutation(5000)


def test_unknown_pool():
    with pytest.raises(OptionError, match="pool is 'mode'; expected one of median, mean"):
        check_pool("mode")


def test_of_many_millions_of_values_evenly_spaced_voxels_are_taken():
    assert evenly(6_000_000, 10) == slice(0, 6_000_000, 1)
    assert evenly(7_000_000, 10).step == 2
    assert len(range(*evenly(52_428_800, 40).indices(52_428_800))) * 40 <= 1 << 26
