"""Diffusion series as scanners of five manufacturers wrote them, against what is known of them.

The folders of the shared data have the b-values, kinds, affines and sums of pixels that are
expected. dcm2niix, written by others, must find the same voxels and proportional values. Results
of these scans as DICOM are valid, and lie on their grid.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import subprocess
import warnings
from collections import defaultdict
from functools import cache

import highdicom
import msgspec
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose

import ivimkit as ik
from dicom_check import errors_of
from dicom_results import in_scan_order
from ivimkit.io.dicom.context import DicomContext, SourceImage
from ivimkit.io.dicom.loading import DicomFiles
from ivimkit.scan.geometry import Geometry
from made_results import biexp_maps, made_result

nib = pytest.importorskip("nibabel")

NAMES = (
    *("canon_v60_classic", "canon_v61_enhanced", "ge_adc_derived", "ge_mr750_classic"),
    *("ge_pioneer_classic", "philips_achieva_4b_classic", "philips_achieva_enhanced"),
    *("philips_elition_classic", "philips_isotropic_in_series", "siemens_skyra_classic"),
    *("siemens_ve11_mosaic", "siemens_xa30_enhanced", "siemens_xa61_tracew", "uih_770_vframe"),
)
VOXEL_SHARE = 0.01
B_DIGITS = 5e-4
FLOAT32 = 1e-6
# dcm2niix rounds directions, and turns those of oblique slices in another order.
SAME_DIRECTION = 0.999
PROPORTIONAL = 1e-4
STEP = 7
"""Every seventh voxel is compared."""
KINDS = {"mr_D", "pm_D.dcm", "seg.dcm", "sr.dcm", "sc.dcm"}
PICTURE = np.zeros((20, 200, 3), dtype=np.uint8)
# Slices and volumes are like others of the same scan; what holds for several regions is another
# test's.
MAX_SLICES, MAX_VOLUMES = 2, 2


@pytest.fixture(params=NAMES)
def folder(request, shared_data):
    home = shared_data / "dicom" / request.param
    if not home.is_dir():
        pytest.skip(f"no {home}")
    return home


@cache
def _contents(folder):
    """Headers of a folder, read once for all tests."""
    return ik.io.list_dicom(folder)


def _key(series, kind, shape):
    return series, kind, tuple(shape)


def test_every_volume_is_as_published(folder):
    expected = json.loads((folder / "expected.json").read_text())
    wanted = defaultdict(list)
    for one in expected:
        wanted[_key(one["series"], one["kind"], one["shape"])].append(one)
    stacks = _contents(folder).stacks
    assert len(stacks) == len(expected)
    for stack in stacks:
        assert not stack.incomplete
        assert not stack.grid.problem
        shape = (*stack.grid.shape, len(stack.volumes))
        one = wanted[_key(stack.first.instance.series, stack.kind.value, shape)].pop(0)
        assert [v.b is None for v in stack.volumes] == [b is None for b in one["b"]]
        known = [b for b in one["b"] if b is not None]
        found = [v.b for v in stack.volumes if v.b is not None]
        assert_allclose(found, known, atol=B_DIGITS)
        assert len({v.direction for v in stack.volumes if v.direction}) == one["n_directions"]
        there = stack.grid.affine @ _corners(shape)
        back = np.linalg.inv(np.array(one["affine_ras"])) @ there
        assert_allclose(back, _corners(shape), atol=VOXEL_SHARE)


def _corners(shape):
    return np.array([[0, 0, 0, 1], [*shape[:3], 1], [shape[0], 0, shape[2], 1]], float).T


def test_values_are_as_published(folder):
    expected = json.loads((folder / "expected.json").read_text())
    for scan in _contents(folder).scans:
        (one,) = [one for one in expected if one["kind"] == scan.kind]
        signal, _ = DicomFiles(scan, (folder,)).read()
        # The means may come after an image without weighting that belongs to the directions.
        sums = signal.sum(axis=(0, 1, 2), dtype=np.float64)[-len(one["b"]) :]
        assert_allclose(sums, one["sum_of_pixels"], rtol=FLOAT32)


def _result_on(shape, geometry, context):
    """Return a result of the first slices and volumes of a scan."""
    shape = (*shape[:2], min(shape[2], MAX_SLICES))
    volumes = [volume[: shape[2]] for volume in context.volumes[:MAX_VOLUMES]]
    context = msgspec.structs.replace(context, volumes=volumes)
    maps = biexp_maps(shape)
    maps["D"][:3] = np.nan
    made = made_result(maps)
    return dataclasses.replace(made, geometry=geometry, source_context=context)


def _check(result, out):
    labels = np.zeros(result.shape, dtype=int)
    labels[5:15, 5:15, 0] = 2
    files = ik.io.save_dicom(result, out, labels=labels, picture=PICTURE, maps=["D"])
    assert {path.relative_to(out).parts[0] for path in files} == KINDS
    assert errors_of(files) == []
    volume = highdicom.imread(out / "pm_D.dcm").get_volume(dtype=np.float32)
    found = in_scan_order(volume.array, volume.affine, result)
    np.testing.assert_array_equal(found, (result.maps["D"] * 1e6).astype(np.float32))


def test_results_are_valid_on_the_grid_of_the_scan(folder, tmp_path):
    scans = _contents(folder).scans
    if not scans:
        pytest.skip("no scan")
    context = DicomFiles(scans[0], (folder,)).context
    grid = scans[0].grid
    _check(_result_on(grid.shape, grid.geometry, context), tmp_path / "out")


def test_results_are_valid_for_images_that_are_maps_already(shared_data, tmp_path):
    """Not a scan, but headers that a result may have to be written into."""
    folder = shared_data / "dicom" / "ge_adc_derived" / "dicom"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
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
    _check(_result_on(shape, geometry, DicomContext.of(headers[0], [images])), tmp_path / "out")


def test_derived_images_are_never_a_scan(shared_data):
    folder = shared_data / "dicom" / "ge_adc_derived"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    assert ik.io.find_scans(folder) == []
    with pytest.raises(ik.errors.AcquisitionError, match="map computed by the scanner"):
        ik.load(folder)


def test_grid_values_and_directions_are_those_of_dcm2niix(folder, tmp_path):
    program = pytest.importorskip("dcm2niix").bin
    scans = [scan for scan in _contents(folder).scans if scan.kind == "dwi"]
    if not scans:
        pytest.skip("no directions")
    (tmp_path / "in").mkdir()
    for path in (folder / "dicom").rglob("*"):
        if path.is_file():
            name = "_".join(path.relative_to(folder).parts)
            content = path.read_bytes()
            if name.endswith(".gz"):
                name, content = name[:-3], gzip.decompress(content)
            (tmp_path / "in" / name).write_bytes(content)
    call = [program, "-b", "n", "-f", "%s", "-o", tmp_path, tmp_path / "in"]
    subprocess.run(call, check=True, capture_output=True)
    files = DicomFiles(scans[0], (folder,))
    dwi = ik.DWI(files.read()[0], files.bvals, bvecs=files.bvecs, geometry=files.geometry)
    image = nib.load(tmp_path / f"{scans[0].series_numbers[0]}.nii")
    other = np.asarray(image.dataobj, dtype=np.float64)
    voxels = np.indices(dwi.shape).reshape(3, -1)[:, ::STEP]
    there = dwi.affine @ np.vstack([voxels, np.ones(voxels.shape[1])])
    found = (np.linalg.inv(image.affine) @ there)[:3]
    nearest = np.rint(found).astype(int)
    assert_allclose(found, nearest, atol=VOXEL_SHARE)
    theirs = other[tuple(nearest)]
    ours = dwi.signal[tuple(voxels)].astype(np.float64)
    pairs = [_same_volume(own, theirs) for own in ours.T]
    assert None not in pairs
    assert len({round(factor, 5) for _, factor in pairs}) == 1
    bvec = tmp_path / f"{scans[0].series_numbers[0]}.bvec"
    if dwi.acquisition.bvecs is not None and bvec.exists():
        _compare_directions(dwi, np.loadtxt(bvec).T, image.affine, [k for k, _ in pairs])


def _same_volume(own, theirs):
    """Return the volume that is proportional to one, and the factor."""
    for k, other in enumerate(theirs.T):
        factor = (other @ own) / (own @ own)
        if np.allclose(other, factor * own, rtol=PROPORTIONAL, atol=PROPORTIONAL * other.max()):
            return k, factor
    return None


def _compare_directions(dwi, bvecs, affine, order):
    if len(set(order)) < len(order):
        # All volumes have the same pixels, as in files that were anonymised: as they come.
        order = list(range(len(order)))
    ours = _in_patient(dwi.acquisition.bvecs, dwi.affine)
    theirs = _in_patient(bvecs, affine)[order]
    weighted = (dwi.acquisition.bvals > 10) & theirs.any(axis=1) & ours.any(axis=1)
    assert weighted.any()
    cosines = np.abs((ours * theirs).sum(axis=1))[weighted]
    assert cosines.min() > SAME_DIRECTION


def _in_patient(bvecs, affine):
    axes = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    sign = [-1 if np.linalg.det(affine[:3, :3]) > 0 else 1, 1, 1]
    return (np.asarray(bvecs) * sign) @ axes.T


def test_body_signals_as_dicom_are_fitted_alike(shared_data, tmp_path):
    """The abdomen of the shared data, one b-value per direction, as Siemens DICOM."""
    import dicom_maker as dm

    source = shared_data / "abdomen" / "volunteer1" / "dwi.nii.gz"
    if not source.exists():
        pytest.skip(f"no {source}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scan = ik.load(source).select(volumes=range(0, 60))
    signal = np.asarray(scan.signal)[:, :, :4]
    slope = float(signal.max()) / 32000
    made = dm.Made(
        np.rint(signal / slope).astype(np.int16),
        scan.acquisition.bvals.tolist(),
        affine=scan.affine,
        slope=slope,
    )
    dm.save(dm.slices(made), tmp_path)
    found = ik.load(tmp_path)
    assert_allclose(found.affine, scan.affine, atol=1e-6)
    assert found.acquisition.bvals.tolist() == scan.acquisition.bvals.tolist()
    assert_allclose(found.signal, signal, atol=slope / 2 * 1.01)
