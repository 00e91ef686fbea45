"""Diffusion series as scanners of five manufacturers wrote them, against what is known of them.

The folders of the shared data have the b-values, kinds, affines and sums of pixels that are
expected. dcm2niix, written by others, must find the same voxels and proportional values.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import warnings
from collections import defaultdict

import numpy as np
import pytest
from numpy.testing import assert_allclose

import ivimkit as ik

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


@pytest.fixture(params=NAMES)
def folder(request, shared_data):
    home = shared_data / "dicom" / request.param
    if not home.is_dir():
        pytest.skip(f"no {home}")
    return home


def _key(series, kind, shape):
    return series, kind, tuple(shape)


def test_every_volume_is_as_published(folder):
    expected = json.loads((folder / "expected.json").read_text())
    wanted = defaultdict(list)
    for one in expected:
        wanted[_key(one["series"], one["kind"], one["shape"])].append(one)
    stacks = ik.io.list_dicom(folder).stacks
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
    for images, kind in (("directions", "dwi"), ("trace", "trace")):
        known = [one for one in expected if one["kind"] == kind]
        if not known or not any(s.kind == kind for s in ik.io.find_scans(folder)):
            continue
        dwi = ik.load(folder, images=images)
        (one,) = known
        # The means may come after an image without weighting that belongs to the directions.
        sums = dwi.signal.sum(axis=(0, 1, 2), dtype=np.float64)[-len(one["b"]) :]
        assert_allclose(sums, one["sum_of_pixels"], rtol=FLOAT32)


def test_derived_images_are_never_a_scan(shared_data):
    folder = shared_data / "dicom" / "ge_adc_derived"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    assert ik.io.find_scans(folder) == []
    with pytest.raises(ik.errors.AcquisitionError, match="map computed by the scanner"):
        ik.load(folder)


def test_grid_values_and_directions_are_those_of_dcm2niix(folder, tmp_path):
    program = pytest.importorskip("dcm2niix").bin
    scans = [scan for scan in ik.io.find_scans(folder) if scan.kind == "dwi"]
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
    dwi = ik.load(folder)
    image = nib.load(tmp_path / f"{scans[0].series_numbers[0]}.nii")
    other = np.asarray(image.dataobj, dtype=np.float64)
    voxels = np.indices(dwi.shape).reshape(3, -1)
    there = dwi.affine @ np.vstack([voxels, np.ones(voxels.shape[1])])
    found = (np.linalg.inv(image.affine) @ there)[:3]
    nearest = np.rint(found).astype(int)
    assert_allclose(found, nearest, atol=VOXEL_SHARE)
    theirs = other[tuple(nearest)]
    ours = dwi.signal.reshape(-1, dwi.acquisition.n_volumes).astype(np.float64)
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
    signal = np.asarray(scan.signal)
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
