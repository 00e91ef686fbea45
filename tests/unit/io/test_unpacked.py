"""A large .nii.gz is decompressed to a file without a name; what is not there is refused."""

import gzip
import os
from collections import namedtuple

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import FileFormatError, InputError
from ivimkit.io import scan_files
from ivimkit.io.unpacked import unpacked
from ivimkit.writing import scratch as module


def is_mapped(array):
    """Whether the numbers are in a file that is mapped into memory."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


@pytest.mark.parametrize("slope", [None, (0.5, 3.0)])
def test_the_array_is_that_of_the_file(write, signal, tmp_path, slope):
    path = write("dwi.nii.gz", signal, np.int16, slope=slope)
    found = unpacked(path, tmp_path)
    assert is_mapped(found)
    assert found.dtype == (np.int16 if slope is None else np.float32)
    assert np.array_equal(found, ik.io.load_map(path))
    # Nothing has a name that a process which is killed could leave behind.
    assert [one.name for one in tmp_path.iterdir()] == ["dwi.nii.gz"]


def test_load_unpacks_scans_above_a_size(scan, monkeypatch):
    here = ik.load(scan)
    monkeypatch.setattr(scan_files, "MIN_UNPACKED_BYTES", 1000)
    mapped = ik.load(scan)
    assert np.array_equal(mapped.signal, here.signal)
    assert is_mapped(mapped.signal)
    assert not is_mapped(here.signal)


def damaged(path, change):
    with gzip.open(path) as file:
        content = file.read()
    with gzip.open(path, "wb") as file:
        file.write(change(content))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda content: content[:-500], "the data end too early"),
        (lambda content: content + bytes(1 << 20), "it goes on after its image data"),
    ],
)
def test_a_stream_of_another_length_is_refused(scan, tmp_path, change, match):
    damaged(scan, change)
    with pytest.raises(FileFormatError, match=f"truncated or damaged .{match}"):
        unpacked(scan, tmp_path)


def test_a_full_disk_is_a_sentence(scan, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(1, 1, 10))
    with pytest.raises(InputError, match=r"the content of .*dwi.nii.gz, has 1 MB left; expected"):
        unpacked(scan, tmp_path)
    monkeypatch.undo()
    with pytest.raises(InputError, match="none, the folder for scratch files, is not a folder"):
        unpacked(scan, tmp_path / "none")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")  # noqa: PTH110
def test_a_disk_that_fills_up_is_a_sentence(scan, monkeypatch):
    full = open("/dev/full", "w+b", buffering=0)  # noqa: SIM115, PTH123
    monkeypatch.setattr(module.tempfile, "TemporaryFile", lambda **_: full)
    with pytest.raises(InputError, match="No space left on device; expected a folder with enough"):
        unpacked(scan)


def test_an_uncompressed_file_is_mapped_as_it_is(write, signal):
    path = write("dwi.nii", signal, np.int16)
    assert np.array_equal(unpacked(path), np.asarray(nib.load(path).dataobj))
