"""ivimkit fit with several scans: one after the other, and one that fails stops none."""

from __future__ import annotations

import shutil

import pytest

from ivimkit import io


@pytest.fixture
def scans(folder):
    """Two subjects with a scan of the same name."""
    paths = []
    for subject in ("sub-1", "sub-2"):
        (folder / subject).mkdir()
        for name in ("dwi.nii.gz", "dwi.bval"):
            shutil.copy(folder / name, folder / subject / name)
        paths.append(folder / subject / "dwi.nii.gz")
    return paths


def test_each_beside_its_scan(run, scans):
    text = run("fit", *scans, "--no-figures").stdout
    for scan in scans:
        assert io.load_result(scan.parent / "dwi_ivim").provenance.sources[0]["path"] == str(scan)
        assert str(scan) in text


def test_each_in_its_folder_of_out(run, scans, tmp_path):
    run("fit", *scans, "--no-figures", "--out", tmp_path / "all", "-q")
    assert {p.name for p in (tmp_path / "all").iterdir()} == {"sub-1_dwi", "sub-2_dwi"}


def test_one_that_fails_stops_none(run, scans, folder):
    broken = folder / "broken.nii.gz"
    broken.write_bytes(b"")
    result = run("fit", broken, *scans, "--no-figures", "-q", code=2)
    assert f"error: {broken} is empty" in result.stderr
    assert f"failed: 1 of 3 scans: {broken}" in result.stderr
    assert all((scan.parent / "dwi_ivim" / "fit.json").exists() for scan in scans)


def test_fault_is_the_gravest(run, scans, folder, monkeypatch):
    from ivimkit.cli.jobs import fit_batch

    calls = []

    def sometimes(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise RuntimeError("that was not to happen")
        return fitted(*args, **kwargs)

    fitted = fit_batch.fit_with_also
    monkeypatch.setattr(fit_batch, "fit_with_also", sometimes)
    result = run("fit", folder / "nix.nii.gz", *scans, "--no-figures", "-q", code=1)
    assert "failed: 2 of 3 scans" in result.stderr
    assert (scans[1].parent / "dwi_ivim" / "fit.json").exists()


@pytest.mark.parametrize(
    "option", ["--model", "--bvals", "--volumes", "--adc-bvalues", "--weights", "--organ"]
)
def test_options_that_cannot_be_used_stop_all(run, scans, option):
    result = run("fit", *scans, option, "nix", code=2)
    assert result.stderr.count("error: ") == 1
    assert "failed" not in result.stderr


def test_two_results_in_one_folder(run, scans):
    assert "would both be written" in run("fit", scans[0], scans[0], code=2).stderr
