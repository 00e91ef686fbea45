"""Fixtures of all examples: what they open in a browser is served, but nobody waits for it."""

from __future__ import annotations

import hashlib
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from inspect import signature
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import ivimkit as ik
from ivimkit.datasets import DataSet, Fetched
from ivimkit.errors import PageMissingError
from ivimkit.figures.plain_text import PlainFigure
from ivimkit.report import comparison_report, sections
from ivimkit.steps import MotionEstimate, estimate_motion
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


_MOVEMENT = ("transform", "slices", "max_shift_mm", "quick")
"""What decides about an estimate of motion; threads and progress do not."""


@pytest.fixture(scope="session")
def _movements() -> dict[tuple[Any, ...], MotionEstimate]:
    return {}


@pytest.fixture(autouse=True)
def _motion_found_once(
    monkeypatch: pytest.MonkeyPatch, _movements: dict[tuple[Any, ...], MotionEstimate]
) -> None:
    """Keep the movements in a scan: many examples align the same one, and ask about it.

    For one test at a time, as a process runs tests of other folders in between.
    """
    found = _movements

    def estimated(*args: Any, **options: Any) -> MotionEstimate:
        asked = signature(estimate_motion).bind(*args, **options)
        asked.apply_defaults()
        dwi, *said = (asked.arguments[name] for name in ("dwi", *_MOVEMENT))
        parts = (dwi.signal, dwi.mask, dwi.acquisition.bvals, dwi.affine)
        held = [hashlib.sha256(np.ascontiguousarray(one)).digest() for one in parts]
        key = (*said, dwi.signal.shape, *held)
        if key not in found:
            found[key] = estimate_motion(*args, **options)
            for array in (one for one in vars(found[key]).values() if hasattr(one, "setflags")):
                array.setflags(write=False)
        return found[key]

    # All are imported first: one that is imported later would take what stands in for good.
    places = ("steps", "steps.align", "cli.jobs.check_motion")
    for place in [import_module(f"ivimkit.{name}") for name in places]:
        monkeypatch.setattr(place, "estimate_motion", estimated)


@contextmanager
def _without_figures() -> Iterator[None]:
    def empty(*_: object, **__: object) -> Figure:
        return PlainFigure()

    places = [
        import_module(f"{sections.__name__}.{found.name}")
        for found in iter_modules(sections.__path__)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ivimkit.cli.jobs.demo_run.draw_result", lambda *_: {})
        for place in (comparison_report, *places):
            for name, value in list(vars(place).items()):
                if getattr(value, "__annotations__", {}).get("return") == "Figure":
                    patch.setattr(place, name, empty)
        yield


@pytest.fixture(scope="session")
def without_figures() -> Callable[[], AbstractContextManager[None]]:
    """Function that lets reports and the demo have empty figures for a while.

    Each section makes its own otherwise, which takes longer than the fit.
    """
    return _without_figures
