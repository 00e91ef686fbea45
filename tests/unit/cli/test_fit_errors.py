"""ivimkit fit: what cannot be used is said in one sentence, with exit code 2."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from ivimkit import io
from ivimkit.scan.geometry import Geometry


@pytest.fixture
def error(run, scan):
    """Return a function that fits the phantom with options that fail, and returns stderr."""

    def _error(*args, scan=scan):
        result = run("fit", scan, "--no-figures", *args, code=2)
        assert "Traceback" not in result.stderr
        assert not (scan.parent / "dwi_ivim").exists()
        return result.stderr

    return _error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "quadexp"), "unknown model 'quadexp'; there are ballistic, "),
        (
            ("--method", "lsq"),
            "unknown method 'lsq'; there are bayes, loglinear, nnls, segmented, trr",
        ),
        (("--organ", "heart"), "there is no organ 'heart'; expected one of brain, liver"),
        (("--b-split", "150"), "method varpro has no option 'b_split'; it has noise, coils"),
        (
            ("--method", "trr", "--b-split", "150"),
            "method trr has no option 'b_split'; it has split_b_D, split_b_S0, two_stage",
        ),
        (
            ("--method", "segmented", "--option", "stages=2"),
            "method segmented has no option 'stages'; it has b_split, steps",
        ),
        (
            ("--method", "segmented", "--option", "steps=two"),
            "--option steps is 'two'; expected a whole number",
        ),
        (("--option", "noise=rice"), "noise is 'rice'; expected one of gaussian, rician, chi"),
        (("--option", "coils=4"), "coils is 4 with noise gaussian; expected 1"),
        (("--option", "coils=x"), "--option coils is 'x'; expected a whole number"),
        (("--method", "segmented", "--option", "steps=4"), "steps is 4; expected 3 or 2"),
        (
            ("--method", "trr", "--option", "two_stage=maybe"),
            "--option two_stage is 'maybe'; expected yes or no",
        ),
        (
            ("--method", "segmented", "--option", "b_split=low"),
            "--option b_split is 'low'; expected a number",
        ),
        (
            ("--method", "segmented", "--option", "b_split=100", "--b-split", "150"),
            "both --b-split and --option b_split are given; expected one",
        ),
        (("--option", "steps"), "--option is 'steps'; expected a name and a value"),
        (("--method", "loglinear"), "loglinear cannot estimate D_star of model biexp"),
        (("--bounds", "D=1"), "--bounds is 'D=1'; expected something like D=0:5e-3"),
        (("--bounds", "Q=0:1"), "has no parameter 'Q'; it has S0, f, D_star, D"),
        (("--bounds", "f=0:2"), "f is to be between 0 and 2"),
        (("--bounds", "D=0:1"), "did you mean 0.001?"),
        (("--fix", "D_star=37"), "did you mean 0.037?"),
        (("--start", "D_star=20"), "did you mean 0.02?"),
        (("--method", "segmented", "--b-split", "0.2"), "b_split is 0.2 s/mm^2; expected a b-val"),
        (
            ("--method", "segmented", "--b-split", "0.2", "--b-unit", "s/cm2"),
            "the highest b-value is 8; expected s/mm^2",
        ),
        (("--method", "trr", "--option", "split_b_S0=20000"), "no b-value lies beyond it"),
        (("--bmax", "0.6"), "the volumes that are selected all have b = 0 s/mm^2"),
        (("--volumes", "nix.txt"), "--volumes is 'nix.txt'; expected positions from 0"),
        (("--fix", "D_star=abc"), "that is neither a number nor a file"),
        (("--fix", "Q=1"), "has no parameter 'Q'"),
        (("--start", "D_star=x"), "--start is 'D_star=x'; expected something like D_star=0.02"),
        (("--weights", "1,2"), "weights have shape (2,)"),
        (("--weights", "nix.txt"), "expected numbers with commas, like 0,50,100, or a file"),
        (
            ("--uncertainty", "guess"),
            "unknown uncertainty 'guess'; there are bootstrap, curvature",
        ),
        (
            ("--uncertainty", "profile", "--method", "segmented"),
            "method segmented with its options does not minimise the sum of squares",
        ),
        (("--sigma", "0"), "--sigma is 0; expected the standard deviation of the noise"),
        (("--sigma", "inf"), "--sigma is inf; expected the standard deviation of the noise"),
        (("--sigma", "nix.nii.gz"), "that is neither a number nor a file"),
        (("--adc-bvalues", "0,123"), "are not in the scan"),
        (("--adc-bvalues", "x"), "--adc-bvalues is 'x'; expected numbers"),
        (("--bvals", "0,77"), "there is no b-value 77; expected some of 0, 10"),
        (("--volumes", "0-99"), "there is no volume 13; expected 0 to 12"),
        (("--bmin", "900"), "no volume is left"),
        (("--bvals", "0,400,800"), "3 distinct b-values"),
        (("--mask", "nix.nii.gz"), "there is no file nix.nii.gz"),
        (("--bval", "nix.bval"), "cannot read nix.bval"),
        (("--bvec", "nix.bvec"), "cannot read nix.bvec"),
        (("--tolerance", "-1"), "the b-value tolerance is -1.0; expected"),
    ],
)
def test_option_that_cannot_be_used(error, options, message):
    assert message in error(*options)


@pytest.mark.parametrize(
    "options",
    [
        ("--average", "median"),
        ("--b-unit", "s/m2"),
        ("--device", "gpu"),
        ("--device", "cuda:0,0"),
        ("--precision", "float16"),
        ("--threads", "0"),
        ("--bmax", "high"),
    ],
)
def test_choice_that_there_is_not(error, options):
    assert options[0] in error(*options)


def test_no_scan(run):
    assert "SCAN" in run("fit", code=2).stderr


def test_missing_and_damaged_files(error, folder):
    assert "there is no file" in error(scan=folder / "nix.nii.gz")
    (folder / "text.nii.gz").write_bytes(gzip.compress(b"no image" * 100))
    assert "is not a NIfTI file" in error(scan=folder / "text.nii.gz")
    whole = (folder / "dwi.nii.gz").read_bytes()
    (folder / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    assert "is truncated or damaged" in error(
        "--bval", folder / "dwi.bval", scan=folder / "cut.nii.gz"
    )


def test_no_bvalues(error, folder):
    (folder / "dwi.bval").unlink()
    assert "--bval" in error()


def test_wrong_number_of_bvalues(error, folder):
    (folder / "dwi.bval").write_text("0 100 200")
    assert "has 3 b-values and" in error()


def test_mask_of_another_shape(error, folder, made):
    geometry = Geometry(made.dwi.geometry.affine, sform_code=0)
    io.save_map(np.ones((3, 3, 3), np.uint8), folder / "small.nii.gz", geometry)
    message = error("--mask", folder / "small.nii.gz")
    assert "small.nii.gz does not say where it is" in message
    assert "Save it on the grid of the scan" in message


@pytest.mark.parametrize(("option", "value"), [("--fix", "D="), ("--sigma", "")])
def test_map_of_another_shape_or_place(error, folder, made, option, value):
    several, moved = folder / "several.nii.gz", folder / "moved.nii.gz"
    affine = made.dwi.geometry.affine.copy()
    affine[2, 3] += 500.0
    io.save_map(np.full(made.dwi.shape, 1e-3), moved, Geometry(affine))
    message = " ".join(error(option, f"{value}{moved}").split())
    assert (
        f"the map {moved} and the scan do not overlap; expected an image of this scan" in message
    )
    io.save_map(np.full((*made.dwi.shape, 3), 1e-3), several, made.dwi.geometry)
    message = " ".join(error(option, f"{value}{several}").split())
    assert f"{several} has 3 volumes, shape (24, 18, 2, 3); expected a map of one vol" in message


def test_out_is_a_file(error, folder):
    assert "is a file; expected a folder" in error("--out", folder / "dwi.bval")


def test_fault_of_ours(run, scan, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("that was not to happen")

    monkeypatch.setattr("ivimkit.cli.jobs.fit_batch.fit_with_also", broken)
    result = run("fit", scan, code=1)
    assert "internal error: RuntimeError: that was not to happen" in result.stderr
    assert "report" in result.stderr
    assert not (scan.parent / "dwi_ivim").exists()
    assert "Traceback" in run("fit", scan, "--verbose", code=1).stderr
