"""ivimkit simulate: files of a phantom."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from ivimkit import io, simulate

SMALL = ("--shape", "16,14,2")


@pytest.fixture
def simulated(run, tmp_path):
    """Return a function that simulates with some options and loads the scan."""

    def _simulated(*args):
        out = tmp_path / "phantom"
        run("simulate", *args, *SMALL, "--out", out, "--overwrite", "-q")
        return io.load(out / "dwi.nii.gz", mask=out / "mask.nii.gz")

    return _simulated


def test_files_are_those_of_the_library(run, tmp_path):
    out = tmp_path / "phantom"
    text = run("simulate", "brain", *SMALL, "--out", out).stdout
    assert f"ivimkit fit {out / 'dwi.nii.gz'} --mask {out / 'mask.nii.gz'}" in text
    made = simulate.phantom("brain", shape=(16, 14, 2))
    dwi = io.load(out / "dwi.nii.gz", mask=out / "mask.nii.gz")
    np.testing.assert_array_equal(dwi.signal, made.dwi.signal)
    np.testing.assert_array_equal(dwi.mask, made.dwi.mask)
    np.testing.assert_array_equal(dwi.acquisition.bvals, simulate.B13)
    np.testing.assert_array_equal(io.load_map(out / "labels.nii.gz"), made.labels)
    for name, truth in made.truth.items():
        np.testing.assert_array_equal(io.load_map(out / f"true_{name}.nii.gz"), truth)
    record = json.loads((out / "phantom.json").read_text())
    assert record["kind"] == "brain"
    assert record["labels"]["2"]["name"] == "white matter"
    assert "doi:" in record["labels"]["2"]["source"]
    assert "D_star" not in record["labels"]["3"]


def test_can_be_fitted(run, tmp_path):
    out = tmp_path / "phantom"
    run("simulate", *SMALL, "--out", out, "-q")
    run("fit", out / "dwi.nii.gz", "--mask", out / "mask.nii.gz", "--no-figures", "-q")


def test_kind(simulated):
    assert not np.array_equal(simulated("brain").mask, simulated("abdomen").mask)


def test_bvals(simulated):
    assert simulated("--bvals", "0,0,50,800").acquisition.bvals.tolist() == [0, 0, 50, 800]
    assert simulated("--bvals", "b21").acquisition.n_volumes == 21


def test_noise(simulated):
    clean = simulated("--noise", "none").signal
    rician, gaussian = simulated().signal, simulated("--noise", "gaussian").signal
    assert rician.min() >= 0.0 > gaussian.min()
    averaged = simulated("--averages", "8").signal
    low = simulated("--snr", "10").signal
    inside = clean[..., 0] > 500
    errors = [np.std((signal - clean)[inside]) for signal in (averaged, rician, low)]
    assert errors[0] < 0.5 * errors[1] < 0.5 * errors[2]


def test_seed(simulated):
    first, same, other = (simulated("--seed", seed).signal for seed in "334")
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_default_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("simulate", "brain", *SMALL, "-q")
    assert (tmp_path / "phantom_brain" / "dwi.bval").exists()


def test_existing_files_are_kept(run, tmp_path):
    run("simulate", *SMALL, "--out", tmp_path / "p", "-q")
    before = (tmp_path / "p" / "dwi.nii.gz").read_bytes()
    result = run("simulate", *SMALL, "--seed", "1", "--out", tmp_path / "p", code=2)
    assert "--overwrite" in result.stderr
    assert (tmp_path / "p" / "dwi.nii.gz").read_bytes() == before


# With an atom that is compiled in the tests of the models anyway.
MINE = """
from ivimkit.extend import D_STAR, Compartment, D, F, SignalModel, decay

MODEL = SignalModel(
    name="mine",
    title="mine",
    equation="S",
    compartments=(
        Compartment("fast", decay, (D_STAR,), fraction=F, variables=("{variable}",)),
        Compartment("slow", decay, (D,)),
    ),
    ascending=(("D", "D_star"),),
)
"""


def test_a_model_of_a_file_on_its_protocol(run, tmp_path):
    file, table, out = tmp_path / "mine.py", tmp_path / "p.tsv", tmp_path / "p"
    file.write_text(MINE.format(variable="dose"))
    options = ("simulate", "--model", file, *SMALL, "--noise", "none", "--out", out)
    told = run(*options, "--te", "60", code=2).stderr
    assert "depends on b, dose, and the protocol has b, echo_time: dose is missing" in " ".join(
        told.split()
    )
    assert not out.exists()
    table.write_text("b\tdose\tmode\n0\t0\ton\n400\t0\ton\n800\t50\toff\n")
    told = run(*options, "--variables", table, "--te", "60,60,70").stdout
    assert f"--model {file}" in " ".join(told.split())
    dwi = io.load(out / "dwi.nii.gz", mask=out / "mask.nii.gz")
    assert dwi.acquisition.variables["dose"].tolist() == [0, 0, 50]
    assert dwi.acquisition.variables["mode"].tolist() == ["on", "on", "off"]
    assert dwi.acquisition.variables["echo_time"].tolist() == [60, 60, 70]
    truth = {name: io.load_map(out / f"true_{name}.nii.gz") for name in ("S0", "f", "D_star", "D")}
    pure = np.isfinite(truth["D_star"])
    S0, f, fast, slow = (values[pure].astype(float) for values in truth.values())
    want = S0 * (f * np.exp(-50 * fast) + (1 - f) * np.exp(-800 * slow))
    np.testing.assert_allclose(dwi.signal[pure][:, 2], want, rtol=1e-5)
    record = json.loads((out / "phantom.json").read_text())
    assert (record["model"], record["variables"]["dose"]) == ("mine", [0, 0, 50])

    # Another model in the same folder: nothing of the first one is left.
    run("simulate", "--model", "monoexp", *SMALL, "--out", out, "--overwrite", "-q")
    assert sorted(path.name for path in out.glob("true_*")) == [
        "true_ADC.nii.gz",
        "true_S0.nii.gz",
    ]
    assert not io.load(out / "dwi.nii.gz").acquisition.variables


def test_directions_and_units(run, tmp_path):
    (tmp_path / "dwi.bval").write_text("0 0.4 0.8\n")
    (tmp_path / "dwi.bvec").write_text("0 1 0\n0 0 1\n0 0 0\n")
    files = ("--bval", tmp_path / "dwi.bval", "--bvec", tmp_path / "dwi.bvec")
    run("simulate", *files, "--b-unit", "ms/um2", *SMALL, "--out", tmp_path / "p", "-q")
    found = io.load(tmp_path / "p" / "dwi.nii.gz").acquisition
    assert found.bvals.tolist() == [0, 400, 800]
    assert found.bvecs.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("b\n0\n800\n", ("--bvals", "0,900"), "column b of TABLE (2 values) and --bvals (2"),
        ("b\n0\n800\n", ("--bvals", "b13"), "and --bvals (13 values) differ"),
        ("echo_time\n60\n70\n", (), "TABLE has no column b; expected the b-value of each"),
        ("b\tTE\n0\t60\n800\t60\n", ("--te", "60"), "echo times were given twice"),
        ("b\tTE\n0\t60\n", (), "two different"),
        ("b\n0\n800\n", ("--bvec", "BVEC"), "BVEC has 3 directions and there are 2 volumes"),
    ],
)
def test_protocols_that_cannot_be_used(run, tmp_path, table, options, message):
    path, bvec = tmp_path / "t.tsv", tmp_path / "t.bvec"
    path.write_text(table)
    bvec.write_text("0 1 0\n0 0 1\n0 0 0\n")
    words = [str(bvec) if word == "BVEC" else word for word in options]
    result = run("simulate", "--variables", path, *words, "--out", tmp_path / "p", code=2)
    want = message.replace("TABLE", str(path)).replace("BVEC", str(bvec))
    assert want in " ".join(result.stderr.split())
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--te", "60,70"), "echo_time has 2 values and there are 13 volumes"),
        (("--model", "quadexp"), "'quadexp'"),
        (("--variables", "nowhere.tsv"), "there is no file nowhere.tsv"),
        (("--shape", "16,14"), "--shape is '16,14'; expected three whole numbers"),
        (("--shape", "0,14,2"), "expected three whole numbers > 0"),
        (("--bvals", "b99"), "--bvals is 'b99'; expected numbers"),
        (("--bvals", "0,0.5,1"), "the highest b-value is 1; expected s/mm^2"),
        (("--snr", "-1"), "snr is -1.0; expected a number > 0"),
        (("--noise", "pink"), "--noise"),
        (("heart",), "heart"),
    ],
)
def test_options_that_cannot_be_used(run, tmp_path, options, message):
    result = run("simulate", *options, "--out", tmp_path / "p", code=2)
    assert message in result.stderr
    assert not (tmp_path / "p").exists()


def test_texture_and_lesions(tmp_path, run):
    out = tmp_path / "rough"
    words = ["simulate", "--shape", "96,72,1", "--bvals", "0,50,800", "--out", str(out)]
    run(*words, "--texture", "D=0.1,f=0.2", "--texture-smooth", "1", "--lesions", "4,4")
    record = json.loads((out / "phantom.json").read_text())
    assert record["texture"] == {"spread": {"D": 0.1, "f": 0.2}, "smooth": 1.0, "fwhm": 15.0}
    assert record["lesions_mm"] == [4.0, 4.0]
    assert "lesion of 4 mm" in [label["name"] for label in record["labels"].values()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--texture", "D"], "--texture is 'D'; expected a name and a value, like D=0.1"),
        (["--texture", ","], "--texture is ','; expected names and numbers, like D=0.1"),
        (["--texture", "K=0.1"], "which model biexp does not have"),
        (["--texture-fwhm", "9"], "--texture-fwhm was given without --texture"),
        (["--lesions", "big"], "--lesions is 'big'; expected numbers with commas"),
        (["--lesions", "90"], "there is no room for a lesion of 90 mm"),
    ],
)
def test_bad_texture_and_lesions(tmp_path, run, words, message):
    done = run("simulate", "--shape", "32,24,1", "--out", tmp_path / "x", *words, code=2)
    assert message in done.stderr.replace("\n", " ")
    assert not (tmp_path / "x").exists()


FAULTS = ("--drift", "quadratic:5", "--dropouts", "3", "--dropout-loss", "0.3:0.5")


@pytest.mark.parametrize("motion", ["breathing:4", "slices:3"])
def test_artefacts_and_their_truth(tmp_path, run, motion):
    out = tmp_path / "moving"
    kind, mm = motion.split(":")
    words = ("simulate", "--shape", "16,12,4", "--bvals", "0,50,0,800", "--out", out, "-q")
    run(*words, "--motion", motion, *FAULTS, "--ringing", "0.8", "--partial-fourier", "0.75")
    faults = simulate.Artefacts(
        simulate.Motion(kind, float(mm)),
        simulate.Drift(5, "quadratic"),
        simulate.Dropouts(3, (0.3, 0.5)),
        simulate.Ringing(0.8, 0.75),
    )
    made = simulate.phantom(shape=(16, 12, 4), bvals=[0, 50, 0, 800], artefacts=faults)
    np.testing.assert_array_equal(io.load(out / "dwi.nii.gz").signal, made.dwi.signal)
    np.testing.assert_array_equal(io.load_map(out / "body.nii.gz"), made.artefacts.body)
    record = json.loads((out / "phantom.json").read_text())
    assert record["artefacts"]["motion"] == {"kind": kind, "mm": float(mm)}
    happened = record["true_artefacts"]
    np.testing.assert_allclose(happened["drift"], made.artefacts.drift)
    for lost in happened["dropouts"]:
        assert lost["factor"] == made.artefacts.dropout_factors[lost["volume"], lost["slice"]]
    assert len(happened["dropouts"]) == 3
    field = out / "true_displacement.nii.gz"
    if made.artefacts.transforms is None:
        found = np.asarray(nib.load(field).dataobj)
        np.testing.assert_allclose(found[:, :, :, 3], made.artefacts.displacement(3), atol=1e-5)
    else:
        np.testing.assert_allclose(happened["transforms"], made.artefacts.transforms)
        assert not field.exists()
    # What belongs to another scan does not stay.
    run(*words, "--overwrite")
    assert not {"body.nii.gz", field.name} & {path.name for path in out.iterdir()}
    assert "artefacts" not in json.loads((out / "phantom.json").read_text())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--motion", "rigid"], "--motion is 'rigid'; expected one of rigid, affine, breathing"),
        (["--motion", "jump:5"], "there is no motion 'jump'; expected one of rigid, affine"),
        (["--motion", "rigid:nan"], "--motion is 'rigid:nan'; expected"),
        (["brain", "--motion", "breathing:5"], "the brain does not breathe"),
        (["--drift", "much"], "--drift is 'much'; expected a percentage, like 5"),
        (["--drift", "cubic:5"], "there is no drift 'cubic'; expected one of linear, quadratic"),
        (["--dropouts", "-1"], "-1 slices drop out; expected a whole number"),
        (["--dropouts", "999"], "999 slices are to drop out"),
        (["--dropouts", "2", "--dropout-loss", "0.5"], "--dropout-loss is '0.5'; expected two"),
        (["--dropout-loss", "0.2:0.5"], "--dropout-loss was given without --dropouts"),
        (["--partial-fourier", "0.75"], "--partial-fourier was given without --ringing"),
        (["--ringing", "0.1"], "acquired is 0.1; expected a share from 0.25 to 1"),
    ],
)
def test_bad_artefacts(tmp_path, run, words, message):
    done = run("simulate", "--shape", "16,14,2", "--out", tmp_path / "x", *words, code=2)
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "x").exists()
