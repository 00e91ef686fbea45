"""Maps and scans as files: geometry to the bit, types, b-values."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ivimkit import models
from ivimkit.errors import InputError, OutputExistsError, ShapeError
from ivimkit.io import load, load_map, save_map, save_scan
from ivimkit.io.map_files import write_image
from ivimkit.io.nifti import open_nifti
from ivimkit.parameter import Parameter
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry

OBLIQUE = np.array([[-1.9, 0.2, 0.1, 90], [0.2, 1.9, -0.3, -70], [0.1, 0.4, 3.4, 5], [0, 0, 0, 1]])
GEOMETRY_FIELDS = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x"),
    *("qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)


def scanner_file(path, kind, sform, qform, units="mm"):
    """Write an image whose sform and qform differ, with the given codes."""
    image = kind(np.ones((4, 3, 2), np.float32), None)
    image.header["pixdim"][:4] = [-1, 1.9, 2.1, 3.5]
    image.header.set_qform(OBLIQUE, code=qform)
    image.header.set_sform(OBLIQUE + 0.01 * np.eye(4), code=sform)
    image.header.set_xyzt_units(xyz=units)
    nib.save(kind(image.get_fdata(dtype=np.float32), None, image.header), path)
    return open_nifti(path)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (0, 0), (0, 1), (2, 0), (4, 3)])
@pytest.mark.parametrize("units", ["mm", "micron", "unknown"])
def test_geometry_is_kept_to_the_bit(tmp_path, kind, sform, qform, units):
    file = scanner_file(tmp_path / "a.nii", kind, sform, qform, units)
    write_image(tmp_path / "map.nii.gz", np.ones((4, 3, 2)), file.geometry)
    one, other = nib.load(tmp_path / "a.nii"), nib.load(tmp_path / "map.nii.gz")
    assert type(one) is type(other)
    np.testing.assert_array_equal(one.affine, other.affine)
    for name in GEOMETRY_FIELDS:
        np.testing.assert_array_equal(one.header[name], other.header[name], err_msg=name)
    np.testing.assert_array_equal(one.header["pixdim"][:4], other.header["pixdim"][:4])
    assert open_nifti(tmp_path / "map.nii.gz").geometry == file.geometry


def test_geometry_of_a_big_endian_file(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    image = nib.Nifti1Image(np.ones((4, 3, 2), ">f4"), OBLIQUE, header)
    nib.save(image, tmp_path / "a.nii")
    geometry = open_nifti(tmp_path / "a.nii").geometry
    write_image(tmp_path / "map.nii", np.ones((4, 3, 2)), geometry)
    read = [nib.load(tmp_path / name).affine for name in ("a.nii", "map.nii")]
    np.testing.assert_array_equal(*read)


def test_geometry_without_a_header(tmp_path):
    geometry = Geometry(OBLIQUE, sform_code=1, qform_code=1, voxel_units="meter")
    save_map(np.ones((4, 3, 2)), tmp_path / "a.nii", geometry)
    back = open_nifti(tmp_path / "a.nii").geometry
    np.testing.assert_allclose(back.affine, OBLIQUE, rtol=1e-6)
    assert (back.sform_code, back.qform_code, back.voxel_units) == (1, 1, "meter")


@pytest.mark.parametrize(
    ("given_type", "stored"),
    [
        (np.float64, np.float32),
        (np.float32, np.float32),
        (np.int32, np.int32),
        (np.uint8, np.uint8),
        (np.int64, np.float32),
        (bool, np.float32),
    ],
)
def test_types_of_maps(tmp_path, given_type, stored):
    array = (np.arange(24).reshape(4, 3, 2) % 2).astype(given_type)
    save_map(array, tmp_path / "a.nii.gz", Geometry())
    back = load_map(tmp_path / "a.nii.gz")
    assert back.dtype == stored
    np.testing.assert_array_equal(back, array)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrays(np.float32, array_shapes(max_dims=7, max_side=4), elements=st.floats(width=32)))
def test_maps_round_trip(tmp_path, array):
    save_map(array, tmp_path / "a.nii.gz", Geometry(), overwrite=True)
    np.testing.assert_array_equal(load_map(tmp_path / "a.nii.gz").reshape(array.shape), array)


def test_numbers_beyond_float32_become_infinite(tmp_path):
    save_map(np.full((2, 2, 2), 1e300), tmp_path / "a.nii", Geometry())
    assert np.isinf(load_map(tmp_path / "a.nii")).all()


def test_a_long_list_of_voxels(tmp_path):
    save_map(np.arange(70_000.0), tmp_path / "a.nii.gz", Geometry())
    assert load_map(tmp_path / "a.nii.gz").shape == (70_000, 1, 1)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_the_header_says_what_a_map_shows(tmp_path, kind):
    geometry = scanner_file(tmp_path / "a.nii", kind, 1, 1).geometry
    about = models.get("biexp")["D"]
    save_map(np.ones((4, 3, 2)), tmp_path / "D.nii.gz", geometry, about=about)
    header = nib.load(tmp_path / "D.nii.gz").header
    assert header["descrip"].item().decode() == "ivimkit D mm^2/s"
    assert header.get_intent() == ("estimate", (), "D")
    np.testing.assert_allclose([header["cal_min"], header["cal_max"]], about.display, rtol=1e-6)
    # Nothing else changes, and a map of which nothing is known claims nothing.
    save_map(np.ones((4, 3, 2)), tmp_path / "plain.nii.gz", geometry)
    plain = nib.load(tmp_path / "plain.nii.gz").header
    other = {name for name in plain if plain[name].tobytes() != header[name].tobytes()}
    assert other == {"descrip", "intent_code", "intent_name", "cal_max"}
    assert (plain["descrip"], plain["cal_max"], plain.get_intent()[0]) == (b"", 0, "none")


def test_names_that_the_header_has_no_room_for(tmp_path):
    about = Parameter("schnelle_Wassermoleküle" * 9, "", "", 0, 1, 0, (np.nan, np.nan))
    save_map(np.ones((2, 2, 2)), tmp_path / "a.nii", Geometry(), about=about)
    header = nib.load(tmp_path / "a.nii").header
    assert header["descrip"].item().startswith(b"ivimkit schnelle_Wassermolek?le")
    assert header.get_intent()[2] == "schnelle_Wasser"
    assert header["cal_max"] == 0


def test_the_same_map_makes_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        save_map(np.arange(24.0).reshape(4, 3, 2), tmp_path / name, Geometry())
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_maps_that_cannot_be_saved(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match=r"a.nii exists already; expected a new file"):
        save_map(np.ones((2, 2)), tmp_path / "a.nii", Geometry())
    with pytest.raises(InputError, match=r"expected a name that ends in .nii or .nii.gz"):
        save_map(np.ones((2, 2)), tmp_path / "a.txt", Geometry())
    with pytest.raises(ShapeError, match="array has 8 axes; expected at most 7"):
        save_map(np.ones((1,) * 8), tmp_path / "b.nii", Geometry())
    with pytest.raises(InputError, match=r"cannot write .*b.nii: .*; expected a folder with"):
        save_map(np.ones((2, 2)), tmp_path / "a.nii" / "b.nii", Geometry())
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii"]
    assert (tmp_path / "a.nii").read_bytes() == b"mine"


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("name", ["dwi.nii", "dwi.nii.gz"])
def test_scans_round_trip(tmp_path, dtype, name):
    signal = np.random.default_rng(0).integers(0, 900, (4, 3, 2, 5)).astype(dtype)
    bvecs = np.random.default_rng(1).normal(size=(5, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1)[:, np.newaxis]
    dwi = DWI(signal, [0, 12.5, 100, 400, 800], OBLIQUE, bvecs=bvecs)
    save_scan(dwi, tmp_path / name)
    back = load(tmp_path / name)
    np.testing.assert_array_equal(back.signal, signal)
    assert back.acquisition.bvals.tolist() == [0, 12.5, 100, 400, 800]
    np.testing.assert_allclose(back.acquisition.bvecs, bvecs, rtol=1e-9)
    np.testing.assert_allclose(back.affine, OBLIQUE, rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (6,), (6, 5)])
def test_scans_of_fewer_axes_are_padded(tmp_path, shape):
    signal = np.random.default_rng(0).random((*shape, 3))
    save_scan(DWI(signal, [0, 100, 800]), tmp_path / "dwi.nii")
    back = load(tmp_path / "dwi.nii")
    assert back.shape == (*shape, 1, 1, 1)[:3]
    np.testing.assert_array_equal(back.signal.reshape(signal.shape), signal)


def test_only_selected_volumes_are_saved(tmp_path):
    signal = np.random.default_rng(0).random((4, 3, 2, 4))
    (tmp_path / "dwi.bvec").write_text("of another scan")
    dwi = DWI(signal, [0, 100, 800, 2000]).select(bmax=1000)
    save_scan(dwi, tmp_path / "dwi.nii", overwrite=True)
    np.testing.assert_array_equal(load(tmp_path / "dwi.nii").signal, signal[..., :3])
    assert not (tmp_path / "dwi.bvec").exists()


@pytest.mark.parametrize("there", ["dwi.nii", "dwi.bval", "dwi.bvec"])
def test_scans_do_not_replace_files(tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(OutputExistsError, match=f"{there} exists already"):
        save_scan(DWI(np.ones((2, 2)), [0, 800]), tmp_path / "dwi.nii")
    assert [path.name for path in tmp_path.iterdir()] == [there]
