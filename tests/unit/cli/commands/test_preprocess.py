"""ivimkit preprocess, and fit --preprocess."""

from __future__ import annotations

import numpy as np
import pytest

from ivimkit import io
from ivimkit.errors import OutputExistsError


def test_the_scan_is_saved_with_its_history(run, scan, folder):
    shown = run("preprocess", scan, "--steps", "mask:kind=body").stdout
    made = folder / "dwi_preprocessed"
    assert f"ivimkit fit {made / 'dwi.nii.gz'} --mask {made / 'mask.nii.gz'}" in shown
    assert "mask: " in shown
    dwi = io.load(made / "dwi.nii.gz", mask=made / "mask.nii.gz")
    assert dwi.history.names == ("mask",)
    assert dwi.history.sources[0].path == str(scan.resolve())
    assert dwi.n_voxels < dwi.mask.size


def test_options_of_the_scan_choose_its_volumes(run, scan, folder):
    run("preprocess", scan, "--steps", "mask", "--bmax", 500, "-q", "--out", folder / "low")
    assert io.load(folder / "low" / "dwi.nii.gz").acquisition.bvals.max() <= 500


def test_nothing_is_replaced_unless_asked_for(run, scan):
    run("preprocess", scan, "--steps", "mask", "-q")
    said = run("preprocess", scan, "--steps", "mask", "-q", code=2).stderr
    assert "--overwrite" in said
    run("preprocess", scan, "--steps", "mask", "-q", "--overwrite")


def test_the_scan_as_acquired_is_never_replaced(run, scan, folder):
    run("preprocess", scan, "--steps", "mask", "-q", "--out", folder / "out" / "preprocessed")
    made = folder / "out" / "preprocessed" / "dwi.nii.gz"
    raw = made.read_bytes()
    assert scan.name == made.name == "dwi.nii.gz"
    for command in (
        ("preprocess", scan, "--steps", "outliers", "--out", folder),
        ("preprocess", made, "--steps", "average", "--out", made.parent),
        ("fit", made, "--preprocess", "average", "--out", folder / "out"),
    ):
        before = command[1].read_bytes()
        said = run(*command, "--overwrite", code=2).stderr
        assert "expected the scan as acquired to remain" in " ".join(said.split())
        assert command[1].read_bytes() == before
    assert made.read_bytes() == raw
    with pytest.raises(OutputExistsError, match="Choose another folder"):
        io.save_preprocessed(io.load(scan), folder, overwrite=True)


@pytest.mark.parametrize("command", ["preprocess --steps", "fit --preprocess"])
def test_unknown_steps_are_refused_before_a_scan_is_read(run, scan, folder, command):
    name, option = command.split()
    scan.write_bytes(b"damaged")
    said = run(name, scan, option, "masc", code=2).stderr
    assert "unknown step 'masc'" in said
    assert not [path for path in folder.iterdir() if path.is_dir()]


def test_a_fit_of_the_steps_is_that_of_the_saved_scan(run, scan, folder, text_only):
    out = folder / "out"
    quick = ("-q", "--no-figures")
    run("fit", scan, "--preprocess", "mask:kind=body", "--bmin", 10, "--out", out, *quick)
    result = io.load_result(out, scan=True)
    assert result.provenance.history.names == ("mask",)
    assert result.dwi is not None
    assert result.dwi.history == result.provenance.history
    made = out / "preprocessed"
    again = folder / "again"
    run("fit", made / "dwi.nii.gz", "--mask", made / "mask.nii.gz", "--out", again, *quick)
    np.testing.assert_array_equal(io.load_map(again / "D.nii.gz"), io.load_map(out / "D.nii.gz"))
    page = _report(run, out)
    assert "scan went through mask" in page
    assert "Files of the scan as acquired" in page
    assert str(scan) not in page
    assert str(scan) in _report(run, out, "--show-names", "--overwrite")
    said = run("fit", scan, "--preprocess", "mask", "--out", out, "-q", code=2).stderr
    assert "--overwrite" in said
    run("fit", scan, "--out", out, "-q", "--overwrite")
    assert not list(made.glob("*"))


def test_a_scan_is_not_lost_by_a_fit_into_the_folder_of_its_result(run, scan, folder):
    out = folder / "out"
    run("fit", scan, "--preprocess", "mask", "--out", out, "-q", "--no-figures")
    made = out / "preprocessed" / "dwi.nii.gz"
    run("fit", made, "--out", out, "-q", "--overwrite", "--no-figures")
    assert io.load_result(out, scan=True).dwi.history.names == ("mask",)


def _report(run, out, *options):
    run("report", out, *options)
    return " ".join((out / "report.html").read_text().split())
