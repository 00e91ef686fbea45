"""Masks, labels and maps on the voxels of a scan: one rule, against truths found otherwise."""

import itertools
import warnings

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import GeometryWarning, ShapeError
from ivimkit.io import load_map
from tolerances import NOISE_FREE

SHAPE = (7, 5, 4)


def affine_of(edges, angles=(0.0, 0.0, 0.0), axes=(0, 1, 2), origin=(11.0, -23.0, 5.0)):
    turn = nib.eulerangles.euler2mat(*angles)
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(edges)[:, axes]
    matrix[:3, 3] = origin
    return matrix


GEOMETRIES = {
    "RAS": affine_of((2.0, 2.5, 4.0)),
    "LPS": affine_of((-2.0, -2.5, 4.0)),
    "left-handed": affine_of((-2.0, 2.5, 4.0)),
    "sagittal": affine_of((2.0, 2.5, 4.0), axes=(1, 2, 0)),
    "oblique": affine_of((-2.0, 2.5, 4.0), angles=(0.3, -0.2, 0.5)),
    "oblique coronal": affine_of((3.0, 0.9, 0.9), angles=(0.1, 0.7, -0.4), axes=(2, 0, 1)),
}
TRUTH = np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.uint8)
TRUTH[0, 0, 0], TRUTH[-1, -1, -1] = 1, 2


def orientations():
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((1, -1), repeat=3):
            yield np.array([[axis, flip] for axis, flip in zip(order, flips, strict=True)])


def image(array, affine, code=2):
    made = nib.Nifti1Image(np.asarray(array), None)
    made.header.set_sform(affine, code)
    made.header.set_qform(affine, code)
    made.header.set_xyzt_units("mm")
    return nib.Nifti1Image(np.asarray(array), affine, made.header)


@pytest.fixture
def scan(tmp_path):
    """Return a function that writes a scan, and returns its path."""

    def _scan(affine, shape=SHAPE, sform=None, codes=(1, 1), units="mm"):
        data = np.random.default_rng(1).uniform(1, 2, (*shape, 3)).astype(np.float32)
        made = nib.Nifti1Image(data, None)
        made.header.set_xyzt_units(units)
        made.set_sform(affine if sform is None else sform, codes[0])
        made.set_qform(affine, codes[1])
        nib.save(made, tmp_path / "dwi.nii")
        (tmp_path / "dwi.bval").write_text("0 100 800")
        return tmp_path / "dwi.nii"

    return _scan


def all_three(path, scan, dwi=None):
    """Return mask, labels and map of one file, as each of the readers places it."""
    dwi = dwi or ik.load(scan)
    return (
        ik.load(scan, mask=path).mask,
        ik.load_labels(path, dwi).array,
        load_map(path, dwi),
    )


def check(path, scan, truth, outside=None, dwi=None):
    """Compare the three readers with a truth."""
    mask, labels, values = all_three(path, scan, dwi)
    np.testing.assert_array_equal(mask, truth > 0)
    np.testing.assert_array_equal(labels, truth)
    known = np.ones(truth.shape, bool) if outside is None else ~outside
    np.testing.assert_array_equal(values[known], truth[known])
    assert np.isnan(values[~known]).all()


@pytest.mark.parametrize("name", GEOMETRIES)
def test_all_48_orientations(scan, tmp_path, name):
    """All of an oblique scan, and a seventh of each other, another one each."""
    path, whole = scan(GEOMETRIES[name]), image(TRUTH, GEOMETRIES[name])
    number = list(GEOMETRIES).index(name)
    chosen = slice(None) if name == "oblique" else slice(number, None, 7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GeometryWarning)
        dwi = ik.load(path)
        for orientation in list(orientations())[chosen]:
            nib.save(whole.as_reoriented(orientation), tmp_path / "other.nii")
            check(tmp_path / "other.nii", path, TRUTH, dwi=dwi)


@pytest.mark.parametrize("name", ["LPS", "oblique coronal"])
def test_parts_and_larger_images_in_any_orientation(scan, tmp_path, name):
    affine = GEOMETRIES[name]
    path, part = scan(affine), np.s_[1:6, 0:3, 2:4]
    cut = image(TRUTH, affine).slicer[part]
    kept, outside = np.zeros_like(TRUTH), np.ones(SHAPE, bool)
    kept[part], outside[part] = TRUTH[part], False
    around = affine.copy()
    around[:3, 3] -= affine[:3, :3] @ (2, 1, 3)
    wide = image(np.pad(TRUTH, ((2, 1), (1, 4), (3, 0)), constant_values=2), around)
    for orientation in list(orientations())[::7]:
        nib.save(cut.as_reoriented(orientation), tmp_path / "cut.nii")
        nib.save(wide.as_reoriented(orientation), tmp_path / "wide.nii")
        with pytest.warns(GeometryWarning, match="unchanged"):
            check(tmp_path / "cut.nii", path, kept, outside)
        with pytest.warns(GeometryWarning, match="unchanged"):
            check(tmp_path / "wide.nii", path, TRUTH)


@pytest.mark.parametrize("turned", ["oblique", "sagittal"])
def test_other_grids_against_the_nearest_voxel_looked_up_one_by_one(scan, tmp_path, turned):
    """The truth: for each voxel of the scan, the voxel of the label whose box it lies in."""
    affine, fine = GEOMETRIES["LPS"], affine_of((1.3, 1.1, 1.7), (0.2, 0.5, -0.3))
    if turned == "sagittal":
        fine = affine_of((1.3, 1.1, 1.7), axes=(1, 2, 0))
    middle = affine @ [*(np.array(SHAPE) - 1) / 2, 1]
    fine[:3, 3] = middle[:3] - fine[:3, :3] @ (7.5, 9.5, 6.5)
    label = np.random.default_rng(2).integers(1, 4, (16, 20, 14)).astype(np.uint8)
    nib.save(image(label, fine), tmp_path / "label.nii")
    truth = np.zeros(SHAPE, np.uint8)
    for voxel in np.ndindex(SHAPE):
        found = np.linalg.solve(fine, affine @ [*voxel, 1])[:3]
        nearest = np.floor(found + 0.5).astype(int)
        if (nearest >= 0).all() and (nearest < label.shape).all():
            truth[voxel] = label[tuple(nearest)]
    assert (truth > 0).any()
    path = scan(affine)
    with pytest.warns(GeometryWarning, match="resampled to the scan, nearest neighbour"):
        mask = ik.load(path, mask=tmp_path / "label.nii").mask
    with pytest.warns(GeometryWarning, match="resampled to the scan, nearest neighbour"):
        labels = ik.load_labels(tmp_path / "label.nii", ik.load(path)).array
    np.testing.assert_array_equal(mask, truth > 0)
    np.testing.assert_array_equal(labels, truth)


def test_maps_on_other_grids_are_interpolated(scan, tmp_path):
    """A linear function of the position is what linear interpolation gives back."""
    affine, fine = GEOMETRIES["oblique"], affine_of((1.5, 1.5, 1.5))
    fine[:3, 3] = (affine @ [*(np.array(SHAPE) - 1) / 2, 1])[:3] - 1.5 * 19.5

    def field(matrix, shape):
        x, y, z = np.moveaxis(
            np.stack([*np.indices(shape), np.ones(shape)], -1) @ matrix.T, -1, 0
        )[:3]
        return 100 + x - 2 * y + 0.5 * z

    values = field(fine, (40, 40, 40))
    hole = values > np.quantile(values, 0.9)
    values[hole] = np.nan
    nib.save(image(values, fine), tmp_path / "sigma.nii")
    with pytest.warns(GeometryWarning, match="resampled to the scan, linear"):
        found = load_map(tmp_path / "sigma.nii", ik.load(scan(affine)))
    truth = field(affine, SHAPE)
    limit = np.quantile(field(fine, (40, 40, 40)), 0.9)
    deep = truth < limit - 6
    np.testing.assert_allclose(found[deep], truth[deep], rtol=NOISE_FREE)
    assert np.isnan(found[truth > limit + 6]).all()


@pytest.mark.parametrize("name", ["LPS", "oblique"])
def test_the_other_form_of_the_scan_is_recognised(scan, tmp_path, name):
    """Programs that use the qform write it into both forms of what they save."""
    qform = GEOMETRIES[name]
    turn = affine_of((1, 1, 1), (0.12, 0, 0), origin=(4, -6, 3))
    path = scan(qform, sform=turn @ qform, codes=(2, 1))
    with pytest.warns(GeometryWarning, match=r"sform and qform differ by .*: the sform counts"):
        dwi = ik.load(path)
    np.testing.assert_allclose(dwi.affine, turn @ qform, atol=1e-4)
    whole = image(TRUTH, qform)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for orientation in list(orientations())[::7]:
            nib.save(whole.as_reoriented(orientation), tmp_path / "other.nii")
            check(tmp_path / "other.nii", path, TRUTH)
    said = [str(warning.message) for warning in caught]
    assert any(
        "lies where the qform of the scan says, not where its sform" in text for text in said
    )
    # A result knows both forms, too, from the headers of its maps.
    result = ik.fit(dwi, model="monoexp", method="loglinear")
    ik.save(result, tmp_path / "out")
    with pytest.warns(GeometryWarning, match="lies where the qform"):
        labels = ik.load_labels(tmp_path / "other.nii", ik.load_result(tmp_path / "out"))
    np.testing.assert_array_equal(labels.array, TRUTH)
    # On the sform: no word. Part of the qform's voxels: by position, as any other image.
    nib.save(image(TRUTH, turn @ qform), tmp_path / "own.nii")
    assert len(ik.load_labels(tmp_path / "own.nii", dwi)) == 2
    nib.save(whole.slicer[1:], tmp_path / "part.nii")
    with pytest.warns(GeometryWarning, match="resampled"):
        ik.load_labels(tmp_path / "part.nii", dwi)


@pytest.mark.parametrize(("units", "edge"), [("micron", 1000.0), ("meter", 1e-3)])
def test_units_of_length_are_converted(scan, tmp_path, units, edge):
    """Scan and label in other units than mm, beside a label in mm of the same place."""
    mm = GEOMETRIES["LPS"]
    scaled = np.diag([edge, edge, edge, 1]) @ mm
    path = scan(scaled, units=units)
    dwi = ik.load(path)
    np.testing.assert_allclose(dwi.affine, mm, atol=1e-4)
    np.testing.assert_allclose(dwi.geometry.voxel_size, (2.0, 2.5, 4.0), rtol=1e-6)
    nib.save(image(TRUTH, mm), tmp_path / "mm.nii")
    own = image(TRUTH, scaled)
    own.header.set_xyzt_units(units)
    nib.save(own, tmp_path / "own.nii")
    for name in ("mm.nii", "own.nii"):
        check(tmp_path / name, path, TRUTH)
    # Maps are written as the scan is, and mean the same when they come back.
    result = ik.fit(dwi, model="monoexp", method="loglinear")
    ik.save(result, tmp_path / "out")
    written = nib.load(tmp_path / "out" / "ADC.nii.gz")
    assert written.header.get_xyzt_units()[0] == units
    np.testing.assert_array_equal(written.affine, nib.load(path).affine)
    back = ik.load_result(tmp_path / "out")
    np.testing.assert_allclose(back.geometry.affine, mm, atol=1e-4)
    row = ik.quality.roi_status(back, ik.load_labels(tmp_path / "mm.nii", back)).iloc[0]
    assert row["volume_ml"] == pytest.approx((TRUTH == 1).sum() * 20.0 / 1000, rel=1e-6)
    # Without a header of a file, too.
    ik.io.save_map(TRUTH, tmp_path / "made.nii", ik.Geometry(mm, voxel_units=units))
    check(tmp_path / "made.nii", path, TRUTH)


def test_volumes_of_a_list_that_are_stored_in_another_order(scan, tmp_path):
    affine = GEOMETRIES["LPS"]
    truth = ik.load(scan(affine)).signal
    for k, orientation in enumerate(list(orientations())[::17]):
        volume = image(np.asarray(truth[..., k]), affine).as_reoriented(orientation)
        nib.save(volume, tmp_path / f"b{k}.nii")
    dwi = ik.load([tmp_path / f"b{k}.nii" for k in range(3)], [0, 100, 800])
    first = nib.load(tmp_path / "b0.nii")
    stored = nib.Nifti1Image(np.asarray(dwi.signal), first.affine)
    back = stored.as_reoriented(
        nib.orientations.ornt_transform(
            nib.io_orientation(first.affine), nib.io_orientation(affine)
        )
    )
    np.testing.assert_array_equal(np.asarray(back.dataobj), truth)


def test_nothing_has_a_position(scan, tmp_path):
    path = scan(GEOMETRIES["LPS"], codes=(0, 0))
    nib.save(image(TRUTH, np.eye(4), code=0), tmp_path / "same.nii")
    check(tmp_path / "same.nii", path, TRUTH)
    nib.save(image(TRUTH[1:], np.eye(4), code=0), tmp_path / "small.nii")
    for read in (lambda p: ik.load(path, mask=p), lambda p: load_map(p, ik.load(path))):
        with pytest.raises(ShapeError, match=r"small.nii has shape \(6, 5, 4\) and the scan"):
            read(tmp_path / "small.nii")
