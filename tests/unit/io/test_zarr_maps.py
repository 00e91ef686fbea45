"""Results whose maps are a Zarr store: the numbers of NIfTI files, read where they are used."""

import json
import pickle
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import FileFormatError, OptionError, OutputExistsError
from ivimkit.fitting.scratch_maps import ScratchMaps
from ivimkit.fitting.voxel_maps import VoxelMaps
from ivimkit.io import check_output, map_chunks, stored_result, zarr_writing
from ivimkit.scan.nifti_image import as_float32
from ivimkit.status import FitStatus
from ivimkit.writing import ScratchArray
from made_results import biexp_maps, made_result

zarr = pytest.importorskip("zarr")

SHAPE = (5, 4, 6)
AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2, 0.1, -40], [0, -0.1, 5, 7], [0, 0, 0, 1]])


def made(shape=SHAPE):
    status = np.zeros(shape, dtype=np.int32)
    status[..., :1] = FitStatus.OUTSIDE_MASK
    status[..., 1:2] = FitStatus.PERFUSION_NOT_DETECTED
    maps = biexp_maps(shape)
    for values in maps.values():
        values[status == FitStatus.OUTSIDE_MASK] = np.nan
    maps["S0"] = maps["S0"] * 1e38
    return made_result(maps, status=status, affine=AFFINE)


@pytest.fixture(autouse=True)
def _few_numbers_in_a_chunk(monkeypatch):
    monkeypatch.setattr(map_chunks, "_CHUNK_VOXELS", 40)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    home = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(map_chunks, "_CHUNK_VOXELS", 40)
        ik.save(made(), home, format="zarr")
    return home


@pytest.fixture
def out(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "out"))


def bits(values):
    return np.ascontiguousarray(as_float32(np.asarray(values))).view(np.int32)


@pytest.mark.parametrize(
    ("shape", "n_voxels", "large"),
    [((7,), 3, False), ((5, 4), 40, False), (SHAPE, 12, True), ((2, 3, 2, 2), 8, False)],
)
def test_numbers_and_the_rest_are_those_of_nifti_files(
    tmp_path, monkeypatch, shape, n_voxels, large
):
    monkeypatch.setattr(map_chunks, "_CHUNK_VOXELS", n_voxels)
    if large:
        monkeypatch.setattr(stored_result, "_MAX_BYTES_IN_MEMORY", 0)
    result = made(shape)
    ik.save(result, tmp_path / "nifti")
    ik.save(result, tmp_path / "zarr", format="zarr")
    one, other = (ik.load_result(tmp_path / name) for name in ("nifti", "zarr"))
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(bits(one[name]), bits(other[name]), name)
        assert one[name].dtype == other[name].dtype
    np.testing.assert_array_equal(one.status, other.status)
    assert one.status.dtype == other.status.dtype
    for what in ("settings", "provenance", "acquisition", "geometry"):
        assert getattr(one, what) == getattr(other, what)
    # And back: the very files.
    ik.save(other, tmp_path / "again")
    for path in (tmp_path / "nifti").glob("*.nii.gz"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_a_single_voxel(tmp_path):
    one = made_result(biexp_maps(()))
    ik.save(one, tmp_path, format="zarr")
    assert ik.load_result(tmp_path).at(())["D"] == np.float32(one["D"])


def test_columns_of_voxels_and_maps_on_disk_are_written_alike(whole, tmp_path):
    result = made()
    index = np.flatnonzero(result.mask.ravel(order="F"))
    columns = {name: values.ravel(order="F")[index] for name, values in result.maps.items()}
    ik.save(
        replace(result, maps=VoxelMaps(columns, index, SHAPE, "F")), tmp_path / "a", format="zarr"
    )
    stored = {name: as_float32(values) for name, values in result.maps.items()}
    ik.save(replace(result, maps=ScratchMaps(stored)), tmp_path / "b", format="zarr")
    chunks = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
    for name in ("a", "b"):
        for chunk in chunks:
            assert (tmp_path / name / chunk).read_bytes() == (whole / chunk).read_bytes(), chunk


def test_xarray_opens_it_with_all_that_to_xarray_says(whole):
    xr = pytest.importorskip("xarray")
    found, expected = xr.open_zarr(whole / "maps.zarr"), made().to_xarray()
    assert set(found.variables) == set(expected.variables)
    for name, values in expected.variables.items():
        np.testing.assert_array_equal(bits(found[name]), bits(values), name)
        assert found[name].dims == values.dims
        about = {key: np.asarray(value).tolist() for key, value in values.attrs.items()}
        assert found[name].attrs == about
    assert found["status"].dtype == np.int32
    header = found.attrs.pop("nifti_header")
    assert found.attrs == expected.attrs
    assert header
    np.testing.assert_allclose(np.reshape(found.attrs["affine"], (4, 4)), AFFINE)


def test_what_is_not_looked_at_is_not_read(out):
    result, expected = ik.load_result(out), made()
    # All that is left of the maps is one chunk of each.
    for chunk in (out / "maps.zarr").glob("[!xyzs]*/c/*/*/*"):
        if chunk.relative_to(out / "maps.zarr").parts[1:] != ("c", "0", "0", "2"):
            chunk.unlink()
    found = result.at((4, 3, 5))
    assert found == {name: as_float32(map_)[4, 3, 5] for name, map_ in expected.maps.items()}
    assert np.count_nonzero(result.status) == np.count_nonzero(expected.status)
    assert pickle.loads(pickle.dumps(result)).at((4, 3, 5)) == found


def test_a_result_is_used_like_any_other(whole, tmp_path):
    result = ik.load_result(whole)
    ik.save(made(), tmp_path)
    of_images = ik.load_result(tmp_path)
    assert repr(result) == repr(of_images)
    np.testing.assert_array_equal(result.predict([0, 100]), of_images.predict([0, 100]))
    labels = ik.Labels(np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3)
    tables = [ik.quality.roi_table(one, labels) for one in (result, of_images)]
    assert tables[0].equals(tables[1])
    with pytest.raises(OptionError, match="there is no map 'x'; there are S0, f"):
        result.maps["x"]


def test_no_map_is_in_memory_while_maps_are_written(tmp_path, monkeypatch):
    shape = (128, 128, 16)
    monkeypatch.setattr(map_chunks, "_CHUNK_VOXELS", 1 << 14)
    maps = {}
    for name in ("S0", "ADC"):
        stored = ScratchArray(shape, np.float32, "F", tmp_path)
        for _ in range(shape[-1]):
            stored.append(np.arange(shape[0] * shape[1]))
        maps[name] = stored.finished()
    large = replace(
        made_result(maps={"S0": 1.0, "ADC": 1.0}, model="monoexp"),
        maps=ScratchMaps(maps),
        status=np.zeros(shape, np.int32),
    )
    ik.save(made(), tmp_path / "first", format="zarr")
    tracemalloc.start()
    try:
        ik.save(large, tmp_path / "out", format="zarr")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.75 * maps["S0"].nbytes


# ------------------------------------------------------------------------------------ the folder


def test_one_format_replaces_the_other(tmp_path):
    home = tmp_path / "out"
    ik.save(made(), home)
    (home / "notes.txt").write_text("mine")
    ik.save(made(), home, format="zarr", overwrite=True)
    assert sorted(path.name for path in home.iterdir()) == ["fit.json", "maps.zarr", "notes.txt"]
    with pytest.raises(OutputExistsError, match="already contains results"):
        ik.save(made(), home, format="zarr")
    with pytest.raises(OutputExistsError, match="already contains results"):
        check_output(home, format="zarr")
    fewer = replace(
        made(), maps={"S0": made()["S0"], **{n: made()[n] for n in ("f", "D", "D_star")}}
    )
    ik.save(fewer, home, format="zarr", overwrite=True)
    assert not (home / "maps.zarr" / "ADC").exists()
    ik.save(made(), home, overwrite=True)
    assert not (home / "maps.zarr").exists()
    assert (home / "D.nii.gz").exists()


def test_folders_of_others_are_kept(tmp_path):
    mine = tmp_path / "maps.zarr" / "mine.txt"
    mine.parent.mkdir()
    mine.touch()
    for attempt in (
        lambda: ik.save(made(), tmp_path, format="zarr", overwrite=True),
        lambda: check_output(tmp_path, format="zarr", overwrite=True),
    ):
        with pytest.raises(OutputExistsError, match="zarr exists already, and is not part of an"):
            attempt()
    ik.save(made(), tmp_path)
    # Nor can a record name them.
    (tmp_path / "data").mkdir()
    record = json.loads((tmp_path / "fit.json").read_text())
    record["files"].append("data")
    (tmp_path / "fit.json").write_text(json.dumps(record))
    ik.save(made(), tmp_path, overwrite=True)
    assert mine.exists()
    assert (tmp_path / "data").is_dir()


def test_a_format_that_is_unknown_or_not_installed(tmp_path, monkeypatch, out):
    with pytest.raises(OptionError, match="the format is 'tiff'; expected one of nifti, zarr"):
        ik.save(made(), tmp_path / "new", format="tiff")
    monkeypatch.setattr(zarr_writing, "find_spec", lambda _: None)
    for attempt in (
        lambda: check_output(tmp_path / "new", format="zarr"),
        lambda: ik.save(made(), tmp_path / "new", format="zarr"),
        lambda: ik.load_result(out),
    ):
        with pytest.raises(OptionError, match=r"pip install 'ivimkit\[zarr\]'"):
            attempt()
    assert not (tmp_path / "new").exists()


# ------------------------------------------------------------------------------- damaged stores


def _rewritten(name, **changes):
    def change(store):
        about = json.loads((store / name / "zarr.json").read_text())
        about |= changes
        (store / name / "zarr.json").write_text(json.dumps(about))
        whole = json.loads((store / "zarr.json").read_text())
        whole["consolidated_metadata"]["metadata"][name] |= changes
        (store / "zarr.json").write_text(json.dumps(whole))

    return change


def _claims(store):
    chunk = store / "D" / "c" / "0" / "0" / "1"
    data = bytearray(chunk.read_bytes())
    data[4:8] = (1 << 31).to_bytes(4, "little")
    chunk.write_bytes(data)


def _grid(*sizes):
    return {"name": "regular", "configuration": {"chunk_shape": list(sizes)}}


DAMAGE = {
    "no chunk": (lambda s: (s / "f/c/0/0/2").unlink(), "the chunk f/c/0/0/2 is missing"),
    "an empty chunk": (lambda s: (s / "f/c/0/0/2").write_bytes(b""), "f/c/0/0/2 is missing or of"),
    "a chunk that claims more": (_claims, "D/c/0/0/1 is missing or of another size"),
    "no map": (lambda s: shutil.rmtree(s / "D") or _without(s, "D"), "'D' not found"),
    "no store": (shutil.rmtree, "there is no folder"),
    "another shape": (_rewritten("D", shape=[5, 4, 9000]), "has shape .5, 4, 9000.; expected"),
    "another type": (_rewritten("D", data_type="float64", fill_value=0.0), "are of type float64"),
    "chunks that are huge": (
        _rewritten("D", chunk_grid=_grid(1 << 20, 1 << 20, 1)),
        "a chunk of D has 4398046511104 bytes",
    ),
    "other codecs": (
        _rewritten("D", codecs=[{"name": "bytes", "configuration": {"endian": "little"}}]),
        "the numbers of D are compressed by bytes",
    ),
    "no metadata": (lambda s: (s / "zarr.json").write_text("{"), "maps.zarr is damaged"),
}


def _without(store, name):
    whole = json.loads((store / "zarr.json").read_text())
    del whole["consolidated_metadata"]["metadata"][name]
    (store / "zarr.json").write_text(json.dumps(whole))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_store_is_an_error_before_anything_is_read(out, damage):
    change, message = DAMAGE[damage]
    change(out / "maps.zarr")
    with pytest.raises(FileFormatError, match=message):
        ik.load_result(out)


def test_a_chunk_with_other_bytes_and_flags_that_are_none(out):
    chunk = out / "maps.zarr" / "D" / "c" / "0" / "0" / "1"
    data = bytearray(chunk.read_bytes())
    data[-7] ^= 1
    chunk.write_bytes(data)
    result = ik.load_result(out)
    with pytest.raises(FileFormatError, match=r"is damaged \(Stored and computed checksum do"):
        result["D"]
    zarr.open_group(str(out / "maps.zarr"))["status"][0, 0, 0] = -1
    with pytest.raises(FileFormatError, match="numbers that are not sums of flags"):
        ik.load_result(out)
