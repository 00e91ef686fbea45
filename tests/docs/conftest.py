"""Fixtures of all examples: what they open in a browser is served, but nobody waits for it."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest

import ivimkit as ik
from ivimkit.datasets import DataSet, Fetched
from ivimkit.errors import PageMissingError
from ivimkit.viewer import Viewer, page_files
from ivimkit.viewer.server import Server


@pytest.fixture(scope="session")
def _stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("page")
    (home / page_files.INDEX).write_text("<!doctype html><title>page</title>")
    return home


@pytest.fixture(autouse=True)
def _nobody_looks(monkeypatch: pytest.MonkeyPatch, _stand_in: Path) -> Iterator[None]:
    started: list[Server] = []
    start = Server.start

    def note_and_start(server: Server) -> None:
        started.append(server)
        start(server)

    monkeypatch.setattr(Server, "start", note_and_start)
    monkeypatch.setattr(webbrowser, "open", lambda url: True)
    monkeypatch.setattr(Viewer, "wait", lambda viewer, *_: viewer.close())
    try:
        page_files.page_files()
    except PageMissingError:
        monkeypatch.setattr(page_files, "folder", lambda: _stand_in)
    yield
    # A reader ends the session; here the threads would live on in the tests that follow.
    for server in started:
        server.stop()


@pytest.fixture(autouse=True)
def _nobody_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let a small phantom stand in for every public scan."""

    def stand_in(data_set: DataSet, out: Path | None, *_: object) -> Fetched:
        found = Fetched(data_set, out or tmp_path / "cache" / data_set.name)
        made = ik.simulate.phantom(shape=(24, 18, 1))
        ik.io.save_scan(made.dwi, found.scan, overwrite=True)
        if found.mask is not None:
            mask = made.dwi.mask.astype("uint8")
            ik.io.save_map(mask, found.mask, made.dwi.geometry, overwrite=True)
        return found

    monkeypatch.setattr(ik.datasets, "fetched", stand_in)
