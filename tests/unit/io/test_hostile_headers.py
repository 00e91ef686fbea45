"""Headers that claim more than is there: refused before anything is allocated."""

import gzip
import json
import tracemalloc

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import FileFormatError, InputError
from ivimkit.io import load_map, scan_files
from ivimkit.io.nifti import open_nifti

BVALS = [0, 0, 50, 100, 400, 800]
SHAPE = (7, 6, 5)
# 10^12 voxels.
CLAIMED = (10_000, 10_000, 10_000)
MOST_BYTES = 20_000_000


def with_claim(path, shape):
    """Write another shape into the header of a file, whose data stay as they are."""
    raw = path.read_bytes()
    packed = path.suffix == ".gz"
    plain = bytearray(gzip.decompress(raw) if packed else raw)
    for axis, n in enumerate(shape, start=1):
        plain[40 + 2 * axis : 42 + 2 * axis] = n.to_bytes(2, "little")
    path.write_bytes(gzip.compress(plain, mtime=0) if packed else bytes(plain))
    return path


@pytest.fixture
def refused(scan):
    """Return a function that reads something and expects a sentence, and little memory."""

    def check(read):
        tracemalloc.start()
        try:
            with pytest.raises(FileFormatError, match=r"truncated or damaged|expected \(7, 6, 5"):
                read()
            assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
        finally:
            tracemalloc.stop()

    return check


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("slope", [None, (2.0, 1.0)])
def test_scans_masks_labels_and_maps(refused, write, scan, signal, ending, slope):
    large = write(f"large{ending}", signal, np.int16, slope=slope)
    (large.parent / "large.bval").write_text(" ".join(map(str, BVALS)))
    region = with_claim(write(f"region{ending}", signal[..., 0], np.int16, slope=slope), CLAIMED)
    dwi = ik.load(scan)
    refused(lambda: ik.load(with_claim(large, CLAIMED)))
    refused(lambda: ik.load(scan, mask=region))
    refused(lambda: ik.load_labels(region, dwi))
    refused(lambda: load_map(region))
    refused(lambda: load_map(region, dwi))


def test_weights_beside_a_scan(refused, tmp_path, signal):
    dwi = ik.DWI(signal, BVALS).with_weights(np.arange(signal.size).reshape(signal.shape) % 2)
    ik.io.save_scan(dwi, tmp_path / "weighted.nii.gz")
    with_claim(tmp_path / "weighted_weights.nii.gz", CLAIMED)
    refused(lambda: ik.load(tmp_path / "weighted.nii.gz"))


def test_maps_of_a_result(refused, tmp_path, signal):
    ik.save(ik.fit(signal, BVALS, model="monoexp"), tmp_path / "out")
    status = tmp_path / "out" / "status.nii.gz"
    kept = status.read_bytes()
    with_claim(status, CLAIMED)
    refused(lambda: ik.load_result(tmp_path / "out"))
    # One that there is room for, but that is not that of the record: it is not read.
    status.write_bytes(kept)
    with_claim(tmp_path / "out" / "S0.nii.gz", (70, 6, 5))
    refused(lambda: ik.load_result(tmp_path / "out"))


def test_a_record_that_claims_more(refused, tmp_path, signal):
    ik.save(ik.fit(signal, BVALS, model="monoexp"), tmp_path / "out")
    record = tmp_path / "out" / "fit.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"shape": list(CLAIMED)}))
    with pytest.raises(FileFormatError, match=r"expected \(10000, 10000, 10000\), as fit.json"):
        ik.load_result(tmp_path / "out")


def test_what_a_compressed_file_may_become_is_compared_with_the_free_memory(write, monkeypatch):
    path = write("zeros.nii.gz", np.zeros((60, 60, 60)), np.int16)
    monkeypatch.setattr("ivimkit.scan.whole_scan.free_memory_mb", lambda: 0.1)
    with pytest.raises(InputError, match=r"zeros.nii.gz needs 1 MB of memory, and 1 MB are free"):
        open_nifti(path).read()


def test_large_scans_are_scaled_where_they_are_read(write, signal, monkeypatch):
    path = write("scaled.nii", signal, np.int16, slope=(0.5, 3.0))
    (path.parent / "scaled.bval").write_text(" ".join(map(str, BVALS)))
    whole = ik.load(path)
    monkeypatch.setattr(scan_files, "MAX_BYTES_SCALED", 0)
    parts = ik.load(path)
    assert isinstance(whole.stored, np.ndarray)
    assert not isinstance(parts.stored, np.ndarray)
    assert parts.stored.dtype == whole.stored.dtype
    np.testing.assert_array_equal(np.asarray(parts.signal), whole.signal)
    np.testing.assert_array_equal(parts.signal[1, 2, :, [0, 3]], whole.signal[1, 2, :, [0, 3]])
    assert parts.curve().tolist() == whole.curve().tolist()
    assert parts.shape == SHAPE
