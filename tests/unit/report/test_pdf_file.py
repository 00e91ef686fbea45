"""A page as a PDF file, by a browser and by WeasyPrint: the summary first, whole or not at all."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from ivimkit.errors import InputError, OptionError, OutputExistsError
from ivimkit.report import Picture, Report, pdf_file
from ivimkit.report.section_blocks import Pictures, Section, Table, Text

SENTENCE = "Lesion: D 0.82 against 1.09, lower."
HAS_BROWSER = pdf_file.find_browser() is not None


def figure():
    drawn = Figure(figsize=(2, 1))
    drawn.add_subplot().plot([1, 2])
    return drawn


@pytest.fixture(scope="module")
def report():
    picture = Pictures([Picture(figure(), "Below.", "Seen.")])
    first = Section("Summary", "summary", [Text(SENTENCE, "lead"), picture])
    table = Table(("a", "b"), [("row", "1.0")], "Folded away")
    return Report("Title", "below", [first, Section("More", "more", [table], folded=True)])


@pytest.fixture
def no_browser(monkeypatch):
    monkeypatch.setattr(pdf_file, "find_browser", lambda: None)


@pytest.fixture
def no_weasyprint(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        pdf_file, "find_spec", lambda name: None if name == "weasyprint" else found(name)
    )


def pages(path):
    """Return the text of each page, which must have the size of A4."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf comes with the extra test")
    found = pypdf.PdfReader(path).pages
    for page in found:
        size = [float(side) / 72 * 25.4 for side in page.mediabox[2:]]
        assert size == pytest.approx([210, 297], abs=0.5)
    return [" ".join(page.extract_text().split()) for page in found]


def check(path):
    assert sorted(one.name for one in path.parent.iterdir()) == ["page.html", "page.pdf"]
    first, *others = pages(path.with_suffix(".pdf"))
    assert SENTENCE in first
    assert "Folded away" not in first
    assert "Folded away" in " ".join(others)
    assert str(path.parent) not in " ".join([first, *others])


@pytest.mark.skipif(not HAS_BROWSER, reason="there is no Chromium: apt-get install chromium")
def test_by_a_browser(report, tmp_path, no_weasyprint):
    check(report.write(tmp_path / "page.html", pdf=True))


def test_by_weasyprint(report, tmp_path, no_browser):
    pytest.importorskip("weasyprint", reason="WeasyPrint comes with the extra pdf")
    check(report.write(tmp_path / "page.html", pdf=True))


def test_by_weasyprint_if_the_browser_fails(report, tmp_path, monkeypatch):
    pytest.importorskip("weasyprint", reason="WeasyPrint comes with the extra pdf")
    monkeypatch.setattr(pdf_file, "find_browser", lambda: Path(shutil.which("false")))
    check(report.write(tmp_path / "page.html", pdf=True))


def test_nothing_to_print_with_is_told_first(report, tmp_path, no_browser, no_weasyprint):
    with pytest.raises(OptionError, match=r"pip install 'ivimkit\[pdf\]'"):
        report.write(tmp_path / "page.html", pdf=True)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing(report, tmp_path, monkeypatch, no_weasyprint):
    missing = tmp_path / "none"
    for program, why in ((shutil.which("false"), "exit status 1"), (str(missing), "No such file")):
        monkeypatch.setattr(pdf_file, "find_browser", lambda program=program: Path(program))
        with pytest.raises(InputError, match=f"did not print the page .*{why}"):
            report.write(tmp_path / "page.html", pdf=True)
    assert not list(tmp_path.iterdir())


def test_a_library_that_weasyprint_misses(report, tmp_path, monkeypatch, no_browser):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "weasyprint":
                raise OSError("cannot load library 'libpango'")

    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.setattr(pdf_file, "find_spec", lambda name: True)
    with pytest.raises(InputError, match=r"libpango.*expected Pango"):
        report.write(tmp_path / "page.html", pdf=True)
    assert not list(tmp_path.iterdir())


def test_neither_file_is_replaced_unless_asked_for(report, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf_file, "check_printer", lambda: None)
    (tmp_path / "page.pdf").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"page\.pdf exists already"):
        report.write(tmp_path / "page.html", pdf=True)
    assert [one.name for one in tmp_path.iterdir()] == ["page.pdf"]
    with pytest.raises(OptionError, match=r"Call it \.html"):
        report.write(tmp_path / "other.pdf", pdf=True)


def test_no_older_file_stays_beside_a_new_page(report, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf_file, "_print", lambda page, target: target.write_bytes(b"%PDF-"))
    page, printed = report.write(tmp_path / "page.html", pdf=True), tmp_path / "page.pdf"
    before = printed.read_bytes()
    with pytest.raises(OutputExistsError, match=r"page\.html exists already"):
        report.write(page)
    page.unlink()
    with pytest.raises(OutputExistsError, match=r"page\.pdf was printed from an earlier page"):
        report.write(page)
    assert printed.read_bytes() == before
    report.write(page, overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
    report.write(page, overwrite=True, pdf=True)
    assert printed.read_bytes() == before
    # A file that is not a page of ivimkit is none of its business.
    for content in ("mine", "%PDF-" + 50 * "mine"):
        printed.write_text(content)
        report.write(page, overwrite=True)
        assert printed.read_text() == content


def test_places_of_browsers(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    place = tmp_path / "Chrome"
    monkeypatch.setattr(pdf_file, "_PLACES", (str(tmp_path / "none"), str(place)))
    assert pdf_file.find_browser() is None
    place.write_text("")
    assert pdf_file.find_browser() == place
