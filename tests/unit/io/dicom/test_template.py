"""with_template: maps of a converted scan go back to the DICOM images, without interpolation."""

import dataclasses

import numpy as np
import pydicom
import pytest

import ivimkit as ik
from dicom_results import context_of, dicom_result, oblique
from ivimkit.errors import OptionError, ShapeError
from ivimkit.scan.geometry import Geometry
from made_results import made_result

SHAPE = (7, 6, 4)


def scan(affine=None, **changes):
    """Return images as they are read from DICOM."""
    options = {"source_context": context_of(4, n_volumes=2), **changes}
    return ik.DWI(
        np.ones((*SHAPE, 2)), [0, 500], oblique() if affine is None else affine, **options
    )


def converted(axis):
    """Return a result whose voxels a converter has turned around along an axis."""
    made = dicom_result(SHAPE)
    flip = np.eye(4)
    flip[axis, axis], flip[axis, 3] = -1, SHAPE[axis] - 1
    status = np.zeros(SHAPE, np.int32)
    status[0, 0, 0] = int(ik.status.FitStatus.OUTSIDE_MASK)
    return dataclasses.replace(
        made,
        maps={name: np.flip(values, axis) for name, values in made.maps.items()},
        status=np.flip(status, axis),
        geometry=Geometry(made.geometry.affine @ flip),
        source_context=None,
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turned_back(axis, tmp_path):
    placed = ik.io.with_template(converted(axis), scan())
    for name, values in dicom_result(SHAPE).maps.items():
        np.testing.assert_array_equal(placed.maps[name], values)
    assert not placed.mask[0, 0, 0]
    assert np.count_nonzero(~placed.mask) == 1
    ik.io.save_dicom(placed, tmp_path, ["pm"], maps=["D"])
    assert pydicom.dcmread(tmp_path / "pm_D.dcm").PatientID == "42"


def test_other_voxels_are_refused():
    shifted = oblique()
    shifted[:3, 3] += 0.7
    cut = {name: values[1:] for name, values in dicom_result(SHAPE).maps.items()}
    inner = oblique()
    inner[:3, 3] += inner[:3, 0]
    words = "voxels of the result are not those of the DICOM images"
    with pytest.raises(ShapeError, match=words):
        ik.io.with_template(converted(1), scan(shifted))
    with pytest.raises(ShapeError, match=words):
        ik.io.with_template(made_result(cut, affine=inner), scan())


def test_template_that_is_not_dicom():
    with pytest.raises(OptionError, match="the template says nothing of patient"):
        ik.io.with_template(converted(0), scan(source_context=None))
