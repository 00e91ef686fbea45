"""Fixtures of all examples: what they open in a browser is served, but nobody waits for it."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from ivimkit.errors import PageMissingError
from ivimkit.viewer import Viewer, page_files


@pytest.fixture(scope="session")
def _stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("page")
    (home / page_files.INDEX).write_text("<!doctype html><title>page</title>")
    return home


@pytest.fixture(autouse=True)
def _nobody_looks(monkeypatch: pytest.MonkeyPatch, _stand_in: Path) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: True)
    monkeypatch.setattr(Viewer, "wait", Viewer.close)
    try:
        page_files.page_files()
    except PageMissingError:
        monkeypatch.setattr(page_files, "folder", lambda: _stand_in)
