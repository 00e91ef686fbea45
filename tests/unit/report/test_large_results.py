"""The report of a result whose scan and maps are not in memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.fitting.scratch_maps import ScratchMaps
from ivimkit.io import stored_result
from ivimkit.scan import blocks, lazy_signal

SHAPE = (160, 160, 100)
BVALS = np.repeat([0, 10, 20, 50, 100, 200, 400, 800], 2).astype(float)
BOX = (slice(10, 22), slice(20, 34))


class Stored:
    """A scan on disk: an array that is not one of numpy, and is read where it is looked at."""

    def __init__(self, path):
        self.shape, self.dtype = (*SHAPE, BVALS.size), np.dtype(np.int16)
        self._file = np.memmap(path, self.dtype, "w+", shape=self.shape, order="F")
        random = np.random.default_rng(0)
        signal = 800 * (0.2 * np.exp(-0.04 * BVALS) + 0.8 * np.exp(-0.001 * BVALS))
        noisy = signal + random.normal(0, 20, (12, 14, SHAPE[2], BVALS.size))
        # Of the outside there is nothing on disk, but noise in one corner.
        self._file[BOX] = np.rint(noisy)
        self._file[-12:, -12:, :4] = np.abs(random.normal(0, 20, (12, 12, 4, BVALS.size)))

    def __getitem__(self, key):
        return np.array(self._file[key])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return Stored(tmp_path_factory.mktemp("large") / "scan")


@pytest.fixture(scope="module")
def saved(stored, tmp_path_factory):
    mask = np.zeros(SHAPE, bool, order="F")
    mask[BOX] = True
    dwi = ik.DWI(stored, BVALS, mask=mask)
    folder = tmp_path_factory.mktemp("large") / "maps"
    ik.save(ik.fit(dwi), folder)
    return dwi, folder


@pytest.fixture
def on_disk(saved, monkeypatch):
    """The result with scan and maps on disk, looked at a few planes at a time."""
    monkeypatch.setattr(stored_result, "_MAX_BYTES_IN_MEMORY", 0)
    monkeypatch.setattr(blocks, "MAX_BLOCK_VOXELS", 8 * SHAPE[0] * SHAPE[1])
    monkeypatch.setattr(lazy_signal, "BLOCK_BYTES", 1 << 20)
    dwi, folder = saved
    result = ik.load_result(folder)
    assert isinstance(result.maps, ScratchMaps)
    return replace(result, dwi=dwi)


def test_a_report_takes_a_fraction_of_the_scan_and_is_the_same(on_disk, saved):
    dwi, folder = saved
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_result, "_MAX_BYTES_IN_MEMORY", 1 << 30)
        patch.setattr(blocks, "MAX_BLOCK_VOXELS", 1 << 30)
        in_memory = ik.DWI(np.asarray(dwi.signal), BVALS, mask=dwi.mask)
        expected = ik.report.build(replace(ik.load_result(folder), dwi=in_memory)).html
    tracemalloc.start()
    try:
        report = ik.report.build(on_disk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < on_disk.dwi.signal.nbytes / 3
    assert report.html == expected
