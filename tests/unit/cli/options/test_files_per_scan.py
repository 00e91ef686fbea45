"""Files that are named once for several scans: beside each of them, or one for all."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from ivimkit import io
from ivimkit.cli.options.files_per_scan import files_for
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError

SCREEN = Screen()


@pytest.fixture
def scans(folder):
    """Three scans in folders of their own; each has a mask, the second one of half the voxels."""
    paths = []
    for number, subject in enumerate(("sub-1", "sub-2", "sub-3")):
        home = folder / subject
        home.mkdir()
        for name in ("dwi.nii.gz", "dwi.bval", "mask.nii.gz"):
            shutil.copy(folder / name, home / name)
        if number == 1:
            dwi = io.load(home / "dwi.nii.gz", mask=home / "mask.nii.gz")
            half = dwi.mask.copy()
            half[: len(half) // 2] = False
            io.save_map(half.astype(np.uint8), home / "mask.nii.gz", dwi.geometry, overwrite=True)
        paths.append(home / "dwi.nii.gz")
    return paths


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def test_beside_each(scans, elsewhere):
    expected = [scan.parent / "mask.nii.gz" for scan in scans]
    assert files_for("mask.nii.gz", "--mask", scans, SCREEN) == expected


def test_one_for_all(scans, elsewhere, folder):
    (elsewhere / "other.nii.gz").write_bytes(b"")
    for name in ("other.nii.gz", "./other.nii.gz", str(elsewhere / "other.nii.gz")):
        found = files_for(name, "--mask", scans, SCREEN)
        assert [path.resolve() for path in found] == [elsewhere / "other.nii.gz"] * 3


def test_beside_goes_first_and_says_so(scans, elsewhere, capsys):
    (elsewhere / "mask.nii.gz").write_bytes(b"")
    assert files_for("mask.nii.gz", "--mask", scans, SCREEN)[0].parent == scans[0].parent
    assert "in the working directory; the one next to the scan is used" in capsys.readouterr().err
    told = files_for("./mask.nii.gz", "--mask", scans, SCREEN)
    assert told[0].resolve() == elsewhere / "mask.nii.gz"
    assert capsys.readouterr().err == ""


def test_missing_beside_one(scans, elsewhere):
    (scans[1].parent / "mask.nii.gz").unlink()
    # That of the working directory would be that of another scan.
    (elsewhere / "mask.nii.gz").write_bytes(b"")
    with pytest.raises(OptionError, match=r"is next to 2 of 3 scans, and not next to .*sub-2/dwi"):
        files_for("mask.nii.gz", "--mask", scans, SCREEN)


@pytest.mark.parametrize("name", ["nix.nii.gz", "./nix.nii.gz", "/nix.nii.gz"])
def test_nowhere(scans, elsewhere, name):
    with pytest.raises(OptionError, match=r"there is no file .*nix.nii.gz"):
        files_for(name, "--mask", scans, SCREEN)


def test_a_batch_has_a_mask_sigma_and_map_per_scan(run, scans, elsewhere, made):
    for number, scan in enumerate(scans):
        geometry = io.load(scan).geometry
        # Stored the other way round, as another program might.
        turn = np.diag([-1.0, 1, 1, 1])
        turn[0, 3] = made.dwi.shape[0] - 1
        turned = type(geometry)(geometry.affine @ turn)
        ramp = np.linspace(1e-3, 2e-3, made.dwi.shape[0])[:, None, None]
        known = np.broadcast_to(ramp + number * 1e-4, made.dwi.shape)
        io.save_map(known[::-1], scan.parent / "known.nii.gz", turned)
        io.save_map(np.full(made.dwi.shape, 20.0 + number), scan.parent / "sd.nii.gz", geometry)
    options = ("--mask", "mask.nii.gz", "--sigma", "sd.nii.gz", "--fix", "D=known.nii.gz")
    text = run("fit", *scans, *options, "--no-figures")
    assert text.stderr.count("those of the scan in another order") == 3
    results = [io.load_result(scan.parent / "dwi_ivim") for scan in scans]
    inside = [np.count_nonzero(result.mask) for result in results]
    assert inside[0] == inside[2] == made.dwi.n_voxels
    assert inside[1] < inside[0]
    for number, result in enumerate(results):
        expected = np.broadcast_to(ramp + number * 1e-4, made.dwi.shape)[result.mask]
        np.testing.assert_allclose(result.maps["D"][result.mask], expected, rtol=1e-6)
    text = run("check", *scans, "--mask", "mask.nii.gz").stdout
    assert [f"mask: {n} of 864 voxels" in text for n in inside] == [True] * 3
    labels = ("--mask", "mask.nii.gz", "--labels", "mask.nii.gz", "--no-figures")
    run("compare", *scans[:2], *labels)
    for scan, n in zip(scans[:2], inside, strict=False):
        table = (scan.parent / "dwi_comparison" / "table.csv").read_text()
        assert f",{n}," in table


def test_a_mask_is_found_in_each_scan(run, scans, elsewhere):
    run("fit", *scans[:2], "--mask", "auto", "--no-figures", "-q", "--model", "monoexp")
    for scan in scans[:2]:
        saved = io.load_map(scan.parent / "dwi_ivim" / "mask.nii.gz") > 0
        np.testing.assert_array_equal(saved, io.load_result(scan.parent / "dwi_ivim").mask)


def test_what_is_missing_beside_one_scan_stops_all(run, scans, elsewhere):
    (scans[2].parent / "mask.nii.gz").unlink()
    for command in ("fit", "check", "compare"):
        error = run(command, *scans, "--mask", "mask.nii.gz", code=2).stderr
        assert "is next to 2 of 3 scans" in error
        assert "sub-3" in error
    assert not any((scan.parent / "dwi_ivim").exists() for scan in scans)


def test_a_damaged_file_beside_the_last_scan_stops_all(run, scans, elsewhere):
    (scans[2].parent / "mask.nii.gz").write_bytes(b"<html>")
    error = run("fit", *scans, "--mask", "mask.nii.gz", code=2).stderr
    assert "It is a web page" in error
    assert not any((scan.parent / "dwi_ivim").exists() for scan in scans)
