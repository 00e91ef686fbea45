"""Scans at addresses: copied, with what lies next to them; every failure is one sentence."""

import re
import shutil
from collections import namedtuple

import numpy as np
import pytest

import ivimkit as ik
from file_server import file_server
from ivimkit.errors import AcquisitionError, FileFormatError, InputError
from ivimkit.io.remote_copies import at_hand, discard_copies, local_path, origin
from ivimkit.writing import scratch


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder with a scan, a mask and a label image, and its address."""
    folder = tmp_path_factory.mktemp("served")
    made = ik.simulate.phantom(shape=(16, 12, 2))
    ik.io.save_scan(made.dwi, folder / "dwi.nii.gz")
    for name in ("bare", "empty"):
        shutil.copy(folder / "dwi.nii.gz", folder / f"{name}.nii.gz")
    geometry = made.dwi.geometry
    ik.io.save_map(made.dwi.mask.astype(np.uint8), folder / "mask.nii.gz", geometry)
    ik.io.save_map(made.labels, folder / "seg.nii.gz", geometry)
    weights = made.dwi.with_signal(np.ones(made.dwi.signal.shape, np.float32))
    ik.io.save_scan(weights, folder / "weights.nii.gz")
    with file_server(folder) as address:
        yield folder, address
    discard_copies()


def test_a_scan_at_an_address_is_that_of_its_files(served):
    folder, address = served
    secret = address.replace("://", "://anna:secret@")
    here = ik.load(folder / "dwi.nii.gz", mask=folder / "mask.nii.gz")
    there = ik.load(f"{secret}/dwi.nii.gz?token=1", mask=f"{address}/mask.nii.gz")
    assert np.array_equal(there.signal, here.signal)
    assert np.array_equal(there.mask, here.mask)
    paths = {one.role: one.path for one in there.sources}
    assert paths == {
        "scan": f"{address}/dwi.nii.gz",
        "bvals": f"{address}/dwi.bval",
        "mask": f"{address}/mask.nii.gz",
    }
    assert [one.sha256 for one in there.sources] == [one.sha256 for one in here.sources]


def test_regions_labels_and_weights_come_from_addresses_too(served):
    _, address = served
    dwi = ik.load(f"{address}/bare.nii.gz", f"{address}/dwi.bval", mask=f"{address}/seg.nii.gz:1")
    labels = ik.load_labels(f"{address}/seg.nii.gz", dwi)
    assert np.array_equal(dwi.mask, labels.array == 1)
    assert ik.io.load_weights(f"{address}/weights.nii.gz", dwi).value_weights.min() == 1
    assert ik.io.load_map(f"{address}/mask.nii.gz", dwi).shape == dwi.shape


def test_a_result_finds_its_scan_again(served, tmp_path):
    folder, address = served
    result = ik.fit(f"{address}/dwi.nii.gz", mask=f"{address}/mask.nii.gz", model="monoexp")
    ik.save(result, tmp_path / "out")
    discard_copies()
    again = ik.load_result(tmp_path / "out", scan=True)
    assert np.array_equal(again.dwi.signal, ik.load(folder / "dwi.nii.gz").signal)


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("none.nii.gz", AcquisitionError, "no b-values for http://.*/none.nii.gz; expected a"),
        ("denied/dwi.nii.gz", AcquisitionError, "no b-values"),
        ("cut/dwi.nii.gz", FileFormatError, "the connection was cut in the middle; .* Try again"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(served, name, error, match):
    _, address = served
    with pytest.raises(error, match=match):
        ik.load(f"{address}/{name}")
    assert not list(local_path(f"{address}/{name}").parent.glob("*dwi.nii.gz*"))


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("none.nii.gz", "there is no such file; expected a file that can be read. Check"),
        ("denied/dwi.nii.gz", r"access is denied \(status 403\); .* Give credentials"),
        ("page/dwi.nii.gz", "It is a web page: the download failed, or asked for a login"),
    ],
)
def test_so_it_is_with_given_b_values(served, name, match):
    folder, address = served
    with pytest.raises(FileFormatError, match=match):
        ik.load(f"{address}/{name}", folder / "dwi.bval")


@pytest.mark.parametrize(
    ("address", "error", "match"),
    [
        ("http://127.0.0.1:9/x.nii.gz", FileFormatError, "x.nii.gz .*its host cannot be reached"),
        ("foo://b/x.nii.gz", FileFormatError, "foo://, which is not known; expected one of https"),
        ("https://host", FileFormatError, "names no file; expected an address like"),
    ],
)
def test_addresses_that_lead_nowhere(address, error, match):
    with pytest.raises(error, match=match):
        ik.load(address, [0, 800])


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    def refuse(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", refuse)
    with pytest.raises(InputError, match=r"expected the extra s3. .*pip install 'ivimkit\[s3\]'"):
        ik.load("s3://bucket/x.nii.gz", [0, 800])


def test_other_stores_of_objects(served):
    folder, _ = served
    memory = __import__("fsspec").filesystem("memory")
    for name in ("dwi.nii.gz", "dwi.bval"):
        memory.pipe_file(f"/bucket/study/{name}", (folder / name).read_bytes())
    dwi = ik.load("memory://bucket/study/dwi.nii.gz")
    assert np.array_equal(dwi.signal, ik.load(folder / "dwi.nii.gz").signal)
    assert dwi.sources[0].path == "memory://bucket/study/dwi.nii.gz"


def test_a_copy_needs_space(served, monkeypatch):
    folder, address = served
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: usage(1, 1, 10))
    where = f"the folder for a copy of {address}/empty.nii.gz, has 1 MB left; expected 1 MB"
    with pytest.raises(InputError, match=where):
        ik.load(f"{address}/empty.nii.gz", folder / "dwi.bval")


def test_a_path_made_of_an_address_is_explained(tmp_path):
    with pytest.raises(FileFormatError, match="took a slash from it; expected a text"):
        ik.load(tmp_path.__class__("https://host/dwi.nii.gz"), [0, 800])


def test_copies_are_removed(served):
    _, address = served
    path = at_hand(local_path(f"{address}/mask.nii.gz"))
    assert path.is_file()
    assert origin(path) == f"{address}/mask.nii.gz"
    discard_copies()
    assert not path.exists()
    assert not path.parents[1].exists()
    assert re.match(r"/|[A-Z]:", origin(path))
