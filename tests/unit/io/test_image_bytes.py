"""Images that come as bytes."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from ivimkit.errors import FileFormatError, ShapeError
from ivimkit.io import image_bytes, image_of_bytes
from ivimkit.scan.geometry import Geometry

AFFINE = [[2, 0, 0, -3], [0, 2.5, 0, 1], [0, 0, 5, 7], [0, 0, 0, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float64])
@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_sent_comes_back(dtype, zipped):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    data = image_bytes(array, Geometry(AFFINE))
    found, geometry = image_of_bytes(gzip.compress(data) if zipped else data)
    np.testing.assert_array_equal(found, array)
    assert geometry == Geometry(AFFINE)
    assert found.dtype == (np.float32 if dtype == np.float64 else dtype)


def test_nibabel_reads_the_same(tmp_path):
    array = np.random.default_rng(1).random((3, 2, 2))
    path = tmp_path / "map.nii"
    path.write_bytes(image_bytes(array, Geometry(AFFINE)))
    image = nib.load(path)
    np.testing.assert_array_equal(image.get_fdata(), array.astype(np.float32))
    np.testing.assert_array_equal(image.affine, AFFINE)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_files_of_others_are_read_scaled_and_of_either_byte_order(kind):
    stored = np.arange(8, dtype=">i2").reshape(2, 2, 2)
    image = kind(stored, np.diag([1, 1, 1, 1]), header=kind.header_class(endianness=">"))
    image.header.set_slope_inter(2, 1)
    found, _ = image_of_bytes(image.to_bytes())
    np.testing.assert_array_equal(found, 2 * stored + 1)


def test_axes_are_added_and_too_many_refused():
    assert image_of_bytes(image_bytes(np.ones(3), Geometry()))[0].shape == (3, 1, 1)
    with pytest.raises(ShapeError, match="expected at most 7"):
        image_bytes(np.ones((1,) * 8), Geometry())


def test_what_is_no_image_is_refused():
    data = image_bytes(np.ones((4, 4, 4)), Geometry())
    colours = nib.Nifti1Image(
        np.zeros((2, 2, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]), np.eye(4)
    )
    claims = data[:42] + (200).to_bytes(2, "little") + data[44:]
    for body, sentence in [
        (b"", "got 0 bytes that are not a NIfTI image"),
        (b"x" * 400, "got 400 bytes that are not a NIfTI image"),
        (claims, "its header says 12800 bytes of data, there are 256"),
        (data[:350], "is damaged"),
        (colours.to_bytes(), "expected real numbers"),
        (gzip.compress(data)[:-9], "ends too early"),
        (b"\x1f\x8b" + bytes(30), "the compressed image is damaged"),
    ]:
        with pytest.raises(FileFormatError, match=sentence):
            image_of_bytes(body)


def test_a_compressed_image_may_not_become_too_large():
    data = gzip.compress(image_bytes(np.zeros((64, 64, 64)), Geometry()))
    assert len(data) < 10_000
    with pytest.raises(FileFormatError, match="becomes larger than 100000 bytes"):
        image_of_bytes(data, most=100_000)
