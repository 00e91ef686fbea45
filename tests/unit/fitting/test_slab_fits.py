"""Fits slab by slab: the bits of the whole, whatever is learned from the scan; maps on disk."""

import errno
import weakref
from collections import namedtuple

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import InputError, OptionError
from ivimkit.fitting import memory_budget, ranks
from ivimkit.fitting.scratch_maps import ScratchMaps
from ivimkit.io import result_loading, stored_result
from ivimkit.writing import scratch

# Thick slices, so that prior local reaches one slice, and every slab has some behind its halo.
AFFINE = np.diag([3.0, 3.0, 6.0, 1.0])
SHAPE = (20, 15, 12)


class Slices:
    """An array that is not in memory: shape, type, slices; it counts what it gives."""

    def __init__(self, array):
        self._array, self.given = array, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key):
        assert len(key) == len(self.shape)
        assert all(isinstance(part, slice) for part in key)
        part = self._array[key]
        self.given += part.size
        return part


@pytest.fixture(scope="module")
def made():
    return ik.simulate.phantom("abdomen", shape=SHAPE, snr=30)


@pytest.fixture(scope="module")
def dwi(made):
    signal = np.asfortranarray(made.dwi.signal.astype(np.int16))
    half = np.indices(SHAPE)[1] < SHAPE[1] // 2
    return ik.DWI(signal, made.dwi.acquisition, AFFINE, mask=(made.labels > 0) & half)


def same(whole, slabs):
    """Compare everything that is saved, bit by bit."""
    assert isinstance(slabs.maps, ScratchMaps)
    assert not isinstance(whole.maps, ScratchMaps)
    assert list(whole) == list(slabs)
    for name in whole:
        expected = whole[name].astype(np.float32)
        np.testing.assert_array_equal(expected.view(np.int32), slabs[name].view(np.int32), name)
    np.testing.assert_array_equal(whole.status, slabs.status)
    assert whole.status.dtype == slabs.status.dtype
    assert whole.provenance.status_counts == slabs.provenance.status_counts
    assert whole.provenance.chosen == slabs.provenance.chosen


# Fewer voxels than there are, so that some are drawn, and few steps: bits differ after one.
LOCAL = ik.priors.get("local", rounds=1, n_voxels=400)
LEARNED = ik.priors.get("learned", n_voxels=400, max_steps=3)


@pytest.mark.parametrize(
    ("mem_mb", "options"),
    [
        (0.05, {}),
        (0.05, {"method": "segmented", "uncertainty": "curvature", "adc_bvals": [0, 200, 800]}),
        (0.12, {"method": ik.methods.Bayes(prior="flat")}),
        (0.12, {"method": ik.methods.Bayes(prior=LEARNED)}),
        (0.7, {"method": ik.methods.Bayes(prior=LOCAL)}),
    ],
    ids=["varpro", "segmented", "flat", "learned", "local"],
)
def test_slabs_have_the_bits_of_the_whole(dwi, mem_mb, options):
    calls = []
    slabs = ik.fit(dwi, mem_mb=mem_mb, progress=lambda *now: calls.append(now), **options)
    same(ik.fit(dwi, mem_mb=500, **options), slabs)
    assert calls == sorted(calls)
    assert calls[-1] == (dwi.n_voxels, dwi.n_voxels)


def test_regions_and_the_order_of_memory(made, dwi):
    """In C order slabs are planes along x; each region has learned from all of its voxels."""
    signal = np.ascontiguousarray(dwi.signal)
    other = ik.DWI(signal, dwi.acquisition, AFFINE, mask=dwi.mask)
    # Two regions with enough voxels to learn from.
    labels = np.where(made.labels == made.labels[dwi.mask].max(), 2, 1)
    labels[: SHAPE[0] // 2] = 1
    labels[SHAPE[0] // 2 :] = 2
    options = {"method": ik.methods.Bayes(prior=LEARNED), "labels": labels}
    slabs = ik.fit(other, mem_mb=0.12, **options)
    same(ik.fit(dwi, mem_mb=500, **options), slabs)
    assert list(slabs.learned) == ["1", "2"]


def test_without_a_mask_with_a_map_of_the_noise_and_left_out_values(dwi):
    signal = dwi.signal.astype(np.float32)
    signal[3:9, 4, 2:8, 5] = np.nan
    sigma = np.linspace(5.0, 40.0, np.prod(SHAPE)).reshape(SHAPE)
    whole = ik.DWI(signal, dwi.acquisition, AFFINE)
    options = {"sigma": sigma}
    stored = Slices(signal)
    lazy = ik.DWI(stored, dwi.acquisition, AFFINE)
    with pytest.warns(ik.errors.ScanWarning, match="no mask"):
        expected = ik.fit(whole, mem_mb=500, **options)
    with pytest.warns(ik.errors.ScanWarning, match="no mask"):
        same(expected, ik.fit(lazy, mem_mb=0.1, **options))
    assert stored.given < 6 * signal.size


def test_a_scan_that_is_not_in_memory_is_read_part_by_part(dwi, monkeypatch):
    monkeypatch.setattr("ivimkit.scan.lazy_signal.BLOCK_BYTES", dwi.signal.nbytes // 4)
    stored = Slices(dwi.signal)
    lazy = ik.DWI(stored, dwi.acquisition, AFFINE, mask=dwi.mask)
    assert stored.given == 0
    options = {"method": ik.methods.Bayes(prior=LEARNED)}
    slabs = ik.fit(lazy, mem_mb=0.12, **options)
    # For the checks, for what is learned, twice, and for the fit.
    assert stored.given < 6 * dwi.signal.size
    same(ik.fit(dwi, mem_mb=500, **options), slabs)
    assert ik.fit(lazy, mem_mb=500)["D"].dtype == np.float64


def test_few_entries_of_a_sorted_order(monkeypatch):
    keys = np.random.default_rng(0).integers(0, 20, (2, 3000)).astype(float)
    wanted = np.arange(5, 3000, 7)
    expected = np.lexsort(keys)[wanted]
    monkeypatch.setattr(ranks, "_MAX_SORTED", 400)
    monkeypatch.setattr(ranks, "_PIECE", 700)
    np.testing.assert_array_equal(ranks.positions_of_ranks(keys, wanted), expected)


def test_nothing_is_left_on_disk(dwi, tmp_path):
    result = ik.fit(dwi, mem_mb=0.05, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="read-only"):
        result["D"][0, 0, 0] = 1.0
    # Without a name, the files are gone with the last map.
    first = weakref.ref(result.maps["D"].base)
    del result
    assert first() is None


def test_a_result_on_disk_is_used_like_any_other(made, dwi, tmp_path, monkeypatch):
    slabs, whole = ik.fit(dwi, mem_mb=0.05), ik.fit(dwi, mem_mb=500)
    assert repr(slabs) == repr(whole)
    voxel = tuple(int(i) for i in np.argwhere(dwi.mask)[50])
    assert slabs.at(voxel) == pytest.approx(whole.at(voxel), rel=1e-6)
    with pytest.raises(OptionError, match="there is no map 'x'"):
        slabs.maps["x"]
    for name in ("D", "D_star"):
        reliable = [one.reliable(name).astype(np.float32) for one in (slabs, whole)]
        np.testing.assert_array_equal(*reliable)
    for one, folder in ((slabs, "slabs"), (whole, "whole")):
        ik.save(one, tmp_path / folder)
    images = {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("*.nii.gz")}
    assert "D.nii.gz" in images
    for name, content in images.items():
        assert (tmp_path / "slabs" / name).read_bytes() == content, name
    # To the last digit those of a result that was saved, whose maps are float32 as well.
    monkeypatch.setattr(stored_result, "_MAX_BYTES_IN_MEMORY", 0)
    later = result_loading.with_scan(ik.load_result(tmp_path / "whole"), dwi)
    assert isinstance(later.maps, ScratchMaps)
    tables = [ik.quality.roi_table(one, ik.Labels(made.labels)) for one in (slabs, later)]
    assert tables[0].equals(tables[1])


# -------------------------------------------------------------------------------------- errors


def test_too_little_memory_for_one_slice(dwi):
    with pytest.raises(InputError, match="a fit of one slice needs 1 MB of memory, and may take"):
        ik.fit(dwi, mem_mb=0.005)
    with pytest.raises(InputError, match="one slice and the 4 around it needs 1 MB"):
        ik.fit(dwi, mem_mb=0.15, method=ik.methods.Bayes(prior=LOCAL))
    with pytest.raises(OptionError, match="the memory is 0 MB; expected more than 0"):
        ik.fit(dwi, mem_mb=0)


def test_what_looks_at_the_whole_scan_says_so(dwi):
    with pytest.raises(InputError, match=r"option robust .* needs about 1 MB of memory"):
        ik.fit(dwi, mem_mb=0.05, method=ik.methods.VarPro(robust=True))
    kept = ik.methods.NNLS(regularisation=0.1, keep_spectrum=True)
    with pytest.raises(InputError, match=r"option keep_spectrum, .* needs about 6 MB of memory"):
        ik.fit(dwi, mem_mb=0.1, method=kept)


def test_no_room_on_disk(dwi, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="none, the folder for scratch files, is not a folder"):
        ik.fit(dwi, mem_mb=0.05, scratch=tmp_path / "none")
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: usage(1000))
    with pytest.raises(
        InputError, match=r"has 1 MB left; expected 1 MB. Name a folder on another"
    ):
        ik.fit(dwi, mem_mb=0.05, scratch=tmp_path)


def test_a_disk_that_becomes_full(dwi, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    class Full:
        write = full

        def close(self):
            pass

    monkeypatch.setattr(scratch.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(InputError, match=r"cannot write scratch files to .*No space left"):
        ik.fit(dwi, mem_mb=0.05, scratch=tmp_path)


def test_half_of_what_is_free_is_taken(monkeypatch):
    monkeypatch.setattr(memory_budget, "free_memory_mb", lambda: 3000.0)
    assert memory_budget.MemoryBudget.of().n_bytes == 1.5e9
