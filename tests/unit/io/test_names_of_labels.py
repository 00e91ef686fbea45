"""Names of regions in the header of a label image."""

import gzip

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.io.names_of_labels import own_names, with_names


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_names_that_are_written_are_read(made, tmp_path, ending):
    names = {1: 'Läsion <links> & "rechts"', 7: "liver"}
    array = np.zeros(made.dwi.shape, np.uint8)
    array[3:6, 4:8], array[8:10, 4:8] = 1, 7
    plain = ik.io.image_bytes(array, made.dwi.geometry)
    image = with_names(plain, names)
    path = tmp_path / f"regions{ending}"
    path.write_bytes(gzip.compress(image) if ending.endswith("gz") else image)
    assert own_names(path) == names
    labels = ik.load_labels(path, made.dwi)
    assert labels.names == names
    np.testing.assert_array_equal(labels.array, array)
    assert with_names(plain, {}) == plain


@pytest.fixture(scope="module")
def made():
    return ik.simulate.phantom(shape=(16, 12, 2))
