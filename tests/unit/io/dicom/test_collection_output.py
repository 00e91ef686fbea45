"""Results of scans of six vendors as DICOM: all kinds are valid, on the grid of the scan."""

import dataclasses

import highdicom
import msgspec
import numpy as np
import pydicom
import pytest

import ivimkit as ik
from dicom_check import errors_of
from dicom_results import in_scan_order
from ivimkit.io.dicom.context import DicomContext, SourceImage
from ivimkit.io.dicom.loading import DicomFiles
from ivimkit.scan.geometry import Geometry
from made_results import biexp_maps, made_result

FOLDERS = (
    "canon_v60_classic",
    "canon_v61_enhanced",
    "ge_mr750_classic",
    "ge_pioneer_classic",
    "philips_achieva_4b_classic",
    "philips_achieva_enhanced",
    "philips_elition_classic",
    "philips_isotropic_in_series",
    "siemens_skyra_classic",
    "siemens_ve11_mosaic",
    "siemens_xa30_enhanced",
    "siemens_xa61_tracew",
    "uih_770_vframe",
)
KINDS = {"mr_D", "pm_D.dcm", "seg.dcm", "sr.dcm", "sc.dcm"}
PICTURE = np.zeros((20, 200, 3), dtype=np.uint8)
# Slices and volumes are like others of the same scan.
MAX_SLICES, MAX_VOLUMES = 2, 2


@pytest.fixture
def folder(shared_data, request):
    found = shared_data / "dicom" / request.param / "dicom"
    if not found.is_dir():
        pytest.skip(f"the collection of DICOM is not there: no folder {found}")
    return found


def result_on(shape, geometry, context):
    """Return a result of the first slices and volumes of a scan."""
    shape = (*shape[:2], min(shape[2], MAX_SLICES))
    volumes = [volume[: shape[2]] for volume in context.volumes[:MAX_VOLUMES]]
    context = msgspec.structs.replace(context, volumes=volumes)
    maps = biexp_maps(shape)
    maps["D"][:3] = np.nan
    made = made_result(maps)
    return dataclasses.replace(made, geometry=geometry, source_context=context)


def check(result, out):
    labels = np.zeros(result.shape, dtype=int)
    labels[5:15, 5:15, 0] = 1
    labels[20:25, 5:15] = 2
    files = ik.io.save_dicom(result, out, labels=labels, picture=PICTURE, maps=["D"])
    assert {path.relative_to(out).parts[0] for path in files} == KINDS
    assert errors_of(files) == []
    volume = highdicom.imread(out / "pm_D.dcm").get_volume(dtype=np.float32)
    found = in_scan_order(volume.array, volume.affine, result)
    np.testing.assert_array_equal(found, (result.maps["D"] * 1e6).astype(np.float32))


@pytest.mark.parametrize("folder", FOLDERS, indirect=True)
def test_all_kinds(folder, tmp_path):
    scan = ik.io.find_scans(folder)[0]
    context = DicomFiles(scan, (folder,)).context
    check(result_on(scan.grid.shape, scan.grid.geometry, context), tmp_path / "out")


@pytest.mark.parametrize("folder", ["ge_adc_derived"], indirect=True)
def test_all_kinds_for_images_that_are_maps_already(folder, tmp_path):
    """Not a scan, but headers that a result may have to be written into."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]
    axes = np.array(headers[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(*axes)
    headers.sort(key=lambda one: float(normal @ np.array(one.ImagePositionPatient, dtype=float)))
    ends = [np.array(headers[k].ImagePositionPatient, dtype=float) for k in (0, -1)]
    rows, columns = (float(size) for size in headers[0].PixelSpacing)
    lps = np.eye(4)
    lps[:3, :3] = np.array(
        [axes[0] * columns, axes[1] * rows, (ends[1] - ends[0]) / (len(headers) - 1)]
    ).T
    lps[:3, 3] = ends[0]
    images = [
        SourceImage(one.SOPClassUID, one.SOPInstanceUID, one.SeriesInstanceUID) for one in headers
    ]
    shape = (headers[0].Columns, headers[0].Rows, len(headers))
    geometry = Geometry(np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps)
    check(result_on(shape, geometry, DicomContext.of(headers[0], [images])), tmp_path / "out")
