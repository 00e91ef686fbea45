"""LazySignal: numpy's rules of indices for what is read in slices."""

import numpy as np
import pytest

from ivimkit.errors import InputError, ShapeError
from ivimkit.scan.dwi import DWI
from ivimkit.scan.lazy_signal import LazySignal, is_lazy

WHOLE = np.arange(5 * 4 * 6 * 3).reshape(5, 4, 6, 3)


class Stored:
    def __init__(self, array=WHOLE, chunks=None):
        self._array, self.chunks = array, chunks
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key):
        assert all(isinstance(part, slice) and part.step in (None, 1) for part in key)
        return self._array[key]


@pytest.mark.parametrize(
    "key",
    [
        np.s_[...],
        np.s_[2],
        np.s_[..., -1],
        np.s_[1, 2, 3],
        np.s_[1:4, :, ::2, 1],
        np.s_[1, ..., [2, 0]],
        np.s_[:, 1, 2, [2, 0]],
        np.s_[..., 2:2, :],
        np.s_[..., np.array([True, False, True])],
        np.s_[4:1, 0],
    ],
)
def test_indices_are_those_of_numpy(key):
    np.testing.assert_array_equal(LazySignal(Stored())[key], WHOLE[key])


def test_what_cannot_be_read_in_slices_is_said():
    signal = LazySignal(Stored())
    with pytest.raises(InputError, match="in reverse order; expected slices with positive steps"):
        signal[::-1]
    with pytest.raises(InputError, match="at ndarray; expected numbers, slices or a list"):
        signal[np.ones((5, 4, 6), dtype=bool)]
    with pytest.raises(InputError, match="lists along several axes; expected one list"):
        signal[[0, 1], 0, [0, 1]]
    with pytest.raises(IndexError, match="5 indices for a scan with 4 axes"):
        signal[0, 0, 0, 0, 0]
    with pytest.raises(IndexError, match="index 5 is out of range for axis 0"):
        signal[5]


def test_an_array_with_other_rules_is_refused():
    class Transposed(Stored):
        def __getitem__(self, key):
            return super().__getitem__(key).T

    with pytest.raises(ShapeError, match=r"returned the shape \(3, 6, 4, 5\)"):
        LazySignal(Transposed())[...]


def test_the_whole_is_read_if_there_is_room(monkeypatch):
    np.testing.assert_array_equal(np.asarray(LazySignal(Stored())), WHOLE)
    monkeypatch.setattr("ivimkit.scan.whole_scan.free_memory_mb", lambda: 1e-3)
    with pytest.raises(InputError, match="the whole scan needs 1 MB of memory, and 1 MB are free"):
        np.asarray(LazySignal(Stored()))


def test_slabs_are_whole_chunks(monkeypatch):
    plane = WHOLE.nbytes // 6
    monkeypatch.setattr("ivimkit.scan.lazy_signal.BLOCK_BYTES", 3 * plane)
    assert LazySignal(Stored()).thickness() == 3
    assert LazySignal(Stored(chunks=(5, 4, 2, 1))).thickness() == 2
    assert LazySignal(Stored(chunks=((5,), (4,), (4, 2), (3,)))).thickness() == 4
    assert LazySignal(Stored(chunks=(5, 4, 9, 1))).thickness() == 6


def test_only_arrays_that_are_not_in_memory_are_lazy():
    assert is_lazy(Stored())
    assert not any(map(is_lazy, (WHOLE, WHOLE[0, 0, 0, 0], [1.0], "text", None)))
    assert DWI(Stored(), [0, 100, 800]).stored.shape == WHOLE.shape
    assert isinstance(DWI(WHOLE, [0, 100, 800]).stored, np.ndarray)


def test_an_image_of_a_scan_on_disk_reads_its_volumes_alone():
    read = set()

    class Watched(Stored):
        def __getitem__(self, key):
            read.update(range(self.shape[-1])[key[-1]])
            return super().__getitem__(key)

    array = WHOLE.astype(np.float32)
    array[1, 2, 3, 1] = np.nan
    image = DWI(Watched(array), [0, 100, 800]).mean_image(100)
    np.testing.assert_array_equal(image, array[..., 1])
    assert read == {1}
