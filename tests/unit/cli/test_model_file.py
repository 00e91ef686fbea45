"""A model from a Python file on the command line: for a fit, and to read its result."""

import hashlib
import json
import shutil

import pytest
from typer.testing import CliRunner

from ivimkit import io, models
from ivimkit.cli import app
from ivimkit.cli.jobs import plot_files
from ivimkit.report.rerun_command import rerun

# With the atoms of ivimkit, so that nothing has to be compiled for these tests.
MINE = """
from ivimkit.extend import D_STAR, Compartment, D, F, SignalModel, decay
from dataclasses import replace

MODEL = SignalModel(
    name="{name}",
    title="my own model",
    equation="S(b) = S0 [fp exp(-b Dp) + (1-fp) exp(-b Dt)]",
    compartments=(
        Compartment("fast", decay, (replace(D_STAR, name="Dp", symbol="Dp"),),
                    fraction=replace(F, name="fp", symbol="fp")),
        Compartment("slow", decay, (replace(D, name="Dt", symbol="Dt"),)),
    ),
    ascending=(("Dt", "Dp"),),
    references=("Me. doi:10.1/2",),
)
"""


@pytest.fixture
def mine(folder, monkeypatch):
    """The file of a model, in the working directory."""
    monkeypatch.chdir(folder)
    path = folder / "mine.py"
    path.write_text(MINE.format(name="mine"))
    return path


@pytest.fixture(scope="session")
def fitted(phantom_folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("own")
    (home / "mine.py").write_text(MINE.format(name="mine"))
    words = ("fit", phantom_folder / "dwi.nii.gz", "--mask", phantom_folder / "mask.nii.gz")
    more = ("--model", home / "mine.py", "--bounds", "Dt=0:4e-3", "--fix", "Dp=0.05")
    told = CliRunner().invoke(
        app, [*map(str, (*words, *more)), "-o", str(home / "own"), "--no-figures", "-q"]
    )
    assert told.exit_code == 0, told.output
    return home


@pytest.fixture
def own(fitted, mine, folder):
    """The folder of a fit with that model."""
    shutil.copytree(fitted / "own", folder / "own")
    return folder / "own"


def test_the_record_names_the_file(own, fitted):
    source = json.loads((own / "fit.json").read_text())["provenance"]["sources"][-1]
    digest = hashlib.sha256((fitted / "mine.py").read_bytes()).hexdigest()
    assert source == {"role": "model", "path": str(fitted / "mine.py"), "sha256": digest}
    again = rerun(io.load_result(own), anonymous=False)
    # Without the equation it is not known what the bounds of the model are: all are named.
    assert f"--model {fitted / 'mine.py'} --bounds fp=0:1 --start fp=0.1" in again.command
    assert "--fix Dp=0.05 --bounds Dt=0:0.004 --start Dt=0.001 --method" in again.command
    known = rerun(io.load_result(own, model=models.from_file(fitted / "mine.py")))
    assert "--model model.py --fix Dp=0.05 --bounds Dt=0:0.004 --method" in known.command
    assert known.notes[0] == (
        f"model.py is the Python file of model mine, with the SHA-256 {digest}."
    )


def test_plot(run, own, monkeypatch):
    def save_all(figures, dpi, folder):
        for name in figures:
            (folder / name).write_text("drawn")

    monkeypatch.setattr(plot_files, "_save_all", save_all)
    told = run("plot", own, "--out", "without")
    assert "no curves and no residuals: the equation of model mine is not known" in told.stderr
    assert told.stderr.count("Name it (--model FILE)") == 1
    told = run("plot", own, "--model", "mine.py", "--voxel", "8,9,1", "--out", "with")
    assert "not known" not in told.stderr
    names = {path.name for path in (own.parent / "with").iterdir()}
    assert {"residuals.png", "voxel_8_9_1.png"} <= names


def test_report(run, own, text_only):
    told = run("report", own, "--model", "./mine.py")
    page = (own / "report.html").read_text(encoding="utf-8")
    assert "There are no fitted curves" not in page
    assert "my own model" in page
    assert "not known" not in told.stderr


def test_tables(run, own, made):
    region = made.region("liver").astype("uint8")
    io.save_map(region, own.with_name("liver.nii.gz"), made.dwi.geometry)
    labels = ("--labels", "liver.nii.gz")
    told = run("roi", own, *labels)
    assert told.stderr.count("no fit of the mean signals: the equation of model mine") == 1
    assert "no fit of the mean signals" not in run("roi", own, *labels, "--no-mean-fit").stderr
    told = run("roi", own, *labels, "--model", "mine.py", "--out", "table.csv")
    assert "not known" not in told.stderr
    table = io.load_table(own.parent / "table.csv")
    assert table.loc[table["map"] == "Dt", "roi_fit"].notna().any()
    twice = ("repeat", own, own, "--statistic", "roi_fit", *labels)
    assert "equation of model mine is not known" in run(*twice, code=2).stderr
    run(*twice, "--model", "mine.py")


def test_compare(run, mine):
    run("compare", "dwi.nii.gz", "--mask", "mask.nii.gz", "--models", "monoexp,./mine.py", "-q")
    record = json.loads((mine.parent / "dwi_comparison" / "comparison.json").read_text())
    assert record["models"] == ["monoexp", "mine"]
    roles = {
        name: [source["role"] for source in fit["provenance"]["sources"]]
        for name, fit in record["fits"].items()
    }
    assert "model" not in roles["monoexp"]
    assert roles["mine"][-1] == "model"


def test_a_file_that_has_changed(run, own, mine):
    mine.write_text(MINE.format(name="mine") + "# another line\n")
    told = run("roi", own, "--labels", "labels.nii.gz", "--no-mean-fit", "--model", mine)
    assert "is not the one that was fitted, or has changed since" in told.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fit", "dwi.nii.gz", "--model", "none.py"), "there is no file none.py; expected a"),
        (
            ("fit", "dwi.nii.gz", "--model", "nix"),
            "sivim, stretched, tensor, triexp, and files like ./m",
        ),
        (("fit", "dwi.nii.gz", "--model", "biexp.py"), "called 'biexp', and there is another"),
        (("check", "dwi.nii.gz", "--model", "biexp.py"), "called 'biexp', and there is another"),
        (
            ("fit", "dwi.nii.gz", "--model", "mine.py", "--bounds", "D=0:1"),
            "model mine has no parameter 'D'; it has S0, fp, Dp, Dt",
        ),
        (
            ("fit", "dwi.nii.gz", "--model", "mine.py", "--fix", "D=1"),
            "has no parameter 'D'; it has S0, fp, Dp, Dt",
        ),
        (
            ("fit", "dwi.nii.gz", "--model", "mine.py", "--start", "D=1"),
            "has no parameter 'D'; it has S0, fp, Dp, Dt",
        ),
        (("compare", "dwi.nii.gz", "--models", "biexp,none.py"), "there is no file none.py"),
        (("plot", "own", "--model", "none.py"), "there is no file none.py"),
        (("plot", "own", "--model", "biexp"), "--model is 'biexp'; expected the Python file of"),
        (("report", "own", "--model", "other.py"), "defines model 'other'; expected the model of"),
        (("view", "own", "--model", "other.py"), "defines model 'other'; expected the model of"),
        (
            ("repeat", "table.csv", "--model", "mine.py"),
            "--model is given with tables, whose numbers are made",
        ),
    ],
)
def test_what_cannot_be_meant(run, own, words, said):
    home = own.parent
    for name in ("biexp", "other"):
        (home / f"{name}.py").write_text(MINE.format(name=name))
    (home / "table.csv").write_text("region,map,median\na,D,1\n")
    before = sorted(home.rglob("*"))
    assert said in " ".join(run(*words, code=2).stderr.split())
    assert sorted(home.rglob("*")) == before, "something was written"
