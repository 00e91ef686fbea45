"""ivimkit dicom list and convert, and DICOM in the commands that take scans."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dicom_maker as dm
import ivimkit as ik

BVALS = (0, 10, 20, 40, 80, 200, 400, 800)
DIRECTIONS = (None, *[(1, 0, 0), (0, 1, 0), (0, 0, 1)] * 2, (1, 0, 0))


@pytest.fixture(scope="module")
def phantom():
    made = ik.simulate.phantom(shape=(24, 18, 2), bvals=list(BVALS))
    stored = np.rint(np.asarray(made.dwi.signal)).astype(np.uint16)
    return dm.Made(stored, BVALS, slope=2.0)


@pytest.fixture(scope="module")
def saved(phantom, tmp_path_factory):
    """A folder with one scan, and one with another, to be copied."""
    home = tmp_path_factory.mktemp("saved")
    dm.save(dm.slices(phantom), home / "one")
    second = replace(phantom, number=7, description="ep2d ivim 2")
    dm.save(dm.slices(second), home / "other")
    return home


@pytest.fixture
def study(saved, tmp_path):
    return shutil.copytree(saved / "one", tmp_path / "study")


@pytest.fixture
def two(saved, study):
    shutil.copytree(saved / "other", study / "second")
    return study


def test_list(run, phantom, two):
    adc = dm.slices(replace(phantom, number=6, description="ep2d_ADC"))
    for d in adc:
        d.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]
    dm.save(adc, two / "adc")
    (two / "readme.txt").write_text("x")
    text = run("dicom", "list", two).stdout
    assert "study 2026-10-03 SIEMENS" in text
    assert "0 10 20 40 80 200 400 800" in text
    assert "ep2d_ADC     map computed by the scanner, not fitted" in text
    assert "other files: 1 not DICOM" in text
    assert f"fit with: ivimkit fit {two} --series 5" in text
    assert "Anna" not in text
    assert max(map(len, text.splitlines()[:5])) <= 80


def test_list_json(run, study):
    found = json.loads(run("dicom", "list", study, "--json").stdout)
    assert found["scans"][0]["bvals"] == list(BVALS)
    assert found["scans"][0]["series_numbers"] == [5]


def test_list_of_a_folder_without_dicom(run, tmp_path):
    assert "has no files" in run("dicom", "list", tmp_path, code=2).stderr


def test_list_says_what_is_wrong(run, phantom, tmp_path):
    datasets = dm.slices(phantom, "canon")
    for d in datasets:
        d.AcquisitionMatrix = [12, 0, 0, 9]
    dm.save(datasets[:-1], tmp_path)
    text = run("dicom", "list", tmp_path).stdout
    assert "problem: series 5: 1 incomplete volume: b = 800 in series 5 without slice 2" in text
    assert "note: series 5: images without a b-value are taken as b = 0" in text
    assert "interpolated, from a matrix of 12 x 9 to 24 x 18" in text
    one = tmp_path / "one"
    dm.save(dm.slices(replace(phantom, stored=phantom.stored[..., :1], bvals=[0])), one)
    assert "nothing to fit: no series has two b-values" in run("dicom", "list", one).stdout


def test_convert(run, phantom, tmp_path):
    made = replace(phantom, directions=DIRECTIONS, description="dwi / liver")
    dm.save(dm.slices(made, "philips"), tmp_path / "in")
    out = tmp_path / "out"
    text = run("dicom", "convert", tmp_path / "in", "--out", out).stdout
    assert text.strip() == str(out / "5_dwi_liver.nii.gz")
    names = {path.name for path in out.iterdir()}
    assert names == {f"5_dwi_liver.{end}" for end in ("nii.gz", "bval", "bvec", "json")}
    converted, direct = ik.load(out / "5_dwi_liver.nii.gz"), ik.load(tmp_path / "in")
    assert_array_equal(converted.signal, direct.signal)
    assert_allclose(converted.affine, direct.affine)
    assert converted.acquisition == direct.acquisition
    record = json.loads((out / "5_dwi_liver.json").read_text())
    assert (record["EchoTime"], record["SeriesNumber"]) == (0.06, 5)
    assert record["BValueSource"] == ["0018,9087"]
    # The version of a checkout with changes ends with the date.
    assert record.pop("ConversionSoftwareVersion") == ik.__version__
    content = json.dumps(record)
    assert not any(word in content for word in ("Anna", "4711", "2026", "1.2.3"))
    assert (
        "already contains" in run("dicom", "convert", tmp_path / "in", "--out", out, code=2).stderr
    )
    run("dicom", "convert", tmp_path / "in", "--out", out, "--overwrite", "--quiet")


def test_convert_several(run, two, tmp_path):
    out = tmp_path / "out"
    run("dicom", "convert", two, "--out", out)
    second = "7_ep2d_ivim_2_trace.nii.gz"
    assert {path.name for path in out.glob("*.nii.gz")} == {
        "5_ep2d_diff_ivim_trace.nii.gz",
        second,
    }
    run("dicom", "convert", two, "--series", "7", "--out", tmp_path / "one")
    assert [path.name for path in (tmp_path / "one").glob("*.nii.gz")] == [second]


def test_convert_what_cannot_be(run, two, phantom, tmp_path):
    out = tmp_path / "out"
    assert (
        "expected numbers or UIDs"
        in run("dicom", "convert", two, "--series", "five", "--out", out, code=2).stderr
    )
    (two / "second" / "00003.dcm").unlink()
    error = run("dicom", "convert", two, "--out", out, code=2).stderr
    assert "series 7" in error
    assert "without slice 2" in error
    assert not out.exists()
    same = replace(phantom, study="1.2.9")
    dm.save(dm.slices(same), two / "other")
    error = run("dicom", "convert", two, "--drop-incomplete", "--out", out, code=2).stderr
    assert "would both become 5_ep2d_diff_ivim_trace" in error


def test_fit_of_a_folder_with_two_scans(run, two, text_only):
    error = run("fit", two, code=2).stderr
    assert "contains 2 scans" in error
    assert "--series 5" in error
    out = two.parent / "study_ivim"
    run("fit", two, "--series", "7", "--no-figures", "-q")
    result = ik.load_result(out)
    assert result.settings.reading.series == ("7",)
    # The figures and the page read the scan again, with the same choice.
    assert ik.io.load_fitted_scan(result).source_context.instances[0].series.endswith(".7")
    run("report", out)
    assert "ivimkit fit dicom --series 7" in (out / "report.html").read_text()
    (two / "second" / "00003.dcm").unlink()
    with pytest.raises(ik.errors.InputError, match="incomplete volume"):
        ik.io.load_fitted_scan(result)


def test_a_scan_chosen_in_python_is_found_again(two, tmp_path):
    result = ik.fit(ik.load(two, mask="auto", series=7))
    ik.save(result, tmp_path / "result")
    again = ik.io.load_fitted_scan(ik.load_result(tmp_path / "result"))
    assert again.source_context == result.source_context


def test_a_changed_folder_is_noticed(study, tmp_path):
    ik.save(ik.fit(ik.load(study, mask="auto")), tmp_path / "result")
    result = ik.load_result(tmp_path / "result")
    for path in list(study.iterdir()):
        path.rename(path.with_name(f"renamed_{path.name}"))
    ik.io.load_fitted_scan(result)
    path = study / "renamed_00003.dcm"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ik.errors.FileFormatError, match="has changed since"):
        ik.io.load_fitted_scan(result)
    shutil.rmtree(study)
    with pytest.raises(ik.errors.FileFormatError, match="no longer exists"):
        ik.io.load_fitted_scan(result)


@pytest.mark.parametrize("command", ["check", "compare"])
def test_other_commands_take_folders(run, study, command):
    error = run(command, study, "--series", "9", code=2).stderr
    assert "there is no series 9" in error
    run(command, study, *(["--no-figures"] if command == "compare" else []))


def test_an_archive_gives_its_name_to_the_result(run, study, tmp_path):
    shutil.make_archive(str(tmp_path / "scan"), "zip", study)
    run("fit", tmp_path / "scan.zip", "--no-figures", "-q")
    assert (tmp_path / "scan_ivim" / "fit.json").is_file()


def test_masks_are_placed_on_dicom(run, study, tmp_path):
    dwi = ik.load(study)
    mask = np.zeros(dwi.shape, np.uint8)
    mask[4:9, 4:9] = 1
    ik.io.save_map(mask, tmp_path / "mask.nii.gz", dwi.geometry)
    run("fit", study, "--mask", tmp_path / "mask.nii.gz", "--no-figures", "-q")
    assert ik.load_result(tmp_path / "study_ivim").mask.sum() == mask.sum()


def test_choices_of_dicom_are_refused_for_nifti(run, scan):
    assert "is not DICOM" in run("check", scan, "--images", "trace", code=2).stderr


def test_report_of_a_study(run, study, text_only):
    run("report", study, "--quiet")
    result = study.with_name("study_ivim")
    assert "ivimkit fit" in (result / "report.html").read_text()
    assert set(ik.io.load_result(result).maps) >= {"D", "f"}
    again = run("report", study, code=2)
    assert "study_ivim already contains" in again.stderr
    run("report", result, "--overwrite", "--quiet")
    before = (result / "fit.json").stat().st_mtime_ns
    run("report", study, "--overwrite", "--quiet")
    assert (result / "fit.json").stat().st_mtime_ns > before


def test_report_of_a_folder_without_dicom(run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "fit.json" in run("report", tmp_path / "empty", code=2).stderr
    assert not (tmp_path / "empty_ivim").exists()
