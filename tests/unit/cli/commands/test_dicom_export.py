"""ivimkit dicom export: from a saved result to files for a PACS."""

import dataclasses

import numpy as np
import pydicom
import pytest

import ivimkit as ik
from dicom_maker import Made, save, slices
from dicom_results import context_of, dicom_result

SHAPE = (24, 18, 2)
GEOMETRY = ik.Geometry(np.diag([-2, -2, 3, 1]))
ROOT = "1.2.826.0.1.3680043.10.9"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A saved result of a scan from DICOM."""
    folder = tmp_path_factory.mktemp("result") / "ivim"
    ik.save(
        dataclasses.replace(dicom_result(SHAPE), geometry=ik.Geometry(np.diag([-2, -2, 3, 1]))),
        folder,
    )
    return folder


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Two masks."""
    folder = tmp_path_factory.mktemp("labels")
    for name, part in (("lesion", slice(8, 12)), ("liver", slice(2, 20))):
        inside = np.zeros(SHAPE, dtype=np.uint8)
        inside[part, 4:14] = 1
        ik.io.save_map(inside, folder / f"{name}.nii.gz", GEOMETRY)
    return folder


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def test_everything_that_is_possible(run, result, labels, tmp_path):
    out = tmp_path / "out"
    both = [
        word for name in ("lesion", "liver") for word in ("--labels", labels / f"{name}.nii.gz")
    ]
    done = run(
        "dicom", "export", result, "--out", out, *both, "--lesion", "lesion", "--maps", "D,f"
    )
    assert contents(out) == ["mr_D", "mr_f", "pm_D.dcm", "pm_f.dcm", "sc.dcm", "seg.dcm", "sr.dcm"]
    assert f"{out / 'mr_D'} (2 images)" in done.stdout
    assert str(out / "sr.dcm") in done.stdout
    # The scan is not there.
    assert "warning: no 95 % limits of regions" in done.stderr
    assert pydicom.dcmread(out / "sc.dcm").PatientID == "42"


def test_options(run, result, tmp_path):
    out = tmp_path / "out"
    run("dicom", "export", result, "--out", out, "--as", "mr", "--maps", "D", "--anonymous", "-q")
    made = pydicom.dcmread(out / "mr_D" / "0001.dcm")
    assert (made.PatientName, made.SeriesNumber) == ("", 702)
    options = (
        "--first-series",
        "30",
        "--uid-root",
        "1.2.826.0.1.3680043.10.9",
        "--overwrite",
        "-q",
    )
    run("dicom", "export", result, "--out", out, "--as", "pm", "--maps", "D", *options)
    assert contents(out) == ["pm_D.dcm"]
    made = pydicom.dcmread(out / "pm_D.dcm")
    assert made.SeriesNumber == 30 + 40 + 1
    assert made.SOPInstanceUID.startswith(f"{ROOT}.")


def test_fit_keeps_the_patient_unless_asked_not_to(run, tmp_path):
    signal = ik.simulate.phantom(shape=SHAPE).dwi
    stored = np.rint(signal.signal).astype(np.uint16)
    save(slices(Made(stored, signal.acquisition.bvals)), tmp_path / "study")
    call = ("fit", tmp_path / "study", "--mask", "auto", "--no-figures", "-q")
    run(*call, "--out", tmp_path / "named")
    run(*call, "--out", tmp_path / "nameless", "--anonymous")
    for name, kept in (("named", True), ("nameless", False)):
        text = (tmp_path / name / "dicom.json").read_text("utf-8")
        assert ("Phantom^Anna" in text) == ("4711" in text) == kept
        assert "1.2.3.4" in text


def test_result_of_a_converted_scan(run, tmp_path):
    """Fitted from NIfTI, written into the study of the DICOM images."""
    stored = np.ones((*SHAPE, 2), dtype=np.uint16)
    stored[..., 0] = 2
    save(slices(Made(stored, [0, 500], affine=GEOMETRY.affine, number=9)), tmp_path / "study")
    made = dataclasses.replace(dicom_result(SHAPE), geometry=GEOMETRY, source_context=None)
    ik.save(made, tmp_path / "ivim")
    call = (
        "dicom",
        "export",
        tmp_path / "ivim",
        "--out",
        tmp_path / "out",
        "--as",
        "mr",
        "--maps",
        "D",
    )
    error = run(*call, code=2).stderr
    assert "was not read from DICOM" in error
    assert "--template FOLDER" in error
    run(*call, "--template", tmp_path / "study", "--series", "9")
    assert pydicom.dcmread(tmp_path / "out" / "mr_D" / "0001.dcm").PatientID == "4711"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--as", "mr,nii"],
            "no kind of DICOM output 'nii'; expected some of mr, pm, seg, sr, sc",
        ),
        (["--as", "sr"], "sr: there are no regions"),
        (["--maps", "Q"], "maps to export are 'Q'; expected some of S0"),
        (["--uid-root", "x"], "the UID root is 'x'"),
        (["--lesion", "a"], "--lesion is given without --labels"),
        (["--names", "n.csv"], "--names is given without --labels"),
        (["--series", "5"], "--series is given without --template"),
        (["--template", "a", "--scan", "b"], "--scan and --template are both given"),
        (["--as", "mr", "--lesion", "a", "--labels", "b"], "--lesion is given without sc"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(run, result, tmp_path, options, words):
    error = run("dicom", "export", result, "--out", tmp_path / "out", *options, code=2).stderr
    assert words in " ".join(error.split())
    assert not (tmp_path / "out").exists()


def test_unknown_lesion(run, result, labels, tmp_path):
    options = ("--labels", labels / "liver.nii.gz", "--lesion", "spleen")
    error = run("dicom", "export", result, "--out", tmp_path / "out", *options, code=2).stderr
    assert "there is no region 'spleen'; expected one of liver" in " ".join(error.split())
    assert "warning" not in error, "the scan is looked for later"


def test_maps_without_any_value(run, tmp_path):
    nothing = {
        name: np.full(SHAPE, np.nan) for name in ("S0", "f", "D_star", "D", "ADC", "fD_star")
    }
    made = dataclasses.replace(dicom_result(SHAPE), maps=nothing, geometry=GEOMETRY)
    ik.save(made, tmp_path / "ivim")
    run("dicom", "export", tmp_path / "ivim", "--out", tmp_path / "out", "-q")
    assert "sc.dcm" in contents(tmp_path / "out")


def test_existing_export_is_refused_before_any_work(run, tmp_path):
    (tmp_path / "seg.dcm").write_text("")
    error = run("dicom", "export", tmp_path / "no_result", "--out", tmp_path, code=2).stderr
    assert "already contains results (seg.dcm)" in " ".join(error.split())


def test_without_the_extra(run, result, tmp_path, monkeypatch):
    monkeypatch.setattr("ivimkit.io.dicom.extra.find_spec", lambda name: None)
    error = run("dicom", "export", result, "--out", tmp_path / "out", code=2).stderr
    assert "ivimkit[dicom]" in error


def test_context_that_does_not_match_is_named(run, tmp_path):
    ik.save(dataclasses.replace(dicom_result(SHAPE), source_context=context_of(2)), tmp_path / "a")
    (tmp_path / "a" / "dicom.json").write_text("{}")
    error = run("dicom", "export", tmp_path / "a", "--out", tmp_path / "out", code=2).stderr
    assert "dicom.json cannot be used" in " ".join(error.split())
