"""--mask auto: in fit, check and compare, saved beside the result."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ivimkit import io
from ivimkit.report.rerun_command import rerun
from ivimkit.scan import masks


@pytest.fixture(scope="module")
def found(phantom_folder):
    """What the library finds in the phantom."""
    return masks.auto(io.load(phantom_folder / "dwi.nii.gz"))


def test_fit_saves_the_mask_with_the_result(run, scan, folder, found):
    run("fit", scan, "--mask", "auto", "--no-figures", "-q")
    out = folder / "dwi_ivim"
    np.testing.assert_array_equal(io.load_map(out / "mask.nii.gz") > 0, found)
    result = io.load_result(out, scan=True)
    np.testing.assert_array_equal(result.mask, found)
    assert result.dwi.mask_origin == result.settings.mask_origin
    assert result.settings.mask_origin.startswith("auto (body): mean image at b = 0")
    assert "mask.nii.gz" in json.loads((out / "fit.json").read_text())["files"]
    assert "--mask auto:body" in rerun(result).command
    # That mask as a file gives the same fit, into the very folder, and is not lost by it.
    run("fit", scan, "--mask", out / "mask.nii.gz", "--no-figures", "-q", "--overwrite")
    again = io.load_result(out)
    np.testing.assert_array_equal(again.maps["D"], result.maps["D"])
    assert not again.settings.mask_origin
    assert (out / "mask.nii.gz").exists()


def test_a_mask_that_is_no_longer_of_the_result_goes(run, scan, folder):
    run("fit", scan, "--mask", "auto", "--no-figures", "-q")
    run("fit", scan, "--mask", folder / "mask.nii.gz", "--no-figures", "-q", "--overwrite")
    assert not (folder / "dwi_ivim" / "mask.nii.gz").exists()


def test_a_mask_of_the_user_is_not_replaced(run, scan, folder):
    before = (folder / "mask.nii.gz").read_bytes()
    for command in ("fit", "compare"):
        options = ("--mask", "auto", "--out", folder, "--overwrite")
        error = run(command, scan, *options, code=2).stderr
        assert "mask.nii.gz exists already, and is not part of an earlier result" in error
    assert (folder / "mask.nii.gz").read_bytes() == before


def test_compare_saves_the_mask(run, scan, folder, found):
    run("compare", scan, "--mask", "auto:body", "--no-figures", "-q")
    saved = io.load_map(folder / "dwi_comparison" / "mask.nii.gz") > 0
    np.testing.assert_array_equal(saved, found)
    record = json.loads((folder / "dwi_comparison" / "comparison.json").read_text())
    assert record["fits"]["biexp"]["settings"]["mask_origin"].startswith("auto (body)")


def test_check_says_what_was_found(run, scan, found):
    text = run("check", scan, "--mask", "auto").stdout
    assert f"mask: {found.sum()} of 864 voxels" in text
    assert "mask found by auto (body): mean image at b = 0 above" in text
    assert "--mask auto finds the tissue" in run("check", scan).stdout


def test_names_that_are_none(run, scan, folder, monkeypatch):
    error = run("fit", scan, "--mask", "auto:liver", code=2).stderr
    assert "expected one of auto, auto:body, auto:brain, or a file" in error
    monkeypatch.chdir(folder)
    assert "there is no file ./auto" in run("fit", scan, "--mask", "./auto", code=2).stderr


def test_without_a_mask_a_line_says_that_air_was_fitted(run, folder, made):
    empty = np.array(made.dwi.signal)
    empty[: 3 * len(empty) // 4] = 0
    spoilt = type(made.dwi)(empty, made.dwi.acquisition, geometry=made.dwi.geometry)
    io.save_scan(spoilt, folder / "air.nii.gz")
    out = folder / "out"
    options = ("--no-figures", "--overwrite", "--out", out)
    error = run("fit", folder / "air.nii.gz", *options).stderr.replace("\n", " ")
    assert "there is no mask, and about 91% of the voxels have hardly any signal" in error
    assert error.count("--mask auto") == 1
    error = run("fit", folder / "air.nii.gz", "--mask", folder / "mask.nii.gz", *options).stderr
    assert "there is no mask" not in error
