"""ivimkit compare: every option changes the outcome that it documents."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import ivimkit as ik
from ivimkit import io, quality
from ivimkit.cli import app
from ivimkit.fitting.comparison import CRITERIA
from ivimkit.simulate import B13 as B

WRITTEN = {"comparison.json", "chosen.nii.gz", "weight_biexp.nii.gz", "table.csv", "figures"}


class Outcome:
    """What a command has written."""

    def __init__(self, folder):
        self.record = json.loads((folder / "comparison.json").read_text())
        self.fits = self.record["fits"]
        self.chosen = io.load_map(folder / "chosen.nii.gz")
        self.weights = {
            name: io.load_map(folder / f"weight_{name}.nii.gz") for name in self.record["models"]
        }
        with (folder / "table.csv").open() as file:
            self.rows = list(csv.DictReader(file))

    @property
    def options(self):
        """Options of the fit of the richest model."""
        return self.fits["biexp"]["settings"]

    @property
    def bvals(self):
        return self.fits["biexp"]["provenance"]["bvals"]


@pytest.fixture(scope="module")
def usual(phantom_folder, tmp_path_factory):
    """A comparison of all voxels of the phantom without any option."""
    out = tmp_path_factory.mktemp("compared") / "out"
    words = ["compare", phantom_folder / "dwi.nii.gz", "--out", out, "--no-figures", "-q"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return Outcome(out)


@pytest.fixture
def compare(run, folder):
    """Return a function that compares models of the phantom with some options."""

    def _compare(*args, scan=folder / "dwi.nii.gz", out=folder / "out"):
        run("compare", scan, "--out", out, "--no-figures", "--quiet", "--overwrite", *args)
        return Outcome(out)

    return _compare


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_result_beside_the_scan_is_that_of_the_library(run, scan, folder, made):
    text = run("compare", scan, "--mask", folder / "mask.nii.gz").stdout
    out = folder / "dwi_comparison"
    assert names_in(out) >= WRITTEN
    assert names_in(out / "figures") == {"comparison.png"}
    comparison = ik.compare(io.load(scan, mask=folder / "mask.nii.gz"))
    outcome = Outcome(out)
    np.testing.assert_array_equal(outcome.chosen, comparison.chosen)
    for name in comparison.names:
        np.testing.assert_array_equal(outcome.weights[name], np.float32(comparison.weights[name]))
    (row,) = outcome.rows
    expected = comparison.table().loc["all"]
    assert row["region"] == "all"
    for column in expected.index:
        assert float(row[column]) == pytest.approx(expected[column])
    assert "monoexp, sivim, biexp by AICc" in text
    shown = next(line.split() for line in text.splitlines() if line.split()[:1] == ["sivim"])
    share = expected["share_sivim"]
    count, weight = round(share * expected["n"]), expected["weight_sivim"]
    assert shown[:5] == ["sivim", str(count), f"{100 * share:.1f}", "%", f"{weight:.3f}"]
    judged = quality.model_table(comparison).loc["all"]
    assert shown[5:] == [
        f"{judged['mean_weight_sivim']:.3f}",
        f"+{judged['mean_difference_sivim']:.1f}",
    ]
    assert row["verdict"] == judged["verdict"]
    assert f"all: {judged['verdict']}"[:60] in text
    assert "figures in " in text
    assert max(map(len, text.splitlines())) <= 80 or str(folder) in text


def test_labels(run, scan, folder, made):
    labels, out = folder / "labels.nii.gz", folder / "out"
    text = run("compare", scan, "--out", out, "--labels", labels, "--no-figures").stdout
    outcome = Outcome(out)
    present = [str(label) for label in np.unique(made.labels) if label]
    assert [row["region"] for row in outcome.rows] == present
    for row in outcome.rows:
        inside = made.labels == int(row["region"])
        assert int(row["n"]) == inside.sum()
        assert float(row["share_biexp"]) == pytest.approx((outcome.chosen[inside] == 2).mean())
    assert sum(line.split()[-7:-6] == ["monoexp"] for line in text.splitlines()) == len(present)


@pytest.mark.parametrize("format", ["tsv", "json"])
def test_table_format_and_report(run, scan, folder, format):
    out = folder / "out"
    text = run(
        "compare", scan, "--out", out, "--table", format, "--report", "--no-figures",
        "--models", "all", "--criterion", "f_test", "--sigma", "25",
    ).stdout  # fmt: skip
    assert f"table.{format}" in text
    assert "report.html there" in text
    assert not (out / "table.csv").exists()
    table = io.load_table(out / f"table.{format}").set_index("region")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert table.loc["all", "verdict"].split("(")[0] in page
    assert "is not a special case of it" in page
    record = json.loads((out / "comparison.json").read_text())
    assert record["models"][:3] == ["monoexp", "sivim", "biexp"]
    error = run("compare", scan, "--out", out, "--table", format, "--no-figures", code=2).stderr
    assert "already contains results" in error
    run("compare", scan, "--out", out, "--no-figures", "--overwrite", "--quiet")
    assert not (out / f"table.{format}").exists()
    assert not (out / "report.html").exists()


def test_several_masks(compare, folder, made):
    """Regions of later files are added; where masks overlap, the first one has the voxel."""
    geometry, liver = made.dwi.geometry, made.region("liver")
    part = liver & (np.cumsum(liver).reshape(liver.shape) <= 5)
    for name, inside in (("part", part), ("liver", liver)):
        io.save_map(inside.astype(np.uint8), folder / f"{name}.nii.gz", geometry)
    outcome = compare("--labels", folder / "part.nii.gz", "--labels", folder / "liver.nii.gz")
    counts = {row["region"]: int(row["n"]) + int(row["missing"]) for row in outcome.rows}
    assert counts == {"part": 5, "liver": int(liver.sum()) - 5}


def test_labels_of_another_grid_are_turned(compare, run, scan, folder, made):
    """Turned round along x: the affine says where the voxels are, not their order."""
    turn = np.diag([-1.0, 1, 1, 1])
    turn[0, 3] = made.dwi.shape[0] - 1
    turned = ik.Geometry(made.dwi.affine @ turn)
    io.save_map(made.labels[::-1], folder / "turned.nii.gz", turned)
    error = run("compare", scan, "--labels", folder / "turned.nii.gz", "--no-figures").stderr
    assert "are those of the scan in another order" in error.replace("\n", " ")
    expected = compare("--labels", folder / "labels.nii.gz").rows
    with (folder / "dwi_comparison" / "table.csv").open() as file:
        assert list(csv.DictReader(file)) == expected


def test_voxels_without_a_choice_are_counted(run, folder, made):
    signal = np.array(made.dwi.signal, order="F")
    signal[0, 0, 0] = np.nan
    io.save_scan(type(made.dwi)(signal, B), folder / "bad.nii.gz")
    text = run("compare", folder / "bad.nii.gz", "--no-figures").stdout
    assert Outcome(folder / "bad_comparison").chosen[0, 0, 0] == -1
    assert any(line.split()[:1] == ["none"] for line in text.splitlines())


def test_provenance_tells_the_command_line(run, scan, folder):
    run("compare", scan, "--out", folder / "my result", "--no-figures", "-q")
    for fit in Outcome(folder / "my result").fits.values():
        settings = fit["settings"]
        assert (
            settings["call"]
            == f"ivimkit compare {scan} --out '{folder}/my result' --no-figures -q"
        )
        assert settings["reading"]["b_unit"] == "s/mm2"
        assert {source["role"] for source in fit["provenance"]["sources"]} == {"scan", "bvals"}


# ----------------------------------------------------------------------------- the scan


def test_bval_bvec_unit_and_average(compare, folder):
    (folder / "ms.bval").write_text(" ".join(str((b + 1) / 1000) for b in B))
    np.savetxt(folder / "directions.txt", np.tile([1.0, 0.0, 0.0], (13, 1)))
    options = ("--bvec", folder / "directions.txt", "--average", "arithmetic")
    outcome = compare("--bval", folder / "ms.bval", "--b-unit", "ms/um2", *options)
    np.testing.assert_allclose(outcome.bvals, [b + 1 for b in B])
    assert "bvecs" in {source["role"] for source in outcome.fits["biexp"]["provenance"]["sources"]}
    assert outcome.options["average"] == "arithmetic"


def test_mask(compare, usual, folder, made):
    outcome = compare("--mask", folder / "mask.nii.gz")
    np.testing.assert_array_equal(outcome.chosen >= 0, made.dwi.mask)
    assert (usual.chosen >= 0).all()


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (("--bmin", "10"), list(B[1:])),
        (("--bmax", "400"), [b for b in B if b <= 400]),
        (("--bvals", "0,20,40,80,110,200,400,800"), [0, 20, 40, 80, 110, 200, 400, 800]),
        (("--volumes", "0-8,12"), [*B[:9], 800]),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_selection(compare, options, kept):
    outcome = compare(*options)
    assert outcome.bvals == kept
    # Perfusion of sivim is seen at b = 0 alone.
    assert ("sivim" in outcome.record["models"]) == (kept[0] == 0)
    assert ("sivim" in outcome.record["left_out"]) == (kept[0] > 0)


def test_tolerance(compare, folder):
    near = [0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 797, 800]
    (folder / "near.bval").write_text(" ".join(map(str, near)))
    assert len(compare("--bval", folder / "near.bval").bvals) == 12
    assert compare("--bval", folder / "near.bval", "--tolerance", "0").bvals == near


def test_stack(run, usual, folder, made):
    paths = [folder / f"b{b:04d}.nii.gz" for b in B]
    for k, path in enumerate(paths):
        io.save_map(made.dwi.signal[..., k], path, made.dwi.geometry)
    bval, out = folder / "dwi.bval", folder / "stacked"
    run("compare", *paths, "--stack", "--bval", bval, "--out", out, "--no-figures")
    np.testing.assert_array_equal(Outcome(out).chosen, usual.chosen)


# ------------------------------------------------------------------------- model and method


def test_models(compare):
    outcome = compare("--models", "biexp, monoexp")
    assert outcome.record["models"] == list(outcome.weights) == ["biexp", "monoexp"]
    assert set(np.unique(outcome.chosen)) <= {0, 1}


@pytest.mark.parametrize("criterion", CRITERIA)
def test_criterion(compare, run, scan, folder, criterion):
    mask = ("--mask", folder / "mask.nii.gz")
    outcome = compare("--criterion", criterion, *mask)
    expected = ik.compare(io.load(scan, mask=mask[1]), criterion=criterion)
    assert outcome.record["criterion"] == criterion
    np.testing.assert_array_equal(outcome.chosen, expected.chosen)
    assert outcome.options["method"]["name"] == ("bayes" if criterion == "evidence" else "varpro")


def test_alpha(compare):
    strict = compare("--criterion", "f_test", "--alpha", "0.001")
    loose = compare("--criterion", "f_test", "--alpha", "0.3")
    assert (strict.record["alpha"], loose.record["alpha"]) == (0.001, 0.3)
    assert (strict.chosen > 0).sum() < (loose.chosen > 0).sum()


@pytest.fixture
def few(folder, made):
    """Options for the evidence of two models in the voxels of the liver."""
    (number,) = (label for label, name in made.label_names.items() if name == "liver")
    inside = (made.labels == number).astype(np.uint8)
    io.save_map(inside, folder / "liver.nii.gz", made.dwi.geometry)
    mask = ("--mask", folder / "liver.nii.gz")
    return ("--criterion", "evidence", "--models", "sivim,biexp", "--sigma", "25", *mask)


def test_method_and_its_options(compare, few):
    by_name = compare(*few, "--method", "bayes")
    assert by_name.options["method"]["options"]["prior"] == "flat"
    gaussian = compare(*few, "--option", "noise=gaussian", "--option", "prior=learned")
    assert gaussian.options["method"]["options"]["noise"] == "gaussian"
    assert gaussian.options["method"]["options"]["prior"] == "learned"
    different = gaussian.weights["biexp"] != by_name.weights["biexp"]
    assert different[by_name.chosen >= 0].any()


def test_prior_and_organ(compare, few):
    liver = compare(*few, "--prior", "organ", "--organ", "liver")
    muscle = compare(*few, "--option", "prior=organ", "--organ", "muscle")
    assert liver.options["method"]["options"]["prior"]["organ"] == "liver"
    assert muscle.options["method"]["options"]["prior"]["organ"] == "muscle"
    different = liver.weights["biexp"] != muscle.weights["biexp"]
    assert different[liver.chosen >= 0].any()


def test_sigma(compare, usual, folder, made):
    outcome = compare("--sigma", "25")
    assert outcome.options["sigma"] == 25.0
    assert not np.array_equal(outcome.weights["biexp"], usual.weights["biexp"])
    io.save_map(np.full(made.dwi.shape, 25.0), folder / "sigma.nii.gz", made.dwi.geometry)
    mapped = compare("--sigma", folder / "sigma.nii.gz")
    np.testing.assert_array_equal(mapped.weights["biexp"], outcome.weights["biexp"])


# ------------------------------------------------------------------ output, several scans


def test_threads(compare):
    one, two = compare("--threads", "1"), compare("--threads", "2")
    assert [fit.fits["biexp"]["provenance"]["threads"] for fit in (one, two)] == [1, 2]
    np.testing.assert_array_equal(one.weights["sivim"], two.weights["sivim"])


def test_overwrite_and_figures(run, scan, folder):
    out = folder / "dwi_comparison"
    run("compare", scan, "-q")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    error = run("compare", scan, "--criterion", "bic", code=2).stderr
    assert "already contains results" in error
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    run("compare", scan, "--criterion", "bic", "--overwrite", "--no-figures", "-q")
    assert Outcome(out).record["criterion"] == "bic"
    assert not (out / "figures" / "comparison.png").exists()


def test_a_table_of_somebody_else_is_not_replaced(run, scan, folder):
    (folder / "out").mkdir()
    (folder / "out" / "table.csv").write_text("mine")
    assert "table.csv" in run("compare", scan, "--out", folder / "out", code=2).stderr
    assert names_in(folder / "out") == {"table.csv"}


def test_quiet_and_verbose(run, scan, folder):
    result = run("compare", scan, "--no-figures", "--quiet")
    assert result.stdout + result.stderr == ""
    text = run("compare", scan, "--no-figures", "--overwrite", "--verbose").stderr
    assert "24 x 18 x 2 voxels, 864 of them to fit" in text
    assert "b (volumes): 0 (1), 10 (1), 20 (1)" in text
    assert "method varpro: noise=gaussian, coils=1" in text
    assert ", 3 models: 100%  864 of 864 voxels" in text


def test_several_scans(run, scan, folder):
    other = folder / "second.nii.gz"
    shutil.copy(scan, other)
    shutil.copy(folder / "dwi.bval", folder / "second.bval")
    missing = folder / "missing.nii.gz"
    out = folder / "group"
    result = run("compare", scan, missing, other, "--out", out, "--no-figures", code=2)
    assert names_in(out) == {"dwi", "second"}
    assert f"failed: 1 of 3 scans: {missing}" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--criterion", "aic"), "aic"),
        (("--models", "monoexp,tri"), "unknown model 'tri'; there are ballistic, "),
        (("--models", "biexp"), "expected two or more"),
        (("--table", "xls"), "xls"),
        (("--alpha", "2"), "alpha is 2.0; expected a level between 0 and 1"),
        (("--method", "magic"), "unknown method 'magic'"),
        (("--method", "segmented"), "compares least sums of squares"),
        (("--criterion", "evidence", "--method", "varpro"), "integrates, and varpro does not"),
        (("--option", "speed=3"), "method varpro has no option 'speed'"),
        (("--prior", "flat"), "method varpro has no option 'prior'"),
        (("--criterion", "evidence", "--prior", "none"), "that is neither a prior nor a file"),
        (("--criterion", "evidence", "--prior", "organ"), "is given without --organ"),
        (("--criterion", "evidence", "--organ", "liver"), "expected it with --criterion evidence"),
        (("--sigma", "-3"), "--sigma is -3; expected the standard deviation"),
        (
            ("--sigma", "{folder}/turned.nii.gz"),
            "of --sigma has no value in 828 of the 864 voxels to be fitted",
        ),
        (("--bvals", "0,400,800"), "the b-values are sufficient for 0 of 3 models"),
        (("--labels", "{folder}/none.nii.gz"), "there is no file"),
        (("--labels", "{folder}/elsewhere.nii.gz"), "do not overlap"),
        (("--mask", "{folder}/elsewhere.nii.gz"), "do not overlap"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, tuple) else None,
)
def test_errors_leave_nothing_behind(run, scan, folder, made, options, message):
    moved = ik.Geometry([[1, 0, 0, 9e3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    io.save_map(np.ones((3, 3, 3), np.uint8), folder / "elsewhere.nii.gz", moved)
    turned = ik.Geometry(made.dwi.geometry.affine @ np.diag([-1, 1, 1, 1]))
    io.save_map(np.full(made.dwi.shape, 25.0), folder / "turned.nii.gz", turned)
    before = names_in(folder)
    words = [word.format(folder=folder) for word in options]
    error = run("compare", scan, *words, code=2).stderr
    assert message in error.replace("\n", " ")
    assert names_in(folder) == before
