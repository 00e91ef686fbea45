"""A scan after preprocessing as files: everything that was known of it is read again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import FileFormatError, OutputExistsError
from ivimkit.io.preprocessed_files import staged
from ivimkit.scan.history import History, StepRecord
from ivimkit.scan.source import Source
from ivimkit.writing import write_files

HISTORY = History(
    (
        StepRecord(
            "align",
            "one volume moved by 3 mm",
            {"transform": "rigid", "limit": float("inf")},
            {"SimpleITK": "2.5.0"},
            {"shift_mm": [0.0, 3.0]},
            "interpolated",
            ("Someone 2020. doi:10.1/2",),
        ),
    ),
    (Source("scan", "/data/raw.nii.gz", "00ff"),),
)


@pytest.fixture
def dwi():
    rng = np.random.default_rng(1)
    signal = rng.uniform(50, 100, (4, 3, 2, 4)).astype(np.float32)
    weights = rng.integers(0, 2, signal.shape).astype(np.float32)
    weights[0, 0, 0] = 1.0
    signal[weights == 0.0] = np.nan
    made = ik.DWI(
        signal,
        [0, 100, 100, 800],
        bvecs=[[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
        variables={"echo_time": [60, 60, 60, 60]},
        averages=[1, 2, 2, 4],
        mask=np.arange(24).reshape(4, 3, 2) > 3,
        history=HISTORY,
        sidecar={"PartialFourier": 0.75, "Manufacturer": "Nobody"},
    )
    return made.with_value_weights(weights)


def _load(folder):
    return ik.load(folder / "dwi.nii.gz", mask=folder / "mask.nii.gz")


def test_everything_is_read_again(dwi, tmp_path):
    ik.io.save_preprocessed(dwi, tmp_path)
    found = _load(tmp_path)
    np.testing.assert_array_equal(found.signal, dwi.signal)
    np.testing.assert_array_equal(found.value_weights, dwi.value_weights)
    np.testing.assert_array_equal(found.mask, dwi.mask)
    np.testing.assert_array_equal(found.averages, dwi.averages)
    np.testing.assert_array_equal(found.acquisition.bvecs, dwi.acquisition.bvecs)
    assert found.history == dwi.history
    assert found.sidecar == dwi.sidecar
    assert {one.role for one in found.sources} >= {"scan", "sidecar", "weights"}


def test_an_earlier_scan_is_replaced_whole_and_only_when_asked_for(dwi, tmp_path):
    ik.io.save_preprocessed(dwi, tmp_path)
    plain = ik.DWI(np.ones((4, 3, 2, 2), np.float32), [0, 800])
    with pytest.raises(OutputExistsError, match="already contains"):
        ik.io.save_preprocessed(plain, tmp_path)
    ik.io.save_preprocessed(plain, tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dwi.bval", "dwi.nii.gz"]
    assert not ik.load(tmp_path / "dwi.nii.gz").history


def test_weights_that_were_not_copied_are_missed(dwi, tmp_path):
    ik.io.save_preprocessed(dwi, tmp_path)
    (tmp_path / "dwi_weights.nii.gz").unlink()
    with pytest.raises(FileFormatError, match=r"dwi_weights.nii.gz, which are not there"):
        _load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("IvimkitHistory", {"steps": [{"name": 3}]}, "damaged history"),
        ("IvimkitHistory", [], "damaged history"),
        ("IvimkitWeights", "../elsewhere.nii.gz", "expected the name of a file next to it"),
        ("IvimkitWeights", 3, "expected the name of a file next to it"),
    ],
)
def test_a_damaged_sidecar_is_refused(dwi, tmp_path, key, value, words):
    ik.io.save_preprocessed(dwi, tmp_path)
    content = json.loads((tmp_path / "dwi.json").read_text())
    (tmp_path / "dwi.json").write_text(json.dumps({**content, key: value}))
    with pytest.raises(FileFormatError, match=words):
        _load(tmp_path)


def test_a_staged_scan_is_what_its_sources_say(dwi, tmp_path):
    with staged(dwi, tmp_path / "out") as ready:
        write_files(tmp_path / "out", ready.files)
    loaded = _load(tmp_path / "out" / "preprocessed")
    said = {one.role: (one.path, one.sha256) for one in ready.dwi.sources}
    assert said == {
        one.role: (one.path, one.sha256)
        for one in (*loaded.sources, *_variables(said))
        if one.role != "mask"
    }


def _variables(said):
    path, checksum = said["variables"]
    return [Source("variables", path, checksum)]


def test_a_result_is_shown_with_the_scan_that_was_fitted_only(dwi, tmp_path):
    full = replace_signal(dwi)
    ik.io.save_preprocessed(full, tmp_path / "done")
    ik.io.save_scan(full.with_history(History()), tmp_path / "raw.nii.gz")
    result = ik.fit(ik.load(tmp_path / "done" / "dwi.nii.gz"), model="monoexp")
    assert ik.io.load_fitted_scan(result).history == HISTORY
    with pytest.raises(FileFormatError, match="had no steps before the fit; expected steps align"):
        ik.io.load_fitted_scan(result, tmp_path / "raw.nii.gz")


def replace_signal(dwi):
    return replace_history(ik.DWI(np.nan_to_num(dwi.signal, nan=70.0), dwi.acquisition))


def replace_history(dwi):
    return dwi.with_history(replace(HISTORY))
