"""Tensors and their parameters: one for the other, and what does not depend on the axes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivimkit.extend.diffusion_tensor import (
    along_axis,
    eigenvalues,
    fractional_anisotropy,
    parameters_of,
    principal_direction,
    tensor_candidates,
    tensors,
)

EXACT = 1e-9
LOW = np.array([1e-5, 0.05, 0.05, -20.0, -20.0, -20.0])
HIGH = np.array([5e-3, 20.0, 20.0, 20.0, 20.0, 20.0])


def drawn(seed, n=20):
    """Return eigenvalues, axes and tensors of tissue in any direction."""
    rng = np.random.default_rng(seed)
    values = np.sort(rng.uniform(0.1e-3, 3e-3, (n, 3)))[:, ::-1]
    axes = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    return values, axes, np.einsum("nij,nj,nkj->nik", axes, values, axes)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_parameters_and_tensors_are_one_for_the_other(seed):
    values, axes, matrices = drawn(seed)
    parameters = parameters_of(matrices).T
    np.testing.assert_allclose(tensors(*parameters), matrices, rtol=EXACT, atol=1e-15)
    np.testing.assert_allclose(parameters[0], values.mean(axis=1), rtol=EXACT)
    np.testing.assert_allclose(eigenvalues(*parameters), values, rtol=1e-7)
    off = values - values.mean(axis=1, keepdims=True)
    expected = np.sqrt(1.5 * (off**2).sum(axis=1) / (values**2).sum(axis=1))
    np.testing.assert_allclose(fractional_anisotropy(*parameters), expected, rtol=EXACT)
    along = np.abs((principal_direction(*parameters) * axes[:, :, 0]).sum(axis=1))
    clear = values[:, 0] > 1.01 * values[:, 1]
    np.testing.assert_allclose(along[clear], 1.0, rtol=1e-6)


def test_every_box_of_parameters_is_positive_definite():
    rng = np.random.default_rng(0)
    inside = rng.uniform(LOW, HIGH, (500, 6))
    corners = np.where(rng.random((500, 6)) < 0.5, LOW, HIGH)
    for rows in (inside, corners):
        found = eigenvalues(*rows.T)
        assert (found > 0.0).all()
        np.testing.assert_allclose(found.mean(axis=1), rows[:, 0], rtol=EXACT)


def test_a_voxel_without_a_value_has_no_eigenvalues():
    parameters = np.array([1e-3, 1.0, 2.0, 0.0, 0.0, 0.0])[:, None] * np.ones((1, 3))
    parameters[2, 1] = np.nan
    for found in (eigenvalues(*parameters), principal_direction(*parameters)):
        np.testing.assert_array_equal(np.isnan(found).any(axis=1), [False, True, False])
    assert np.isnan(fractional_anisotropy(*parameters)).tolist() == [False, True, False]


@pytest.mark.parametrize("anisotropy", [0.0, 0.3, 0.9])
def test_along_an_axis(anisotropy):
    shape = along_axis(anisotropy, (1, -2, 2))
    assert fractional_anisotropy(1.0, *shape) == pytest.approx(anisotropy, abs=1e-7)
    if anisotropy:
        np.testing.assert_allclose(np.abs(principal_direction(1.0, *shape)), [1 / 3, 2 / 3, 2 / 3])


def test_candidates_are_tensors_inside_the_bounds():
    rows = tensor_candidates(LOW, HIGH)
    assert ((rows >= LOW) & (rows <= HIGH)).all()
    found = fractional_anisotropy(*rows.T)
    assert 20 < np.count_nonzero(found < EXACT) < len(rows)
    assert found.max() < 0.9
    # A narrow range of sizes has candidates all over it.
    low, high = np.array([1e-3, *LOW[1:]]), np.array([2e-3, *HIGH[1:]])
    assert np.ptp(tensor_candidates(low, high)[:, 0]) == pytest.approx(1e-3)
