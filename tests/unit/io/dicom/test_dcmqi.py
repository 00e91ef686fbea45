"""dcmqi, the reader of 3D Slicer, finds each voxel where it is, in any orientation."""

import dataclasses
import json
import shutil
import subprocess

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from dicom_results import context_of, dicom_result, oblique, regions_of
from ivimkit.scan.geometry import Geometry

SAGITTAL = np.array([[0, 0, 5.0, 10], [-2, 0, 0, 20], [0, -2, 0, -7], [0, 0, 0, 1]])
AFFINES = {"oblique": oblique(), "flipped": oblique(flipped=True), "sagittal": SAGITTAL}


def read(program, *arguments):
    """Run a program of dcmqi."""
    subprocess.run([program, *arguments], check=True, capture_output=True)


def at_voxels_of(result, file):
    """Return the values of an image at the positions of the voxels of a result; 0 outside."""
    image = nib.load(file)
    index = np.indices(result.shape).reshape(3, -1)
    to_image = np.linalg.inv(image.affine) @ result.geometry.affine
    place = np.rint((to_image @ np.vstack([index, np.ones(index.shape[1])]))[:3]).astype(int)
    inside = ((place >= 0) & (place < np.array(image.shape)[:, np.newaxis])).all(axis=0)
    found = np.zeros(index.shape[1], dtype=np.float32)
    found[inside] = np.asarray(image.dataobj)[tuple(place[:, inside])]
    return found.reshape(result.shape)


@pytest.mark.skipif(
    shutil.which("tid1500reader") is None, reason="dcmqi is not installed; pip install dcmqi"
)
@pytest.mark.parametrize("name", AFFINES)
def test_map_segmentation_and_report(tmp_path, name):
    few = dicom_result(source_context=context_of(4, n_volumes=2))
    result = dataclasses.replace(few, geometry=Geometry(AFFINES[name]))
    labels = regions_of()
    ik.io.save_dicom(result, tmp_path, ["pm", "sr"], labels=labels, maps=["D"])
    target = ("--outputDirectory", tmp_path, "-t", "nii")
    read("paramap2itkimage", "--inputDICOM", tmp_path / "pm_D.dcm", "-n", "D", *target)
    found = at_voxels_of(result, tmp_path / "D-pmap.nii.gz")
    np.testing.assert_array_equal(found, (result.maps["D"] * 1e6).astype(np.float32))
    about = json.loads((tmp_path / "D-meta.json").read_text("utf-8"))
    assert about["QuantityValueCode"]["CodeValue"] == "113291"
    assert about["MeasurementMethodCode"]["CodeValue"] == "113251"
    assert about["MeasurementUnitsCode"]["CodeValue"] == "um2/s"
    assert [float(b) for b in about["SourceImageDiffusionBValues"]] == [*result.provenance.bvals]
    read("segimage2itkimage", "--inputDICOM", tmp_path / "seg.dcm", "-p", "seg", *target)
    for segment, number in enumerate(labels.names, start=1):
        inside = at_voxels_of(result, tmp_path / f"seg-{segment}.nii.gz") > 0
        np.testing.assert_array_equal(inside, labels.array == number)
    report = tmp_path / "sr.json"
    read("tid1500reader", "--inputDICOM", tmp_path / "sr.dcm", "--outputMetadata", report)
    groups = json.loads(report.read_text("utf-8"))["Measurements"]
    assert [group["TrackingIdentifier"] for group in groups] == ["Läsion 肝", "liver"]
    assert [group["ReferencedSegment"] for group in groups] == [1, 2]
