"""Spectra on the command line: found, printed, kept, drawn, reported."""

import json

import pytest

from ivimkit import io


def fit(run, folder, *options):
    """Fit the phantom by nnls; return what was printed."""
    files = (folder / "dwi.nii.gz", "--mask", folder / "mask.nii.gz")
    return run("fit", *files, "--method", "nnls", "--option", "order=0", *options).stdout


def test_a_fit_says_how_its_weight_was_found_and_draws_spectra(run, folder, text_only):
    said = fit(run, folder, "--option", "windows=0.004", "--option", "keep_spectrum=yes")
    home = folder / "dwi_ivim"
    record = json.loads((home / "fit.json").read_text(encoding="utf-8"))
    options = record["settings"]["method"]["options"]
    how = record["provenance"]["chosen"]["regularisation"]
    assert f"regularisation: {options['regularisation']} ({how})" in said
    assert options["windows"] == [0.004]
    assert (home / "figures" / "spectra.png").is_file()
    assert io.load_result(home).spectra.shape == (24, 18, 2, 60)
    # The command of the report repeats it, and its text says the same.
    run("report", home, "--out", folder / "report.html")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"--option regularisation={options['regularisation']:g}" in page
    assert "--option windows=0.004" in page
    assert "regularisation was found by generalised cross-validation" in page
    assert "Spectra of decay rates" in page


def test_plot_draws_spectra_of_voxels_and_regions(run, folder):
    fit(run, folder, "--option", "regularisation=0.1", "--no-figures")
    options = ("--voxel", "12,9,1", "--labels", folder / "labels.nii.gz", "--maps", "D")
    run("plot", folder / "dwi_ivim", *options, "--out", folder / "drawn")
    for name in ("spectra.png", "voxel_12_9_1.png"):
        assert (folder / "drawn" / name).is_file()


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("regularisation=some", "expected gcv, lcurve, discrepancy"),
        ("regularisation=discrepancy", "sigma is not known"),
        ("windows=0.004,0.02", "expected the edges between the rates D, D_star"),
        ("nothing=1", "it has regularisation, order, bins"),
    ],
)
def test_wrong_options_end_the_command(run, folder, option, why):
    done = run("fit", folder / "dwi.nii.gz", "--method", "nnls", "--option", option, code=2)
    assert why in " ".join(done.stderr.split())
    assert not (folder / "dwi_ivim").exists()
