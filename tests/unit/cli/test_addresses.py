"""Addresses, Zarr stores and HDF5 files on the command line."""

import h5py
import numpy as np
import pytest
import zarr

from file_server import file_server
from ivimkit import io, load
from ivimkit.cli.process.address_copies import discard

FAST = ("--model", "monoexp", "--no-figures", "--quiet")


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    discard()


def test_a_scan_at_an_address_is_fitted_into_the_working_directory(run, phantom_folder, tmp_path):
    with file_server(phantom_folder) as address:
        secret = address.replace("://", "://anna:secret@")
        mask = f"--mask={address}/labels.nii.gz:1,2"
        run("fit", f"{secret}/dwi.nii.gz?token=1", mask, *FAST)
        there = io.load_result(tmp_path / "dwi_ivim")
        shown = run("check", f"{address}/dwi.nii.gz", mask, "--no-motion").stdout
        assert shown.startswith(f"{address}/dwi.nii.gz\n24 x 18 x 2 voxels of ")
        assert "ivimkit-copies" not in shown
        refused = run("fit", f"{address}/none.nii.gz", "--bval", "0,800", *FAST, code=2).stderr
        assert refused.startswith(f"error: {address}/none.nii.gz cannot be read: there is no such")
        refused = run("fit", f"{address}/dwi.nii.gz", f"--mask={address}/no.nii", code=2).stderr
        assert f"error: {address}/no.nii cannot be read: there is no such file" in refused
    here = phantom_folder / "dwi.nii.gz"
    run("fit", here, "--mask", f"{phantom_folder / 'labels.nii.gz'}:1,2", "--out", "here", *FAST)
    assert np.array_equal(there["ADC"], io.load_result("here")["ADC"], equal_nan=True)
    assert there.provenance.sources[0]["path"] == f"{address}/dwi.nii.gz"
    assert there.settings.call.startswith(f"ivimkit fit {address}/dwi.nii.gz --mask={address}/lab")
    assert not (tmp_path / "none_ivim").exists()


def test_results_are_not_written_to_an_address_or_as_zarr(run, scan, tmp_path):
    away = "s3://bucket/there"
    for option in ("--out", "--log"):
        refused = run("fit", scan, option, away, code=2).stderr
        assert f"{away} is an address, and results are written to this machine" in refused
    for command in (
        ["report", away],
        ["roi", away, "--labels", "labels.nii.gz"],
        ["bids", away, "o", "participant"],
        ["bids", "raw", "o", "participant", "--derivatives", away],
        ["fit", scan, "--like", away],
        ["fit", scan, "--config", away],
        ["config", "--from", away],
        ["dicom", "list", away],
        ["dicom", "run", away, "o"],
        ["dicom", "export", away],
        ["node", "check", "--config", away],
    ):
        refused = run(*command, code=2).stderr
        assert f"{away} is an address, and only scans and the files" in refused, command
    refused = run("fit", scan, "--out", "out.zarr", code=2).stderr
    assert "out.zarr has the name of a Zarr store, and a result is a folder, with" in refused
    assert "(and --format zarr)" in " ".join(refused.split())
    assert not list(tmp_path.glob("*out*"))


def test_arrays_are_fitted_and_found_again(run, scan, tmp_path):
    dwi = load(scan)
    array = zarr.create_array("dwi.zarr", shape=dwi.signal.shape, dtype=dwi.signal.dtype)
    array[...] = dwi.signal
    array.attrs.update(bvals=dwi.acquisition.bvals.tolist(), affine=dwi.affine.tolist())
    with h5py.File("scan.h5", "w") as file:
        file["raw/dwi"] = dwi.signal.T
        file["raw/dwi"].attrs["affine"] = dwi.affine
    bval = scan.with_name("dwi.bval")
    run("fit", "dwi.zarr", *FAST)
    run("fit", "scan.h5::/raw/dwi", "--axes", "bzyx", "--bval", bval, *FAST)
    of_zarr, of_hdf5 = io.load_result("dwi_ivim"), io.load_result("scan_ivim", scan=True)
    assert np.array_equal(of_zarr["ADC"], of_hdf5["ADC"], equal_nan=True)
    assert np.array_equal(of_hdf5.dwi.signal, dwi.signal)
    assert np.allclose(of_zarr.geometry.affine, dwi.affine)
    refused = run("check", "scan.h5", "--axes", "xyz", "--bval", bval, code=2).stderr
    assert "like bzyx (--axes)" in refused
