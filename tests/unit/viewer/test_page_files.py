"""The page as it was built: complete, with its licences, and nothing from elsewhere."""

import re
from pathlib import Path

import pytest

import ivimkit.viewer
from ivimkit.errors import PageMissingError
from ivimkit.viewer import page_files


@pytest.fixture
def built(monkeypatch):
    """The files of the page."""
    home = Path(ivimkit.viewer.__file__).parent / "static"
    monkeypatch.setattr(page_files, "folder", lambda: home)
    try:
        return page_files.page_files()
    except PageMissingError as error:
        pytest.skip(str(error))


def test_all_that_the_page_names_is_there(built):
    page = built["index.html"].read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page)
    assert any(name.endswith(".js") for name in named)
    for name in named:
        assert name.removeprefix("./") in built


def test_no_inline_script_or_style_that_the_policy_would_stop(built):
    page = built["index.html"].read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*src=)", page)
    assert "<style" not in page
    assert not re.search(r"\s(style|on\w+)=", page)


def test_the_licences_of_what_is_in_it_come_along(built):
    licences = built["licenses.md"].read_text(encoding="utf-8")
    for name in ("@niivue/niivue", "gl-matrix", "nifti-reader-js", "fflate"):
        assert f"## {name} - " in licences
    text = built["niivue-license.txt"].read_text(encoding="utf-8")
    assert "BSD 2-Clause License" in text
    assert "IN NO EVENT SHALL THE COPYRIGHT HOLDER" in text


def test_neither_sources_nor_packages_are_among_the_files(built):
    assert not [name for name in built if name.endswith(".ts") or "node_modules" in name]


def test_a_page_that_was_not_built_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(page_files, "folder", lambda: tmp_path)
    with pytest.raises(PageMissingError, match=r"npmjs\.org, which could not be reached"):
        page_files.page_files()
