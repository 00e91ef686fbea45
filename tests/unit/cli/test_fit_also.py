"""ivimkit fit --also and ivimkit report --also: two methods in one folder and on one page."""

import numpy as np
import pytest

from ivimkit import io


@pytest.fixture
def also(run, scan, folder):
    """Return a function that fits the phantom by varpro, and by another method."""

    def _also(name, *args, **kwargs):
        words = ("--mask", folder / "mask.nii.gz", "--also", name, *args)
        return run("fit", scan, *words, **kwargs)

    return _also


def test_both_methods_are_saved_drawn_and_loaded(also, run, scan, folder, text_only):
    out = folder / "dwi_ivim"
    text = also("segmented", "--organ", "liver", "--uncertainty", "curvature").stdout
    assert "those by segmented in" in text.replace("\n", "")
    assert (out / "figures" / "methods.png").is_file()
    result, alone = io.load_result(out), io.load_result(out / "also_segmented")
    assert (result.method.name, result.also.method.name) == ("varpro", "segmented")
    # The other method has its usual options, with the threshold of the organ, and no uncertainty.
    assert result.also.method.b_split == 200.0
    assert "D_sd" in result.maps
    assert "D_sd" not in result.also.maps
    for name, values in alone.maps.items():
        np.testing.assert_array_equal(values, result.also.maps[name])
    run("fit", scan, "--mask", folder / "mask.nii.gz", "--method", "segmented", "--b-split", "200",
        "--out", folder / "own", "--no-figures")  # fmt: skip
    np.testing.assert_array_equal(io.load_result(folder / "own").maps["f"], alone.maps["f"])
    run("report", out, "--also", "segmented")
    page = (out / "report.html").read_text()
    assert "segmented minus varpro" in page
    assert "--also segmented" in page


def test_a_later_fit_without_it_removes_it(also, run, scan, folder):
    out = folder / "dwi_ivim"
    also("segmented", "--no-figures")
    assert (out / "also_segmented" / "fit.json").is_file()
    run("fit", scan, "--mask", folder / "mask.nii.gz", "--no-figures", "--overwrite")
    assert io.load_result(out).also is None
    assert not list(out.glob("also_*/*"))
    said = run("report", out, "--also", "segmented", code=2).stderr
    assert "has no fit by that method in addition" in said.replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("varpro", "the other method is varpro, which is the method itself; expected another one"),
        ("guess", "unknown method 'guess'"),
    ],
)
def test_it_has_to_be_another_method(also, folder, name, said):
    assert said in " ".join(also(name, code=2).stderr.split())
    assert not (folder / "dwi_ivim").exists()


def test_a_result_of_the_other_method_is_not_replaced(also, run, scan, folder):
    inner = folder / "dwi_ivim" / "also_segmented"
    run("fit", scan, "--mask", folder / "mask.nii.gz", "--out", inner, "--no-figures")
    before = (inner / "fit.json").read_bytes()
    assert "already contains results" in " ".join(also("segmented", code=2).stderr.split())
    assert (inner / "fit.json").read_bytes() == before
    assert not (folder / "dwi_ivim" / "fit.json").exists()
