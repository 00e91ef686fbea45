"""Weights of single values: averages and patterns of voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ivimkit as ik
from ivimkit.errors import InputError, OptionError, ShapeError
from ivimkit.scan.dwi import AVERAGES

B = np.array([0, 0, 50, 50, 50, 400, 800, 800.0])


def _scan(average, directions):
    random = np.random.default_rng(3)
    signal = random.uniform(1, 100, (3, 2, 2, B.size))
    vectors = random.normal(size=(B.size, 3)) if directions else None
    if directions:
        vectors[3] = vectors[2]
    return ik.DWI(signal, B, bvecs=vectors, average=average)


def _read(dwi):
    reader = dwi.voxels()
    out = np.empty((reader.n_voxels, reader.n_columns))
    reader.read(0, reader.n_voxels, out)
    return reader, out


@pytest.mark.parametrize("directions", [False, True])
@pytest.mark.parametrize("average", AVERAGES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16), levels=st.integers(2, 4))
def test_each_voxel_is_averaged_as_if_alone(average, directions, seed, levels):
    dwi = _scan(average, directions)
    weights = np.random.default_rng(seed).integers(0, levels, dwi.signal.shape) / 2
    weights[0, 0, 0] = 0
    weights[1, 0, 0] = 1
    weighted = dwi.with_weights(weights)
    reader, found = _read(weighted)
    sums = reader.read_weights(0, reader.n_voxels)
    patterns = weighted.patterns(reader)
    for v, flat in enumerate(reader.index):
        where = np.unravel_index(flat, dwi.shape, order=reader.order)
        own = weights[where]
        if not own.any():
            assert np.isnan(found[v]).all()
            continue
        alone = ik.DWI(dwi.signal[where][np.newaxis], dwi.acquisition, average=average)
        alone = alone.with_weights(own)
        used = alone.fit_counts > 0
        np.testing.assert_array_equal(found[v][used], _read(alone)[1][0][used])
        assert np.isnan(found[v][~used]).all()
        np.testing.assert_allclose(sums[v], alone.fit_counts, rtol=1e-15)
        part = weighted.of_pattern(patterns.rows[patterns.numbers[v]])
        for name in ("fit_counts", "fit_averages", "fit_directions"):
            np.testing.assert_allclose(getattr(part, name), getattr(alone, name), rtol=1e-15)


def test_weights_of_1_change_no_bit():
    for average in AVERAGES:
        dwi = _scan(average, directions=True)
        ones = dwi.with_weights(np.ones(dwi.signal.shape, dtype=bool))
        np.testing.assert_array_equal(_read(ones)[1], _read(dwi)[1])
        assert len(ones.patterns(ones.voxels()).rows) == 1


def test_repeats_can_change_places_but_not_volumes_with_jitter():
    signal = np.ones((3, 3))
    weights = [[1, 0, 1], [0, 1, 1], [1, 1, 0]]
    for b, n in (([0, 800, 800], 2), ([0, 799, 801], 3)):
        dwi = ik.DWI(signal, b).with_weights(weights)
        assert len(dwi.patterns(dwi.voxels()).rows) == n


def test_weights_of_volumes_and_values_multiply_and_follow_a_selection():
    weights = np.ones((2, 4))
    weights[0, 3] = 0
    dwi = ik.DWI([[9.0, 1, 2, 4], [9, 1, 2, 4]], [0, 800, 800, 800]).with_weights([1, 1, 3, 1])
    dwi = dwi.with_value_weights(weights)
    np.testing.assert_allclose(_read(dwi)[1], [[9, 1.75], [9, 2.2]])
    np.testing.assert_array_equal(dwi.weights_at((0,)), [1, 1, 3, 0])
    chosen = dwi.select(volumes=[0, 2, 3])
    np.testing.assert_array_equal(chosen.value_weights, [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_allclose(_read(chosen)[1], [[9, 2], [9, 2.5]])
    assert dwi.with_weights(None).value_weights is None
    assert dwi.with_weights([1, 1, 1, 1]).value_weights is None


def test_a_volume_without_any_weight_is_not_used():
    weights = np.ones((4, 3))
    weights[:3, 2] = 0
    dwi = ik.DWI(np.ones((4, 3)), [0, 400, 800]).with_weights(weights)
    assert dwi.fit_acquisition.n_volumes == 3
    masked = dwi.with_mask([1, 1, 1, 0])
    assert masked.fit_acquisition.bvals.tolist() == [0, 400]
    assert masked.without_unused().fit_counts.tolist() == [1, 1, 0]
    assert masked.weight_summary.left_out == 3


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones((4, 2)), ShapeError, r"have shape \(4, 2\); expected one per value.*\(4, 3\)"),
        (np.ones((3, 3)), ShapeError, "expected one per value of the scan"),
        (np.full((4, 3), "1"), InputError, "of type <U1; expected numbers >= 0"),
        (np.full((4, 3), np.nan), OptionError, "must be finite and >= 0"),
        (-np.ones((4, 3)), OptionError, "must be finite and >= 0"),
        (np.zeros((4, 3)), OptionError, "all weights are 0"),
    ],
)
def test_weights_that_cannot_be(weights, error, message):
    with pytest.raises(error, match=message):
        ik.DWI(np.ones((4, 3)), [0, 400, 800]).with_weights(weights)
