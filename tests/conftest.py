"""Fixtures of all tests: real scans, one command line, hypothesis without deadlines."""

import functools
import gc
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.testing
from hypothesis import settings
from matplotlib.figure import Figure
from PIL import Image

from ivimkit.simulate.anatomy import Anatomy, Grid
from lean_axes import with_lean_axes
from slow_files import (  # noqa: F401 - hooks of pytest.
    pytest_addoption,
    pytest_ignore_collect,
    pytest_runtest_logreport,
    pytest_terminal_summary,
)

# The first example of a property test may compile: a deadline would only measure that.
settings.register_profile("ivimkit", deadline=None, derandomize=True)
settings.load_profile("ivimkit")

# Looking for cycles among the objects of numba and matplotlib takes a twentieth of the time.
gc.set_threshold(50_000, 20, 20)


def pytest_collection_finish() -> None:
    """Leave thousands of tests and modules, which stay to the end, out of looking for cycles."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More processes than cores: tests that wait for a browser or a node leave theirs free."""
    return 2 + (os.cpu_count() or 1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scans beside the repository; a user's checkout has none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real scans are not there: no folder {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _one_command_line() -> Iterator[None]:
    """Let runners share the commands: typer makes all of them anew for every call, in 30 ms."""
    with pytest.MonkeyPatch.context() as patch:
        made_once = functools.cache(typer.main.get_command)
        patch.setattr(typer.testing, "_get_command", made_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_here() -> Iterator[None]:
    """Let no other process compile: its core runs other tests."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("run", "chunks"):
            patch.setattr(import_module(f"ivimkit.engine.{place}"), "begin", lambda *_: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _anatomy_painted_once() -> Iterator[None]:
    """Keep the tissues of phantoms of one shape: painting them takes longer than all else."""
    scene = import_module("ivimkit.simulate.scene")
    paint, painted = scene.tissue_fractions, {}

    def fractions(anatomy: Anatomy, grid: Grid, k: int, *, parts: int) -> np.ndarray:
        key = (id(anatomy), grid, k, parts)
        if key not in painted:
            # The anatomy is kept, too, so that no other one gets its identity.
            painted[key] = anatomy, paint(anatomy, grid, k, parts=parts)
        return painted[key][1].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene, "tissue_fractions", fractions)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout: pyproject.toml, docs, src."""
    return Path(__file__).parents[1]


def _blank() -> dict[str, bytes]:
    target = io.BytesIO()
    Image.new("RGB", (1, 1)).save(target, format="png")
    return {"png": target.getvalue(), "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>'}


@dataclass
class Pictures:
    """Whether figures are drawn when they are saved."""

    drawn: bool = False

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw them for a while."""
        before, self.drawn = self.drawn, True
        try:
            yield
        finally:
            self.drawn = before


@pytest.fixture(scope="session", autouse=True)
def pictures() -> Iterator[Pictures]:
    """Save figures as one pixel: they are made as ever, but drawing takes longer than a fit.

    For tests of what surrounds a picture; those in tests/unit/figures look at pictures, and so do
    tests that are marked `drawn`.
    """
    state, blank, draw = Pictures(), _blank(), Figure.savefig

    def save(figure: Figure, target: str | Path | io.BytesIO, **options: Any) -> None:
        if state.drawn:
            draw(figure, target, **options)
        elif isinstance(target, io.BytesIO):
            target.write(blank[str(options.get("format", "png"))])
        else:
            kind = str(options.get("format") or Path(target).suffix[1:])
            Path(target).write_bytes(blank.get(kind, b"%PDF-1.4"))

    plain = import_module("ivimkit.figures.plain_text").PlainFigure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        for name in ("add_axes", "add_subplot"):
            lean = with_lean_axes(getattr(Figure, name), lambda: not state.drawn)
            patch.setattr(plain, name, lean, raising=False)
        yield state


@pytest.fixture
def drawn_pictures(pictures: Pictures) -> Iterator[None]:
    """Draw figures as long as the test runs."""
    with pictures.drawing():
        yield


@pytest.fixture(autouse=True)
def _looks_at_pictures(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("drawn"):
        request.getfixturevalue("drawn_pictures")
