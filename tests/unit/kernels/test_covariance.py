"""Normal matrix and inverse: those of NumPy, for any number of parameters and values."""

import numpy as np
import pytest

from ivimkit.kernels.covariance import BLOCK, invert, matrix_columns, normal_matrix, normal_rows
from ivimkit.kernels.device import device
from ivimkit.kernels.templates import with_kernels
from plain_kernels import plain
from tolerances import CLOSED_FORM


@device
def linear(x, j, p):
    """Twelve variables, each with its slope."""
    slopes = (
        x[0, j], x[1, j], x[2, j], x[3, j], x[4, j], x[5, j],
        x[6, j], x[7, j], x[8, j], x[9, j], x[10, j], x[11, j],
    )  # fmt: skip
    return p[0], slopes


@pytest.mark.parametrize("n_values", [24, BLOCK, 2 * BLOCK + 5])
def test_twelve_parameters_of_twelve_variables(n_values):
    n = 12
    rng = np.random.default_rng(n_values)
    x = rng.normal(size=(n, n_values))
    weight = rng.integers(1, 4, n_values).astype(float)
    fill = plain(with_kernels(normal_matrix, ("signal_kernel", linear)))
    work = np.zeros((normal_rows(n), matrix_columns(n)))
    fill(x, np.sqrt(weight), np.ones(n), n, work)
    assert plain(invert)(work, n, n)
    expected = np.linalg.inv(x * weight @ x.T)
    found = work[n : 2 * n, :n]
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSED_FORM * expected.max())
