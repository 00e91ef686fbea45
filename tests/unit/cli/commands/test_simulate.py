"""ivimkit simulate: files of a phantom."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ivimkit import io, simulate

SMALL = ("--shape", "16,14,2")


@pytest.fixture
def simulated(run, tmp_path):
    """Return a function that simulates with some options and loads the scan."""

    def _simulated(*args):
        out = tmp_path / "phantom"
        run("simulate", *args, *SMALL, "--out", out, "--overwrite", "-q")
        return io.load(out / "dwi.nii.gz", mask=out / "mask.nii.gz")

    return _simulated


def test_files_are_those_of_the_library(run, tmp_path):
    out = tmp_path / "phantom"
    text = run("simulate", "brain", *SMALL, "--out", out).stdout
    assert f"ivimkit fit {out / 'dwi.nii.gz'} --mask {out / 'mask.nii.gz'}" in text
    made = simulate.phantom("brain", shape=(16, 14, 2))
    dwi = io.load(out / "dwi.nii.gz", mask=out / "mask.nii.gz")
    np.testing.assert_array_equal(dwi.signal, made.dwi.signal)
    np.testing.assert_array_equal(dwi.mask, made.dwi.mask)
    np.testing.assert_array_equal(dwi.acquisition.bvals, simulate.B13)
    np.testing.assert_array_equal(io.load_map(out / "labels.nii.gz"), made.labels)
    for name, truth in made.truth.items():
        np.testing.assert_array_equal(io.load_map(out / f"true_{name}.nii.gz"), truth)
    record = json.loads((out / "phantom.json").read_text())
    assert record["kind"] == "brain"
    assert record["labels"]["2"]["name"] == "white matter"
    assert "doi:" in record["labels"]["2"]["source"]
    assert "D_star" not in record["labels"]["3"]


def test_can_be_fitted(run, tmp_path):
    out = tmp_path / "phantom"
    run("simulate", *SMALL, "--out", out, "-q")
    run("fit", out / "dwi.nii.gz", "--mask", out / "mask.nii.gz", "--no-figures", "-q")


def test_kind(simulated):
    assert not np.array_equal(simulated("brain").mask, simulated("abdomen").mask)


def test_bvals(simulated):
    assert simulated("--bvals", "0,0,50,800").acquisition.bvals.tolist() == [0, 0, 50, 800]
    assert simulated("--bvals", "b21").acquisition.n_volumes == 21


def test_noise(simulated):
    clean = simulated("--noise", "none").signal
    rician, gaussian = simulated().signal, simulated("--noise", "gaussian").signal
    assert rician.min() >= 0.0 > gaussian.min()
    averaged = simulated("--averages", "8").signal
    low = simulated("--snr", "10").signal
    inside = clean[..., 0] > 500
    errors = [np.std((signal - clean)[inside]) for signal in (averaged, rician, low)]
    assert errors[0] < 0.5 * errors[1] < 0.5 * errors[2]


def test_seed(simulated):
    first, same, other = (simulated("--seed", seed).signal for seed in "334")
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_default_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("simulate", "brain", *SMALL, "-q")
    assert (tmp_path / "phantom_brain" / "dwi.bval").exists()


def test_existing_files_are_kept(run, tmp_path):
    run("simulate", *SMALL, "--out", tmp_path / "p", "-q")
    before = (tmp_path / "p" / "dwi.nii.gz").read_bytes()
    result = run("simulate", *SMALL, "--seed", "1", "--out", tmp_path / "p", code=2)
    assert "--overwrite" in result.stderr
    assert (tmp_path / "p" / "dwi.nii.gz").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shape", "16,14"), "--shape is '16,14'; expected three whole numbers"),
        (("--shape", "0,14,2"), "expected three whole numbers > 0"),
        (("--bvals", "b99"), "--bvals is 'b99'; expected numbers"),
        (("--bvals", "0,0.5,1"), "the highest b-value is 1; expected s/mm^2"),
        (("--snr", "-1"), "snr is -1.0; expected a number > 0"),
        (("--noise", "pink"), "--noise"),
        (("heart",), "heart"),
    ],
)
def test_options_that_cannot_be_used(run, tmp_path, options, message):
    result = run("simulate", *options, "--out", tmp_path / "p", code=2)
    assert message in result.stderr
    assert not (tmp_path / "p").exists()
