"""load: scans, b-values, masks; every check before the image data are read."""

import hashlib
import subprocess
import sys
import warnings

import nibabel as nib
import numpy as np
import pytest

from ivimkit import models
from ivimkit.errors import (
    AcquisitionError,
    AcquisitionWarning,
    FileFormatError,
    GeometryWarning,
    OptionError,
    ShapeError,
)
from ivimkit.io import check_map, load, load_map
from ivimkit.io.nifti import NiftiFile

# Those of the fixtures in conftest.py.
SHAPE = (7, 6, 5)
BVALS = [0, 0, 50, 100, 400, 800]
AFFINE = np.array([[-2.0, 0.1, 0, 90], [0.1, 2.0, 0, -120], [0, 0, 3.5, -60], [0, 0, 0, 1]])

FAR = AFFINE.copy()
FAR[0, 3] += 500


def test_a_scan_with_its_b_values_beside_it(scan, signal):
    dwi = load(scan)
    np.testing.assert_array_equal(dwi.signal, signal)
    assert dwi.acquisition.bvals.tolist() == BVALS
    assert dwi.acquisition.bvecs is None
    assert dwi.n_voxels == np.prod(SHAPE)
    np.testing.assert_allclose(dwi.affine, AFFINE, atol=1e-5)


def test_paths_can_be_strings(scan):
    assert load(str(scan), bvals=str(scan.with_name("dwi.bval"))).shape == SHAPE


def test_b_values_of_a_name_that_cannot_be_looked_for(scan):
    with pytest.raises(FileFormatError, match="File name too long; expected a text file"):
        load(scan, "b" * 300 + ".bval")


def test_b_values_as_numbers_go_before_the_file_beside(scan):
    assert load(scan, [0, 10, 20, 30, 40, 50]).acquisition.bvals.tolist()[-1] == 50


def test_directions_beside_the_scan_are_used(scan):
    vectors = [[0, 0, 1, 1, 0, 1], [0, 0, 0, 0, 1, 0], [0] * 6]
    text = "\n".join(" ".join(map(str, axis)) for axis in vectors)
    scan.with_name("dwi.bvec").write_text(text)
    np.testing.assert_array_equal(load(scan).acquisition.bvecs, np.array(vectors).T)


def test_directions_as_numbers(scan):
    vectors = np.ones((6, 3))
    np.testing.assert_array_equal(load(scan, bvecs=vectors).acquisition.bvecs, vectors)


def test_sources_name_every_file_with_its_checksum(scan, write):
    mask = write("mask.nii", np.ones(SHAPE), np.uint8)
    sources = load(scan, mask=mask).sources
    assert [source.role for source in sources] == ["scan", "bvals", "mask"]
    for source, path in zip(sources, [scan, scan.with_name("dwi.bval"), mask], strict=True):
        assert source.path == str(path.resolve())
        assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_options_are_handed_on(scan):
    dwi = load(scan, average="none", tolerance=100)
    assert dwi.average == "none"
    assert dwi.acquisition.n_shells == 3


def test_unit_of_the_b_values(scan):
    scan.with_name("dwi.bval").write_text("0 0 0.05 0.1 0.4 0.8")
    assert load(scan, b_unit="ms/um2").fit_bvals.tolist() == [0, 50, 100, 400, 800]
    with pytest.raises(AcquisitionError, match=r"dwi.bval: the highest b-value is 0.8.*--b-unit"):
        load(scan)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("0 0 50 100 400", ShapeError, r"dwi.bval has 5 b-values and .*dwi.nii.gz has 6 volumes"),
        ("0 0 50 100 400 nan", AcquisitionError, r"dwi.bval: .*volume 5 is nan.*not finite"),
        ("0 0 50 100 400 -8", AcquisitionError, r"dwi.bval: .*volume 5 is -8.*negative"),
        ("50 50 50 50 50 50", AcquisitionError, r"dwi.bval: all 6 b-values are 50"),
        ("0 0 50 100 400 8x", FileFormatError, r"dwi.bval, line 1: '8x' is not a number"),
    ],
)
def test_b_value_files_that_cannot_be_used(scan, text, error, message):
    scan.with_name("dwi.bval").write_text(text)
    with pytest.raises(error, match=message):
        load(scan)


def test_b_values_that_are_no_numbers(scan):
    for unit in ("s/mm2", "ms/um2"):
        with pytest.raises(AcquisitionError, match=r"bvals: the b-values are .*expected one"):
            load(scan, ["a", "b"], b_unit=unit)


def test_no_b_values(scan):
    scan.with_name("dwi.bval").unlink()
    with pytest.raises(AcquisitionError, match=r"no b-values for .*dwi.nii.gz; expected.*--bval"):
        load(scan)
    with pytest.raises(FileFormatError, match=r"cannot read .*dwi.bval: No such file"):
        load(scan, scan.with_name("dwi.bval"))


def test_units_that_are_unknown_or_wrong(scan):
    with pytest.raises(OptionError, match=r"b_unit is 's/m2'; expected one of s/mm2, ms/um2"):
        load(scan, b_unit="s/m2")
    with pytest.raises(AcquisitionError, match=r"b-value is 800; expected ms/um\^2.*leave out"):
        load(scan, b_unit="ms/um2")


def test_b_values_written_out(scan):
    written = "0,0 50, 100 400,800"
    assert load(scan, written).acquisition.bvals.tolist() == BVALS


def test_no_b_values_but_files_that_may_hold_them(scan):
    scan.with_name("dwi.bval").rename(scan.with_name("dwi_bval.txt"))
    with pytest.raises(AcquisitionError, match=r"there is dwi_bval\.txt.*--bval 0,10,20"):
        load(scan)


def test_a_gradient_table_beside_the_scan(scan):
    scan.with_name("dwi.bval").unlink()
    vectors = np.array([[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0.6, 0.8]])
    np.savetxt(scan.with_name("dwi.grad"), np.c_[vectors, BVALS])
    dwi = load(scan)
    assert dwi.acquisition.bvals.tolist() == BVALS
    np.testing.assert_array_equal(dwi.acquisition.bvecs, vectors)


def test_directions_whose_lengths_carry_the_b_values_are_named(scan):
    length = np.sqrt(np.array(BVALS) / 800)
    vectors = np.c_[length, 0 * length, 0 * length]
    scan.with_name("dwi.bval").write_text("0 0 800 800 800 800")
    np.savetxt(scan.with_name("dwi.bvec"), vectors.T)
    message = r"dwi.bvec: .* 3 of 4 weighted .* 0.25 to 0.707; .*volume 2 would be b = 50, not 800"
    with pytest.warns(AcquisitionWarning, match=message):
        load(scan)


def test_directions_that_do_not_fit(scan):
    scan.with_name("dwi.bvec").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0")
    with pytest.raises(ShapeError, match=r"dwi.bvec has 4 directions and there are 6 volumes"):
        load(scan)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (SHAPE, r"single 3-D image, shape \(7, 6, 5\); expected 4-D.*as a list"),
        (SHAPE[:2], "is 2-D, shape"),
        (SHAPE[:3], r"save it with the shape \(7, 6, 1, 5\); if there is a file for each"),
        ((*SHAPE, 1), r"has one volume, shape \(7, 6, 5, 1\); expected one per b-value"),
        ((*SHAPE, 6, 2), r"is 5-D, .* 6 x 2 volumes; .*\(12 of them, with a b-value for each\)"),
    ],
)
def test_scans_that_are_not_4_d(write, shape, message):
    with pytest.raises(ShapeError, match=message):
        load(write("dwi.nii", np.ones(shape)), BVALS)


@pytest.mark.parametrize("name", ["dwi.nii", "dwi.nii.gz"])
@pytest.mark.parametrize("axes", [(1, 6), (6, 1), (1, 1, 6), (6, 1, 1), (1, 6, 1)])
def test_further_axes_of_length_1_mean_nothing(write, signal, name, axes):
    dwi = load(write(name, signal.reshape(*SHAPE, *axes), np.int16), BVALS)
    np.testing.assert_array_equal(dwi.signal, signal)


def test_a_list_of_3_d_files(write, signal):
    paths = [write(f"b{v}.nii.gz", signal[..., v], np.int16) for v in range(6)]
    dwi = load(paths, BVALS)
    np.testing.assert_array_equal(dwi.signal, signal)
    assert dwi.signal.dtype == np.int16
    assert [source.role for source in dwi.sources] == ["scan"] * 6


def test_a_list_of_mixed_types_and_a_single_volume(write, signal):
    kinds = [np.int16, np.float32, np.int16, np.int32, np.uint16, np.float32]
    paths = [write(f"b{v}.nii", signal[..., v : v + 1], kinds[v]) for v in range(6)]
    dwi = load(paths, BVALS)
    np.testing.assert_array_equal(dwi.signal, signal)
    assert dwi.signal.dtype == np.float32
    paths[0] = write("b0.nii", signal[..., 0], np.float64)
    assert load(paths, BVALS).signal.dtype == np.float64


def test_lists_that_cannot_be_used(write, signal, scan):
    good = write("a.nii", signal[..., 0])
    with pytest.raises(AcquisitionError, match=r"list of scans came without b-values.*--bval"):
        load([good, good])
    with pytest.raises(ShapeError, match="list of scans is empty; expected one 3-D file"):
        load([])
    with pytest.raises(ShapeError, match=r"dwi.nii.gz in the list .*\(7, 6, 5, 6\); expected 3-D"):
        load([good, scan], [0, 800])
    with pytest.raises(ShapeError, match=r"b.nii has shape \(7, 6, 4\); expected \(7, 6, 5\)"):
        load([good, write("b.nii", signal[:, :, 1:, 0])], [0, 800])
    with pytest.raises(ShapeError, match=r"bvals has 3 b-values and .*a.nii and 1 more has 2"):
        load([good, good], [0, 100, 800])


def test_a_list_in_two_places(write, signal):
    moved = AFFINE.copy()
    moved[0, 3] += 7
    paths = [write("a.nii", signal[..., 0]), write("b.nii", signal[..., 1], affine=moved)]
    message = r"b.nii has another affine than .*a.nii: .*7 mm"
    with pytest.warns(GeometryWarning, match=message) as caught:
        load(paths, [0, 800])
    assert caught[0].filename == __file__


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("last", [(), (1,)])
def test_a_mask_of_any_type(scan, write, dtype, last):
    inside = np.zeros(SHAPE)
    inside[2, 3:5, 1] = 1
    mask = write("mask.nii.gz", inside.reshape(*SHAPE, *last), dtype)
    np.testing.assert_array_equal(load(scan, mask=mask).mask, inside > 0)


def test_a_mask_as_an_array(scan):
    assert load(scan, mask=np.ones(SHAPE)).n_voxels == np.prod(SHAPE)


def test_masks_that_cannot_be_used(scan, write):
    with pytest.raises(ShapeError, match=r"mask.nii has 2 volumes, .*expected a mask of one vol"):
        load(scan, mask=write("mask.nii", np.ones((*SHAPE, 2))))
    with pytest.raises(ShapeError, match="mask is empty"):
        load(scan, mask=write("mask.nii", np.zeros(SHAPE)))
    with pytest.raises(FileFormatError, match="there is no file"):
        load(scan, mask=scan.with_name("no.nii"))
    with pytest.raises(ShapeError, match=r"mask has shape \(2, 2\)"):
        load(scan, mask=np.ones((2, 2)))


def test_a_mask_elsewhere(scan, write):
    moved = AFFINE.copy()
    moved[:3, 3] += [10, 0, -4]
    mask = write("mask.nii", np.ones(SHAPE), affine=moved)
    message = r"mask.nii has another geometry than the scan \(voxels are up to 10 mm apart\)"
    with pytest.warns(GeometryWarning, match=message) as caught:
        load(scan, mask=mask)
    assert caught[0].filename == __file__
    mask = write("mask.nii", np.ones(SHAPE), affine=FAR)
    with pytest.raises(ShapeError, match=r"the mask .*mask.nii and the scan do not overlap"):
        load(scan, mask=mask)
    # It reaches over the scan, but not with the voxels that it marks.
    corner = np.zeros(SHAPE)
    corner[0, 0, 0] = 1
    with pytest.raises(
        ShapeError, match=r"mask.nii has no voxel on .*dwi.nii.gz; expected at least one"
    ):
        load(scan, mask=write("mask.nii", corner, affine=moved))


def test_a_mask_with_a_rounded_affine_is_in_the_same_place(scan, write):
    mask = write("mask.nii", np.ones(SHAPE), affine=AFFINE * (1 + 1e-6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(scan, mask=mask)


@pytest.mark.parametrize(
    "options",
    [
        {"mask": np.zeros(SHAPE)},
        {"mask": np.ones((2, 2))},
        {"average": "mean"},
        {"bvals": [0, 1]},
        {"bvecs": np.ones((2, 3))},
        {"tolerance": -1},
    ],
)
def test_everything_is_checked_before_the_data_are_read(scan, monkeypatch, options):
    def read(_):
        raise AssertionError("the data were read")

    monkeypatch.setattr(NiftiFile, "read", read)
    with pytest.raises(ValueError, match="expected"):
        load(scan, **options)


def test_damaged_data(scan):
    scan.write_bytes(scan.read_bytes()[:-300])
    with pytest.raises(FileFormatError, match=r"dwi.nii.gz is truncated or damaged"):
        load(scan)


def test_load_map(write):
    labels = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    read = load_map(write("labels.nii.gz", labels, np.uint8))
    np.testing.assert_array_equal(read, labels)
    with pytest.raises(FileFormatError, match="there is no file"):
        load_map("nowhere.nii")


PEAK = """
import sys
import numpy as np
from ivimkit.io import load

def bytes_of(name):
    # The peak of `resource` begins with the one of the process that started this one.
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

load(sys.argv[1], [0, 800])
before = bytes_of("VmRSS")
dwi = load(sys.argv[2], np.arange(24) * 40)
print(bytes_of("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of a process")
def test_memory_is_that_of_the_array(write):
    """A 4-D integer file of 25 MB with scaling becomes 50 MB of float32, and little more."""
    data = np.zeros((128, 128, 32, 24), dtype=np.int16)
    paths = [
        write(f"{name}.nii.gz", values, np.int16, slope=(2.0, 0.0))
        for name, values in (("small", data[:2, :2, :2, :2]), ("big", data))
    ]
    command = [sys.executable, "-c", PEAK, *paths]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert data.size * 4 <= int(run.stdout) < 1.25 * data.size * 4


@pytest.mark.parametrize("volunteer", ["volunteer1", "volunteer2"])
def test_the_abdomen_scans(shared_data, volunteer):
    folder = shared_data / "abdomen" / volunteer
    dwi = load(folder / "dwi.nii.gz", mask=folder / "mask.nii.gz")
    assert dwi.signal.dtype == np.uint16
    assert dwi.acquisition.n_volumes == 300
    assert np.unique(dwi.fit_bvals).tolist() == [0, 10, 25, 50, 100, 200, 300, 400, 500]
    assert dwi.acquisition.varying == ("diffusion_time", "gradient")
    assert dwi.acquisition.n_shells == 43
    assert dwi.fit_counts.sum() == 300
    b0, b500 = dwi.mean_image(0)[dwi.mask], dwi.mean_image(500)[dwi.mask]
    assert np.median(b500) < np.median(b0)


def test_the_prostate_scan(shared_data):
    folder = shared_data / "prostate"
    dwi = load(folder / "dwi.nii.gz", mask=folder / "roi_tumor.nii.gz")
    image = nib.load(folder / "dwi.nii.gz")
    np.testing.assert_array_equal(dwi.affine, image.affine)
    np.testing.assert_allclose(dwi.signal, image.get_fdata(), rtol=1e-7)
    assert dwi.select(bmax=1000).fit_bvals[-1] == 1000
    assert "2000" in models.get("biexp").advice(dwi.acquisition)[-1]


def test_a_map_lies_where_the_scan_does(scan, write):
    """Rounding is no other place; one voxel further is."""
    dwi, values = load(scan), np.arange(np.prod(SHAPE), dtype=float).reshape(SHAPE)
    same = write("same.nii", values, affine=AFFINE * (1 + 1e-6))
    check_map(same, dwi)
    np.testing.assert_array_equal(load_map(same, dwi), values)
    further = AFFINE @ [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    path = write("further.nii", values, affine=further)
    message = r"further.nii has another geometry .*up to 2 mm apart.*30 of the 210 voxels"
    with pytest.warns(GeometryWarning, match=message) as caught:
        found = load_map(path, dwi)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(found[1:], values[:-1])
    assert np.isnan(found[0]).all()
    nowhere = write("nowhere.nii", values, affine=FAR)
    with pytest.raises(ShapeError, match=r"the map .*nowhere.nii and the scan do not overlap"):
        check_map(nowhere, dwi)


def test_a_map_without_a_position_is_taken_by_its_shape(scan, tmp_path):
    image = nib.Nifti1Image(np.ones(SHAPE, np.float32), None)
    image.header.set_sform(None, code=0)
    image.header.set_qform(None, code=0)
    nib.save(image, tmp_path / "map.nii")
    with pytest.warns(GeometryWarning, match="map.nii does not say where it is") as caught:
        load_map(tmp_path / "map.nii", load(scan))
    assert caught[0].filename == __file__
    small = nib.Nifti1Image(np.ones((6, 6, 5), np.float32), None, image.header)
    nib.save(small, tmp_path / "small.nii")
    with pytest.raises(ShapeError, match=r"small.nii has shape \(6, 6, 5\) and the scan"):
        check_map(tmp_path / "small.nii", load(scan))
