"""Proposals: the density of a component is that of Student's t, whatever the number of points."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_t

from ivimkit.kernels.separable.posterior.proposal import DEGREES, add_densities, set_component
from plain_kernels import plain

N_POINTS, FIRST, LAST = 448, 32, 352


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_densities_of_points_in_blocks(d):
    random = np.random.default_rng(d)
    mean, root = random.normal(size=d), random.normal(size=(d, d))
    matrix = root @ root.T + 0.1 * np.eye(d)
    z = 3.0 * random.normal(size=(d, N_POINTS))
    constant = (
        math.lgamma(0.5 * (DEGREES + d))
        - math.lgamma(0.5 * DEGREES)
        - 0.5 * d * math.log(DEGREES * math.pi)
    )
    row = np.zeros(2 + d + 2 * d * d)
    row[2 : 2 + d] = mean
    plain(set_component)(7.0, constant, d, matrix.ravel().copy(), row)
    own, mix = np.full(N_POINTS, -1.0), np.full(N_POINTS, 2.0)
    plain(add_densities)(d, row, FIRST, LAST, N_POINTS, z.ravel(), own, mix, np.zeros(256))
    expected = 7.0 * multivariate_t(mean, matrix, df=DEGREES).pdf(z.T)
    inside = slice(FIRST, LAST)
    np.testing.assert_allclose(own[inside], expected[inside], rtol=1e-10)
    np.testing.assert_allclose(mix[inside], 2.0 + expected[inside], rtol=1e-10)
    outside = np.r_[0:FIRST, LAST:N_POINTS]
    assert (own[outside] == -1.0).all()
    assert (mix[outside] == 2.0).all()
