"""Report.write: complete or not at all, and never over what is there."""

from __future__ import annotations

import re

import pytest

from html_page import Page
from ivimkit.errors import InputError, OutputExistsError
from ivimkit.report import Report
from ivimkit.report.section_blocks import Section, Text


@pytest.fixture
def report():
    return Report("Title <b>", "below", [Section("One", "one", [Text("text")])])


def test_written_as_it_is(report, tmp_path):
    path = report.write(tmp_path / "new" / "page.html")
    assert path == tmp_path / "new" / "page.html"
    assert path.read_text(encoding="utf-8") == report.html
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]


def test_the_usual_name(report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert report.write() == tmp_path / "report.html"


def test_nothing_is_replaced_unless_asked_for(report, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(OutputExistsError, match=r"page\.html exists already"):
        report.write(path)
    assert path.read_text() == "mine"
    report.write(path, overwrite=True)
    assert path.read_text(encoding="utf-8") == report.html


def test_a_folder_is_no_page(report, tmp_path):
    with pytest.raises(OutputExistsError, match="is a folder; expected a file"):
        report.write(tmp_path, overwrite=True)


def test_what_cannot_be_written_leaves_nothing(report, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        report.write(tmp_path / "file" / "page.html")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        report.write(tmp_path / "page.html")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_notebook_shows_the_page_in_a_frame(report):
    (frame,) = Page(report._repr_html_()).all("iframe")
    assert frame["title"] == "Title <b>"
    assert frame["srcdoc"] == report.html
    assert "allow-same-origin" not in frame["sandbox"]
    assert not re.search(r"</?b>", report._repr_html_())
