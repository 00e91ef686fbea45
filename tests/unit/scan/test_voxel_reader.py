"""VoxelReader: the same numbers for every memory order, chunk and averaging."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivimkit.scan.voxel_reader import Column, VoxelReader

SHAPE = (5, 4, 3)
N_VOLUMES = 6


def array(dtype=np.float32):
    values = np.random.default_rng(1).uniform(10, 1000, (*SHAPE, N_VOLUMES))
    return values.astype(dtype)


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "volumes first": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, -1, 0)), 0, -1),
    "axes swapped": lambda a: np.ascontiguousarray(a.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3),
    "cropped": lambda a: np.pad(a, 2)[2:-2, 2:-2, 2:-2, 2:-2],
    "flipped": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
}
SINGLE = [Column(((v,),)) for v in range(N_VOLUMES)]


def read_all(reader, step=7):
    out = np.full((reader.n_voxels, reader.n_columns), -1.0)
    for start in range(0, reader.n_voxels, step):
        stop = min(start + step, reader.n_voxels)
        reader.read(start, stop, out[start:stop])
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
def test_memory_order_and_type_do_not_matter(layout, dtype):
    signal = LAYOUTS[layout](array(dtype))
    mask = np.random.default_rng(0).random(SHAPE) > 0.4
    reader = VoxelReader(signal, mask, SINGLE)
    back = reader.scatter(read_all(reader), np.nan)
    expected = np.where(mask[..., None], signal.astype(np.float64), np.nan)
    np.testing.assert_array_equal(back, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_gather_undoes_scatter_whatever_the_memory_order(layout, order):
    mask = np.random.default_rng(0).random(SHAPE) > 0.4
    reader = VoxelReader(LAYOUTS[layout](array()), mask, SINGLE)
    values = np.asarray(np.arange(mask.size, dtype=float).reshape(SHAPE), order=order)
    found = reader.gather(values)
    np.testing.assert_array_equal(reader.scatter(found, -1.0), np.where(mask, values, -1.0))
    some = np.array([3, 0, 5])
    np.testing.assert_array_equal(reader.take(some).gather(values), found[some])
    assert reader.shape == SHAPE


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_signal_is_read_in_place(layout):
    signal = LAYOUTS[layout](array())
    reader = VoxelReader(signal, np.ones(SHAPE, dtype=bool), SINGLE)
    signal[2, 1, 0, 3] = 12345.0
    assert reader.scatter(read_all(reader), 0.0)[2, 1, 0, 3] == 12345.0


def test_columns_are_means_of_volumes():
    signal = array(np.float64)
    columns = [Column(((0, 1),)), Column(((2,), (3,), (4,))), Column(((0, 1), (5,)))]
    reader = VoxelReader(signal, np.ones(SHAPE, dtype=bool), columns)
    got = reader.scatter(read_all(reader), np.nan)
    s = np.moveaxis(signal, -1, 0)
    pair = (s[0] + s[1]) / 2
    expected = [pair, (s[2] * s[3] * s[4]) ** (1 / 3), np.sqrt(pair * s[5])]
    np.testing.assert_allclose(got, np.stack(expected, axis=-1), rtol=1e-13)


def test_geometric_mean_falls_back_where_a_value_is_not_positive():
    signal = np.array([[4.0, 9.0], [0.0, 9.0], [-2.0, 9.0], [np.nan, 9.0], [np.inf, 9.0]])
    reader = VoxelReader(signal, np.ones(5, dtype=bool), [Column(((0,), (1,)))])
    np.testing.assert_allclose(read_all(reader)[:, 0], [6, 4.5, 3.5, np.nan, np.inf], rtol=1e-15)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.sampled_from(["C", "F"]))
def test_bits_do_not_depend_on_the_chunk(step, layout):
    signal = LAYOUTS[layout](array())
    columns = [Column(((0,), (1,), (2,))), Column(((3, 4, 5),))]
    mask = np.random.default_rng(2).random(SHAPE) > 0.3
    whole = VoxelReader(signal, mask, columns)
    assert read_all(whole, step).tobytes() == read_all(whole, 10_000).tobytes()


def test_what_lies_beyond_the_chunk_is_left_alone():
    reader = VoxelReader(array(), np.ones(SHAPE, dtype=bool), SINGLE)
    out = np.full((10, 8), -1.0)
    reader.read(55, 65, out)
    assert (out[:5, :6] > 0).all()
    assert (out[5:] == -1).all()
    assert (out[:, 6:] == -1).all()


def test_one_voxel():
    reader = VoxelReader(np.array([3, 2]), np.True_.reshape(()), [Column(((0,),))])
    assert read_all(reader).tolist() == [[3.0]]
    assert reader.scatter(np.array([5.0]), 0.0).shape == ()


def test_scatter_keeps_the_type():
    reader = VoxelReader(array(), np.eye(5, 12, dtype=bool).reshape(SHAPE), SINGLE)
    status = reader.scatter(np.full(reader.n_voxels, 2, dtype=np.int32), 1)
    assert status.dtype == np.int32
    assert np.count_nonzero(status == 2) == reader.n_voxels == 5
