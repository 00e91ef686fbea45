"""ivimkit fit --method bayes: its options, what is printed, what is on disk."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from ivimkit import Geometry, io, models, priors
from ivimkit.cli import app

QUICK = ("--method", "bayes", "--prior", "flat", "--sigma", "25")


@pytest.fixture(scope="module")
def a_slice(made, tmp_path_factory):
    """The mask of one slice of the phantom, as a file."""
    inside = made.dwi.mask.astype(np.uint8)
    inside[:, :, 1:] = 0
    path = tmp_path_factory.mktemp("slice") / "slice.nii.gz"
    io.save_map(inside, path, made.dwi.geometry)
    return path


@pytest.fixture(scope="module")
def printed(a_slice, phantom_folder):
    """What a fit of that slice by bayes prints; its result is beside the mask, in ``auto``."""
    out = ("--out", a_slice.with_name("auto"), "--no-figures")
    words = ("fit", phantom_folder / "dwi.nii.gz", "--mask", a_slice, "--method", "bayes", *out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def auto(printed, a_slice):
    """The result of that fit."""
    return io.load_result(a_slice.with_name("auto"))


@pytest.fixture
def bayes(fit, a_slice):
    """Return a function that fits the slice, or within another mask, by bayes."""

    def _bayes(*args, mask=a_slice, **kwargs):
        return fit("--mask", mask, "--method", "bayes", *args, **kwargs)

    return _bayes


def test_prior(bayes, auto):
    flat = bayes("--prior", "flat")
    assert (auto.priors["all"].rule, flat.priors["all"].rule) == ("local", "flat")
    assert not np.array_equal(auto.maps["f"], flat.maps["f"], equal_nan=True)
    named = bayes("--option", "prior=flat")
    np.testing.assert_array_equal(named.maps["f"], flat.maps["f"])


def test_prior_of_an_organ(bayes):
    kidney = bayes("--prior", "organ", "--organ", "kidney")
    assert kidney.priors["all"].about["organ"] == "kidney"
    liver = bayes("--option", "prior=organ", "--organ", "liver")
    assert liver.priors["all"].about["organ"] == "liver"
    assert not np.array_equal(liver.maps["D"], kidney.maps["D"], equal_nan=True)


def test_prior_of_a_file(bayes, auto, a_slice, folder):
    first, file = auto, a_slice.with_name("auto") / "prior.npz"
    again = bayes("--prior", file, out=folder / "again")
    assert again.priors["all"].same_as(first.priors["all"])
    np.testing.assert_array_equal(again.maps["D"], first.maps["D"])
    # Fewer voxels would have learned something else.
    half = np.zeros(first.shape, np.uint8)
    half[:14] = first.mask[:14]
    io.save_map(half, folder / "half.nii.gz", first.geometry)
    kept = bayes("--prior", file, mask=folder / "half.nii.gz")
    own = bayes(mask=folder / "half.nii.gz")
    inside = half.astype(bool)
    assert kept.priors["all"].same_as(first.priors["all"])
    assert not own.priors["all"].same_as(first.priors["all"])
    assert not np.array_equal(own.maps["D"][inside], kept.maps["D"][inside])


def test_estimate(bayes):
    quick = ("--prior", "flat", "--sigma", "25")
    found = {
        name: bayes(*quick, "--estimate", name).maps["D_star"]
        for name in ("mean", "median", "mode")
    }
    assert not np.array_equal(found["mean"], found["median"], equal_nan=True)
    assert not np.array_equal(found["median"], found["mode"], equal_nan=True)
    np.testing.assert_array_equal(bayes(*quick).maps["D_star"], found["mean"])


def test_labels(run, bayes, auto, a_slice, scan, folder, made):
    (number,) = (label for label, name in made.label_names.items() if name == "liver")
    liver = (made.labels == number).astype(np.uint8)
    io.save_map(liver, folder / "liver.nii.gz", made.dwi.geometry)
    options = ("--mask", a_slice, "--labels", folder / "liver.nii.gz", "--method", "bayes")
    text = run("fit", scan, *options, "--out", folder / "apart", "--no-figures").stdout
    inside = (liver > 0) & auto.mask
    assert f"prior of region 1: local from {inside.sum()} voxels (auto: " in text
    apart = io.load_result(folder / "apart")
    assert list(apart.priors) == ["0", "1"]
    assert {path.name for path in (folder / "apart").glob("*.npz")} == {
        "prior_0.npz",
        "prior_1.npz",
    }
    turn = np.diag([-1.0, 1, 1, 1])
    turn[0, 3] = made.dwi.shape[0] - 1
    turned = Geometry(made.dwi.affine @ turn)
    io.save_map(liver[::-1], folder / "turned.nii.gz", turned)
    same = bayes("--labels", folder / "turned.nii.gz", out=folder / "turned")
    np.testing.assert_array_equal(same.maps["D"], apart.maps["D"])
    assert np.nanstd(apart.maps["D"][inside]) < np.nanstd(auto.maps["D"][inside])


def test_noise_of_bayes_and_of_varpro(fit, bayes, folder):
    for fitted, method in ((bayes, ("--prior", "flat", "--sigma", "60")), (fit, ())):
        usual = fitted(*method)
        kinds = {kind: fitted(*method, "--noise", kind) for kind in ("rician", "gaussian")}
        assert kinds["rician"].method.noise == "rician"
        maps = [kinds[kind].maps["D"] for kind in ("rician", "gaussian")]
        assert not np.array_equal(*maps, equal_nan=True)
        same = kinds[usual.method.noise]
        np.testing.assert_array_equal(usual.maps["D"], same.maps["D"])


def test_coils(fit):
    one, four = (fit("--noise", "chi", "--coils", n) for n in (1, 4))
    assert four.method.coils == 4
    assert not np.array_equal(one.maps["D"], four.maps["D"])


def test_closing_table(printed, auto, a_slice):
    table = printed[: printed.index("status ")]
    rows = {line.split()[0]: line.split() for line in table.splitlines() if line}
    assert rows["map"][-3:] == ["sd", "bits", "voxels"]
    sd = 1e3 * np.nanmedian(auto.sd["D"])
    bits = np.nanmedian(auto.information["D"])
    assert rows["D"][-3:] == [f"{sd:#.2g}", f"{bits:#.2g}", str(int(auto.mask.sum()))]
    lines = printed.splitlines()
    assert not any("_sd" in line or "corr_" in line for line in lines)
    n = auto.mask.sum()
    assert f"prior: local from {n} voxels (auto: voxels have neighbours)" in printed
    assert max(len(line) for line in lines if str(a_slice.parent) not in line) <= 80


def test_closing_table_of_curvature_has_no_bits(run, scan):
    text = run("fit", scan, "--uncertainty", "curvature", "--no-figures").stdout
    head = next(line for line in text.splitlines() if line.startswith("map "))
    assert head.split()[-2:] == ["sd", "voxels"]
    assert "D_sd" not in text


def test_figures_come_and_go(run, scan, folder, plain_figures):
    figures = folder / "dwi_ivim" / "figures"
    run("fit", scan, *QUICK, "-q")
    always = {"maps.png", "status.png", "histograms.png"}
    assert {p.name for p in figures.iterdir()} == {*always, "uncertainty.png", "prior.png"}
    (figures / "prior_of_mine.png").write_text("mine")
    run("fit", scan, "-q", "--overwrite", "--uncertainty", "curvature")
    kept = {"prior_of_mine.png"}
    assert {p.name for p in figures.iterdir()} == {*always, "uncertainty.png", *kept}
    run("fit", scan, "-q", "--overwrite")
    assert {p.name for p in figures.iterdir()} == {*always, *kept}


def test_plot_draws_them_as_well(run, scan, folder):
    run("fit", scan, *QUICK, "-q", "--no-figures")
    run("plot", folder / "dwi_ivim", "--range", "D_sd=0:1e-4", "--out", folder / "drawn")
    names = {path.name for path in (folder / "drawn").iterdir()}
    assert {"uncertainty.png", "prior.png"} <= names


def _other_model(folder):
    table = priors.get("flat").tabulate(models.get("sivim"))
    io.save_prior(table, folder / "other.npz", overwrite=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prior", "organ"), "--prior organ is given without --organ; expected one of brain"),
        (("--prior", "lerned"), "'lerned': that is neither a prior nor a file; expected one of"),
        (("--prior", "OTHER"), "the prior was made for model sivim; expected one for model biexp"),
        (("--prior", "SCAN"), "dwi.nii.gz cannot be read as a prior"),
        (("--prior", "flat", "--option", "prior=flat"), "both --prior and --option prior are"),
        (("--estimate", "best"), "estimate is 'best'; expected one of mean, median, mode"),
        (("--noise", "chi"), "noise is 'chi'; expected one of rician, gaussian"),
        (("--coils", "2"), "method bayes has no option 'coils'"),
        (("--method", "varpro", "--prior", "flat"), "method varpro has no option 'prior'"),
        (("--method", "varpro", "--estimate", "mean"), "method varpro has no option 'estimate'"),
        (("--method", "trr", "--noise", "rician"), "method trr has no option 'noise'"),
        (("--labels", "LABELS"), "--labels is given without --mask; expected a mask"),
        (("--labels", "none.nii.gz", "--mask", "MASK"), "there is no file none.nii.gz"),
        (
            ("--method", "varpro", "--labels", "LABELS", "--mask", "MASK"),
            "labels were given for method varpro",
        ),
    ],
)
def test_errors(run, scan, folder, options, message):
    _other_model(folder)
    paths = {
        "SCAN": scan,
        "MASK": folder / "mask.nii.gz",
        "LABELS": folder / "labels.nii.gz",
        "OTHER": folder / "other.npz",
    }
    words = [paths.get(word, word) for word in options]
    method = () if "--method" in options else ("--method", "bayes")
    result = run("fit", scan, *method, *words, code=2)
    assert message in result.stderr
    assert not (folder / "dwi_ivim").exists()
