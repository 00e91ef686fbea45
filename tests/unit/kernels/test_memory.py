"""Memory of kernels: whole vectors, aligned arrays, and scratch that is seen as a matrix."""

import numpy as np
import pytest

from drivers import fill_matrix
from ivimkit.engine.bind import bind
from ivimkit.kernels.memory import VECTOR, aligned, matrix, padded


@pytest.mark.parametrize("size", [1, 7, 64])
def test_arrays_begin_where_a_line_of_the_cache_does(size):
    array = aligned(size)
    assert array.shape == (size,)
    assert array.flags.c_contiguous
    assert array.ctypes.data % (VECTOR * array.itemsize) == 0


def test_lengths_of_whole_vectors():
    assert [padded(n) for n in (0, 1, 8, 9)] == [0, 8, 8, 16]


def test_a_matrix_is_a_view_of_flat_scratch():
    flat = np.full(16, -1.0)
    bind(fill_matrix, ("kernel", matrix))(flat, 2, 3, 4)
    rows = 10 * np.arange(3)[:, None] + np.arange(4)
    np.testing.assert_array_equal(flat, [-1, -1, *rows.ravel(), -1, -1])
