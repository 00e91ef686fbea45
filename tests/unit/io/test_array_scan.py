"""Scans in Zarr, OME-Zarr and HDF5: axes, voxels, b-values, and what is not clear."""

import json

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

import ivimkit as ik
from file_server import file_server
from ivimkit.errors import (
    AcquisitionError,
    FileFormatError,
    GeometryWarning,
    InputError,
    OptionError,
    ShapeError,
)
from ivimkit.io import array_scan

B = [0.0, 50.0, 200.0, 800.0]
SHAPE = (5, 4, 3, 4)
AFFINE = np.array([[-2.0, 0, 0, 9], [0, 2, 0, -7], [0, 0, 3.5, 4], [0, 0, 0, 1]])
SIGNAL = np.random.default_rng(0).integers(1, 1000, SHAPE).astype(np.int16)


def ome(path, *, version="0.5", shape=(4, 1, 3, 4, 5), unit="micrometer", ways=None):
    """Save the signal as OME-Zarr, axes t c z y x, voxels of 2 x 3 x 4 mm."""
    store = zarr.open_group(str(path), mode="w", zarr_format=3 if version == "0.5" else 2)
    array = store.create_array("0", shape=shape, chunks=(1, *shape[1:]), dtype="int16")
    array[...] = np.resize(SIGNAL.T, shape)
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    for name, way in zip("zyx", ways or (None,) * 3, strict=True):
        axis = {"name": name, "type": "space", "unit": unit}
        turned = {"orientation": {"type": "anatomical", "value": way}}
        axes.append(axis if way is None else axis | turned)
    scale = {"type": "scale", "scale": [1, 1, 4000, 3000, 2000]}
    shift = {"type": "translation", "translation": [0, 0, 10000, 0, 0]}
    image = {
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": [scale, shift]}],
    }
    if version == "0.5":
        store.attrs["ome"] = {"version": version, "multiscales": [image]}
    else:
        store.attrs["multiscales"] = [image | {"version": version}]
    return path


@pytest.fixture
def plain(tmp_path):
    """A Zarr array with b-values and affine as attributes."""
    array = zarr.create_array(
        str(tmp_path / "dwi.zarr"), shape=SHAPE, chunks=(5, 4, 1, 2), dtype="int16"
    )
    array[...] = SIGNAL
    array.attrs.update(bvals=B, affine=AFFINE.tolist())
    return tmp_path / "dwi.zarr"


@pytest.fixture
def hdf5(tmp_path):
    """An HDF5 file with volumes first."""
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["raw/dwi"] = SIGNAL.T
        file["raw/bvals"] = B
        file["raw/mask"] = np.ones(SHAPE[:3], dtype=np.uint8)
        file["raw/dwi"].attrs["affine"] = AFFINE
    return tmp_path / "scan.h5"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path, version):
    path = ome(tmp_path / "dwi.ome.zarr", version=version)
    (tmp_path / "dwi.bval").write_text("0 50 200 800")
    with pytest.warns(GeometryWarning, match="does not say which way its axes point"):
        dwi = ik.load(path)
    assert np.array_equal(dwi.signal, SIGNAL)
    assert dwi.geometry.voxel_size == (2.0, 3.0, 4.0)
    assert not dwi.geometry.placed
    assert [one.role for one in dwi.sources] == ["scan", "bvals"]


def test_ome_zarr_with_orientation_has_a_position(tmp_path):
    ways = ("inferior-to-superior", "anterior-to-posterior", "right-to-left")
    dwi = ik.load(ome(tmp_path / "dwi.zarr", ways=ways), B)
    assert dwi.geometry.placed
    expected = np.diag([-2.0, -3.0, 4.0, 1.0])
    expected[2, 3] = 10.0
    assert np.array_equal(dwi.affine, expected)


def test_axes_that_are_not_clear_are_errors(tmp_path):
    both = ome(tmp_path / "a.zarr", shape=(4, 2, 3, 4, 5))
    with pytest.raises(ShapeError, match=r"longer than 1: there are t \(4\), c \(2\). Save all"):
        ik.load(both, B)
    with pytest.raises(FileFormatError, match="axis z in 'inch'; expected one of angstrom"):
        ik.load(ome(tmp_path / "b.zarr", unit="inch"), B)


def test_plain_zarr_by_path_and_as_an_array(plain):
    opened = zarr.open_array(str(plain), mode="r")
    for scan in (plain, opened):
        dwi = ik.load(scan)
        assert np.array_equal(dwi.signal, SIGNAL)
        assert np.array_equal(dwi.affine, AFFINE)
        assert dwi.acquisition.bvals.tolist() == B
    assert np.array_equal(
        ik.fit(opened, model="monoexp")["ADC"], ik.fit(SIGNAL, B, model="monoexp")["ADC"]
    )


def test_a_store_is_known_by_its_content(plain):
    plain = plain.rename(plain.with_name("anything"))
    before = ik.load(plain).sources
    assert ik.load(plain).sources == before
    (plain / "c" / "0" / "0" / "0" / "0").write_bytes(b"damaged")
    with pytest.raises(FileFormatError, match="anything is damaged: "):
        np.asarray(ik.load(plain).signal)


def test_hdf5(hdf5):
    for scan in (hdf5, f"{hdf5}::/raw/dwi"):
        dwi = ik.load(scan, axes="bzyx")
        assert np.array_equal(dwi.signal, SIGNAL)
        assert dwi.acquisition.bvals.tolist() == B
        assert np.array_equal(dwi.affine, AFFINE)
    assert dwi.sources[0].path == f"{hdf5}::raw/dwi"
    with h5py.File(hdf5, "a") as file:
        voxels = ik.fit(file["raw/dwi"][...].T[0, 0], B, model="monoexp")
        assert ik.load(file["raw"], axes="bzyx").shape == SHAPE[:3]
        # Without anything but its numbers, as an array of NumPy: no warning.
        file["raw/plain"] = SIGNAL
        assert ik.fit(file["raw/plain"], B, model="monoexp").shape == SHAPE[:3]
    assert voxels.shape == (3,)


def test_a_large_one_is_read_where_it_is_looked_at(hdf5, monkeypatch):
    monkeypatch.setattr(array_scan, "MAX_BYTES_READ", 0)
    dwi = ik.load(hdf5, axes="bzyx")
    assert not isinstance(dwi.signal, np.ndarray)
    assert np.array_equal(dwi.signal[..., 1], SIGNAL[..., 1])
    small = ik.fit(SIGNAL, B, model="monoexp")
    assert np.array_equal(ik.fit(dwi, model="monoexp").maps["ADC"], small.maps["ADC"])


def test_names_of_axes_in_hdf5(hdf5):
    with h5py.File(hdf5, "a") as file:
        for axis, label in zip(file["raw/dwi"].dims, "bzyx", strict=True):
            axis.label = label
    assert np.array_equal(ik.load(hdf5).signal, SIGNAL)


@pytest.mark.parametrize(
    ("inside", "axes", "error", "match"),
    [
        ("", "xyz", OptionError, "expected one letter for each axis.*like bzyx"),
        ("", None, ShapeError, "4 b-values and .* 5 volumes.*say which is which"),
        ("::/none", None, FileFormatError, "there is no .*::none; expected a data set"),
        ("::/raw/mask", None, ShapeError, "its axes have no names; expected four"),
    ],
)
def test_what_does_not_fit_in_hdf5(hdf5, inside, axes, error, match):
    with pytest.raises(error, match=match):
        ik.load(f"{hdf5}{inside}", axes=axes)


def test_files_that_are_not_what_their_name_says(tmp_path):
    (tmp_path / "a.h5").write_text("nothing")
    (tmp_path / "a.zarr").mkdir()
    for name, match in (
        ("a.h5", "is not an HDF5 file, or damaged"),
        ("b.h5", "there is no file"),
        ("a.zarr", "is not a Zarr store, or damaged"),
        ("b.zarr", "there is no folder"),
    ):
        with pytest.raises(FileFormatError, match=match):
            ik.load(tmp_path / name, B)
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a"], file["b"] = SIGNAL, SIGNAL
    with pytest.raises(FileFormatError, match=r"several arrays that can be a scan: a, b; .*::a"):
        ik.load(tmp_path / "two.h5", B)
    with pytest.raises(OptionError, match="neither Zarr nor HDF5; expected the axes of one"):
        ik.load(tmp_path / "dwi.nii", axes="xyzb")


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"affine": [1.0, 2.0]}, FileFormatError, "affine of .* has 2 numbers; expected 16"),
        ({"affine": "none"}, FileFormatError, "is 'none'; expected numbers"),
        ({"bvals": ["a"]}, FileFormatError, "bvals of .* expected numbers"),
        ({"scale_factor": 0.1}, FileFormatError, "contains packed numbers"),
    ],
)
def test_attributes_that_are_wrong(plain, change, error, match):
    zarr.open_array(str(plain), mode="r+").attrs.update(change)
    with pytest.raises(error, match=match):
        ik.load(plain)


def test_shapes_that_are_not_there_are_refused_before_memory_is_taken(tmp_path):
    zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(1 << 20, 1 << 20, 1, 4), chunks=(64, 64, 1, 4), dtype="f8"
    )
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (1 << 20, 1 << 20, 1, 4), "f8", chunks=(64, 64, 1, 4))
        file.create_dataset("text", (2, 2, 2, 2), "S3")
    for name in ("a.zarr", "a.h5::a"):
        with pytest.raises(FileFormatError, match=r"3.52e\+04 GB.* bytes are stored; expected a"):
            ik.load(tmp_path / name, B)
    with pytest.raises(FileFormatError, match=r"data of type \|S3; expected real numbers"):
        ik.load(tmp_path / "a.h5::text", B)


def test_zarr_at_an_address_is_read_where_it_is(tmp_path):
    path = ome(tmp_path / "www" / "dwi.zarr")
    (tmp_path / "www" / "dwi.bval").write_text("0 50 200 800")
    with file_server(tmp_path / "www") as address:
        with pytest.warns(GeometryWarning, match=address):
            dwi = ik.load(f"{address}/{path.name}")
        with pytest.raises(FileFormatError, match="there is no such file"):
            ik.load(f"{address}/none.zarr", B)
    assert np.array_equal(dwi.signal, SIGNAL)
    assert dwi.sources[0].path == f"{address}/dwi.zarr"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_xarray_has_saved(tmp_path, zarr_format):
    about = {"affine": AFFINE.ravel().tolist()}
    array = xr.DataArray(SIGNAL.T, dims=("b", "z", "y", "x"), coords={"b": B}, attrs=about)
    array.to_dataset(name="dwi").to_zarr(
        tmp_path / "dwi.zarr", zarr_format=zarr_format, consolidated=False
    )
    dwi = ik.load(tmp_path / "dwi.zarr")
    assert np.array_equal(dwi.signal, SIGNAL)
    assert np.array_equal(dwi.affine, AFFINE)
    assert dwi.acquisition.bvals.tolist() == B


@pytest.mark.parametrize(("name", "library"), [("a.zarr", "zarr"), ("a.h5", "hdf5")])
def test_libraries_are_asked_for_by_their_extra(tmp_path, monkeypatch, name, library):
    for module in ("zarr_store", "hdf5_file"):
        monkeypatch.setattr(f"ivimkit.io.{module}.find_spec", lambda _: None)
    with pytest.raises(InputError, match=rf"pip install 'ivimkit\[{library}\]'"):
        ik.load(tmp_path / name, B)


def test_b_values_are_never_guessed(hdf5):
    with h5py.File(hdf5, "a") as file:
        del file["raw/bvals"]
    with pytest.raises(AcquisitionError, match=r"no b-values for .*scan\.h5::raw/dwi"):
        ik.load(hdf5, axes="bzyx")
    with h5py.File(hdf5) as file, pytest.raises(AcquisitionError, match="without b-values"):
        ik.fit(file["raw/mask"])


def test_what_a_store_claims_is_not_allocated(tmp_path):
    """Of b-values, of chunks that are larger than the array, of axes without end."""
    for name, change in {
        "long": {"shape": [1 << 40]},
        "chunk": {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1 << 40]}}},
    }.items():
        group = zarr.create_group(str(tmp_path / f"{name}.zarr"))
        group.create_array("dwi", data=SIGNAL, attributes={"affine": AFFINE.tolist()})
        group.create_array("bvals", data=np.array(B))
        path = tmp_path / f"{name}.zarr" / "bvals" / "zarr.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(FileFormatError, match=r"bvals of .* has more than 65536 numbers"):
            ik.load(path.parents[1])
    path = tmp_path / "chunk.zarr" / "dwi" / "zarr.json"
    about = json.loads(path.read_text())
    chunk = about["chunk_grid"]["configuration"]["chunk_shape"]
    for shape, chunk_shape in (([10**400, 4, 3, 4], chunk), (about["shape"], [1 << 40, 1, 1, 1])):
        grid = {"name": "regular", "configuration": {"chunk_shape": chunk_shape}}
        path.write_text(json.dumps(about | {"shape": shape, "chunk_grid": grid}))
        with pytest.raises(FileFormatError, match=r"GB, shape .* bytes are stored; expected a sc"):
            ik.load(path.parents[1], B)


def test_damaged_b_values_and_labels(tmp_path, hdf5):
    group = zarr.create_group(str(tmp_path / "a.zarr"))
    group.create_array("dwi", data=SIGNAL, attributes={"affine": AFFINE.tolist()})
    group.create_array("bvals", data=np.array(B))
    (tmp_path / "a.zarr" / "bvals" / "c" / "0").write_bytes(b"damaged")
    with pytest.raises(FileFormatError, match=r"bvals of .* expected numbers \(Zstd"):
        ik.load(tmp_path / "a.zarr")
    with h5py.File(hdf5, "a") as file:
        file["raw/dwi"].attrs["DIMENSION_LABELS"] = 5
    with pytest.raises(FileFormatError, match="is not an HDF5 file, or damaged"):
        ik.load(f"{hdf5}::/raw/dwi", axes="bzyx")
