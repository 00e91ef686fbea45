"""ivimkit report: one page, whole or not at all, without a name."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from html_page import Page
from ivimkit import io, report
from ivimkit.cli.jobs import report_run
from ivimkit.report import Report, html_document, pdf_file
from ivimkit.report.section_blocks import Section, Text


@pytest.fixture
def built(monkeypatch):
    """Record what is to be reported, and make a page of one line."""
    calls = []

    def build(*results, **options):
        calls.append((results, options))
        return Report("T", "", [Section("One", "one", [Text("text")])])

    monkeypatch.setattr(report, "build", build)
    return calls


def test_a_page_of_a_result(run, result, folder, text_only):
    done = run("report", result, "--labels", folder / "labels.nii.gz", "--lesion", "2")
    path = result / "report.html"
    assert done.stdout.split() == [str(path.resolve())]
    page = Page(path.read_text(encoding="utf-8"))
    assert page.all("h2")[0]["id"] == "summary-title"
    assert "region" not in done.stderr
    assert str(folder) not in page.html


def test_two_results(run, result, other, folder, built):
    run("report", result, other)
    ((first, second), options) = built[0]
    assert [one.method.name for one in (first, second)] == ["varpro", "segmented"]
    assert options["names"] is None
    assert (folder / "comparison.html").is_file()
    run("report", result, other, "--show-names", "--out", folder / "b.html", "--title", "Mine")
    options = built[1][1]
    assert options["names"] == ["dwi_ivim", "other"]
    assert (options["title"], options["anonymous"]) == ("Mine", False)
    assert options["unreliable"] == "fade"
    run("report", result, other, "--out", folder / "c.html", "--unreliable", "hide")
    assert built[2][1]["unreliable"] == "hide"


def test_the_scan_is_found_or_named(run, result, other, folder, built):
    run("report", result)
    assert built[0][0][0].dwi.shape == (24, 18, 2)
    moved = folder / "moved.nii.gz"
    (folder / "dwi.nii.gz").rename(moved)
    done = run("report", result, "--overwrite")
    assert "no images, curves and residuals" in done.stderr
    assert built[1][0][0].dwi is None
    bval = ("--bval", folder / "dwi.bval")
    run("report", result, other, "--scan", moved, *bval, "--overwrite")
    assert all(one.dwi is not None for one in built[2][0])
    second = folder / "second.nii.gz"
    shutil.copy(moved, second)
    run("report", result, other, "--scan", moved, "--scan", second, *bval, "--overwrite")
    sources = [one.dwi.sources[0].path for one in built[3][0]]
    assert sources == [str(moved), str(second)]


@pytest.mark.parametrize(
    ("words", "wanted"), [((), None), (("--reliable",), True), (("--no-reliable",), False)]
)
def test_reliable_voxels(run, result, built, words, wanted):
    run("report", result, *words)
    assert built[0][1]["reliable_only"] is wanted


def test_names_of_files_become_numbers(run, result, folder, built, made):
    geometry = made.dwi.geometry
    for name, number in (("Mustermann", 2), ("liver", 1)):
        inside = (made.labels == number).astype(np.uint8)
        io.save_map(inside, folder / f"{name}.nii.gz", geometry)
    words = ["report", result, "--overwrite"]
    for name in ("Mustermann", "liver"):
        words += ["--labels", folder / f"{name}.nii.gz"]
    run(*words, "--lesion", "Mustermann", "--reference", "2")
    options = built[0][1]
    assert list(options["labels"]) == ["region 1", "liver"]
    assert (options["lesion"], options["reference"]) == ("region 1", "liver")
    run(*words, "--lesion", "Mustermann", "--ring", "12", "--gap", "2", "--show-names")
    options = built[1][1]
    assert list(options["labels"]) == ["Mustermann", "liver"]
    assert (options["lesion"], options["ring"], options["gap"]) == ("Mustermann", 12.0, 2.0)


def test_names_that_were_given_stay(run, result, folder, built):
    names = folder / "names.json"
    names.write_text(json.dumps({"1": "Segment VII", "2": "Herd"}))
    labels = ("--labels", folder / "labels.nii.gz", "--names", names)
    run("report", result, *labels, "--lesion", "Herd")
    options = built[0][1]
    assert list(options["labels"])[:2] == ["Segment VII", "Herd"]
    assert options["lesion"] == "Herd"


def test_quiet_and_open(run, result, built, monkeypatch):
    opened = []
    monkeypatch.setattr(report_run.webbrowser, "open", opened.append)
    assert run("report", result, "-q").stdout == ""
    assert opened == []
    run("report", result, "--open", "--overwrite", "-q")
    assert opened == [(result / "report.html").resolve().as_uri()]


def test_what_is_there_is_not_replaced(run, result, built):
    page = result / "report.html"
    page.write_text("mine")
    assert "exists already" in run("report", result, code=2).stderr
    assert page.read_text() == "mine"
    assert not built
    run("report", result, "--overwrite")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_pdf_beside_the_page(run, result, built, monkeypatch):
    def printed(page, target):
        assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
        target.write_bytes(b"%PDF-")

    monkeypatch.setattr(html_document, "print_page", printed)
    monkeypatch.setattr(html_document, "check_printer", lambda: None)
    files = [result / "report.html", result / "report.pdf"]
    done = run("report", result, "--pdf")
    assert done.stdout.split() == [str(one.resolve()) for one in files]
    assert files[1].read_bytes() == b"%PDF-"
    files[0].unlink()
    assert "report.pdf exists already" in " ".join(
        run("report", result, "--pdf", code=2).stderr.split()
    )
    assert not files[0].exists()
    assert len(built) == 1
    run("report", result, "--pdf", "--overwrite")
    assert files[0].exists()


def test_nothing_to_print_with(run, result, built, monkeypatch):
    monkeypatch.setattr(pdf_file, "find_browser", lambda: None)
    monkeypatch.setattr(pdf_file, "find_spec", lambda name: None)
    assert "ivimkit[pdf]" in run("report", result, "--pdf", code=2).stderr
    assert not built
    assert not (result / "report.html").exists()


def test_a_new_fit_takes_the_page_of_the_old_one_away(run, result, folder, built):
    run("report", result)
    pdf = result / "report.pdf"
    pdf.write_bytes(b"%PDF-")
    words = ("fit", folder / "dwi.nii.gz", "--no-figures", "-q")
    run(*words, code=2)
    assert (result / "report.html").exists()
    assert pdf.exists()
    run(*words, "--overwrite")
    assert not (result / "report.html").exists()
    assert not pdf.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{folder}"], "there is no fit.json in"),
        (["{result}", "{other}", "{result}"], "3 results are given; expected one, or two"),
        (["{result}", "--scan", "{scan}", "--scan", "{scan}"], "2 scans are given for 1 results"),
        (["{result}", "--scan", "{folder}/labels.nii.gz"], "is a single 3-D image"),
        (["{result}", "--names", "{folder}/names.json"], "without --labels"),
        (["{result}", "--labels", "{folder}/none.nii.gz"], "none.nii.gz"),
        (["{result}", "--labels", "{folder}/labels.nii.gz", "--lesion", "x"], "no region 'x'"),
        (["{result}", "--lesion", "x"], "there are no labels"),
        (["{result}", "--reference", "x"], "without a lesion"),
        (["{result}", "--labels", "{folder}/away.nii.gz"], "do not overlap"),
        (["{result}", "--ring", "wide"], "Invalid value for '--ring'"),
        (["{result}", "--out", "{folder}"], "is a folder; expected a file"),
        (["{result}", "{small}"], "expected one grid"),
    ],
)
def test_refusals_leave_nothing(run, result, other, folder, made, words, message):
    shifted = made.dwi.geometry.affine.copy()
    shifted[:3, 3] += 1000.0
    away = type(made.dwi.geometry)(shifted)
    io.save_map(made.labels, folder / "away.nii.gz", away)
    if "{small}" in words:
        scan = io.load(folder / "dwi.nii.gz")
        small = type(scan)(scan.signal[:-2], scan.acquisition, geometry=scan.geometry)
        io.save_scan(small, folder / "small.nii.gz")
        run("fit", folder / "small.nii.gz", "--out", folder / "small", "--no-figures", "-q")
    before = sorted(folder.rglob("*"))
    places = {
        "folder": folder,
        "result": result,
        "other": other,
        "scan": folder / "dwi.nii.gz",
        "small": folder / "small",
    }
    done = run("report", *(word.format(**places) for word in words), code=2)
    assert message in " ".join(done.stderr.split()).replace("│ ", "")
    assert sorted(folder.rglob("*")) == before
