"""Fixtures of the file tests: small scans on disk."""

import nibabel as nib
import numpy as np
import pytest

AFFINE = np.array([[-2.0, 0.1, 0, 90], [0.1, 2.0, 0, -120], [0, 0, 3.5, -60], [0, 0, 0, 1]])
BVALS = [0, 0, 50, 100, 400, 800]
SHAPE = (7, 6, 5)


@pytest.fixture
def signal():
    """Signal of shape (x, y, z, b), whole numbers so that every type can hold it."""
    return np.random.default_rng(0).integers(1, 1000, (*SHAPE, len(BVALS)))


@pytest.fixture
def write(tmp_path):
    """Return a function that writes an image, and returns its path."""

    def _write(name, data, dtype=np.float32, affine=AFFINE, slope=None, kind=nib.Nifti1Image):
        image = kind(np.asarray(data).astype(dtype), affine)
        image.header.set_data_dtype(dtype)
        if slope is not None:
            image.header.set_slope_inter(*slope)
        path = tmp_path / name
        nib.save(image, path)
        return path

    return _write


@pytest.fixture
def scan(write, signal):
    """A 4-D scan with its b-values beside it."""
    path = write("dwi.nii.gz", signal)
    (path.parent / "dwi.bval").write_text(" ".join(map(str, BVALS)))
    return path
