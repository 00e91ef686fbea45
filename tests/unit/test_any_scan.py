"""fit, compare and preprocess of files, images of nibabel and arrays of xarray."""

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionError, OptionError, ShapeError
from ivimkit.io import save_map, save_scan

MADE = ik.simulate.phantom(shape=(12, 10, 2))
BVALS = MADE.dwi.acquisition.bvals


@pytest.fixture(scope="module")
def expected():
    return ik.fit(MADE.dwi, method="segmented")


def _as_path(folder):
    save_scan(MADE.dwi, folder / "dwi.nii.gz")
    save_map(MADE.dwi.mask.astype(np.uint8), folder / "mask.nii.gz", MADE.dwi.geometry)
    return (folder / "dwi.nii.gz",), {"mask": folder / "mask.nii.gz"}


def _as_text(folder):
    (path,), options = _as_path(folder)
    return (str(path),), {"mask": str(options["mask"])}


def _as_nibabel(folder):
    image = nib.Nifti1Image(MADE.dwi.signal, MADE.dwi.affine)
    mask = nib.Nifti1Image(MADE.dwi.mask.astype(np.uint8), MADE.dwi.affine)
    return (image, BVALS), {"mask": mask}


def _as_other_image(folder):
    """An image that is not NIfTI, and b-values in a file."""
    image = nib.MGHImage(np.asarray(MADE.dwi.signal, dtype=np.float32), MADE.dwi.affine)
    (folder / "b.txt").write_text(" ".join(map(str, BVALS)))
    return (image,), {"bvals": folder / "b.txt", "mask": MADE.dwi.mask}


def _as_xarray(folder):
    xr = pytest.importorskip("xarray")
    array = xr.DataArray(
        MADE.dwi.signal,
        dims=("x", "y", "z", "volume"),
        coords={"b": ("volume", BVALS)},
        attrs={"affine": MADE.dwi.affine.ravel().tolist()},
    )
    return (array.transpose("volume", ...),), {"mask": MADE.dwi.mask}


@pytest.mark.parametrize("given", [_as_path, _as_text, _as_nibabel, _as_other_image, _as_xarray])
def test_every_form_of_a_scan_has_the_same_fit(given, tmp_path, expected):
    arguments, options = given(tmp_path)
    found = ik.fit(*arguments, method="segmented", **options)
    np.testing.assert_allclose(found["D"], expected["D"], rtol=1e-4)
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_allclose(found.geometry.affine, MADE.dwi.affine, atol=1e-4)


def test_compare_and_preprocess_take_files_too(tmp_path):
    (path,), options = _as_path(tmp_path)
    assert ik.compare(path, models=["monoexp", "sivim"], **options).names == ("monoexp", "sivim")
    assert ik.preprocess(path, "mask:kind=body").records[0].name == "mask"


def test_the_usual_forms_are_passed_on_by_name_or_position(expected):
    for found in (
        ik.fit(data=MADE.dwi, method="segmented"),
        ik.fit(MADE.dwi.signal, BVALS, mask=MADE.dwi.mask, method="segmented"),
    ):
        np.testing.assert_array_equal(found["D"], expected["D"])


def test_what_is_missing_is_said(tmp_path):
    image = nib.Nifti1Image(MADE.dwi.signal, MADE.dwi.affine)
    with pytest.raises(AcquisitionError, match=r"nibabel without b-values.*never guessed"):
        ik.fit(image)
    with pytest.raises(AcquisitionError, match="nibabel without b-values"):
        ik.preprocess(image)
    with pytest.raises(OptionError, match="expected an array, as the scan is not a file"):
        ik.fit(image, BVALS, mask="mask.nii.gz")
    with pytest.raises(ShapeError):
        ik.fit(image, BVALS[:-1])
    xr = pytest.importorskip("xarray")
    array = xr.DataArray(MADE.dwi.signal, attrs={"affine": [1.0, 2.0]})
    with pytest.raises(AcquisitionError, match="one of the coordinates b, bval"):
        ik.fit(array)
    with pytest.raises(ShapeError, match="affine of the array has 2 numbers; expected 16"):
        ik.fit(array, BVALS)
