"""Progress in a notebook: one line, only for long work, and none if it is not wanted."""

from __future__ import annotations

import logging
import re
import sys
import types

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.fitting import notebook_progress
from ivimkit.fitting.notebook_progress import NotebookLine, in_notebook

B = np.array([0, 10, 20, 40, 60, 100, 200, 400, 800.0])
SIGNAL = 1000 * np.exp(-np.outer(np.full(40, 1e-3), B))


class Display:
    """What IPython.display does: one output for each call of display, updated by its handle."""

    def __init__(self):
        self.outputs = []

    def display(self, what, display_id=None):
        assert display_id is True
        self.outputs.append([what._repr_html_()])
        return types.SimpleNamespace(
            update=lambda new, own=self.outputs[-1]: own.append(new._repr_html_())
        )


@pytest.fixture
def notebook(monkeypatch):
    """A notebook without widgets."""
    shown = Display()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = shown.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shown


@pytest.fixture
def long(monkeypatch):
    """Let all work count as long."""
    monkeypatch.setattr(notebook_progress, "_SECONDS_BEFORE", 0.0)
    monkeypatch.setattr(notebook_progress, "_SECONDS_BETWEEN", 0.0)


def test_a_long_fit_has_one_line(notebook, long):
    ik.fit(SIGNAL, B, model="monoexp", method="loglinear")
    [texts] = notebook.outputs
    assert "<progress" in texts[0]
    assert "40 of 40 voxels" in "".join(texts)
    assert re.fullmatch(r"<div>\d+ s</div>", texts[-1])


def test_a_comparison_and_steps_have_one_each(notebook, long):
    ik.compare(SIGNAL, B, models=["monoexp", "sivim"], method="varpro", criterion="aicc")
    ik.preprocess(ik.simulate.phantom(shape=(16, 12, 1)).dwi, "mask:kind=body")
    assert len(notebook.outputs) <= 2
    assert "100%" in "".join(notebook.outputs[0])


def test_a_short_fit_is_silent(notebook):
    ik.fit(SIGNAL, B, model="monoexp", method="loglinear")
    assert notebook.outputs == []


def test_it_can_be_switched_off(notebook, long):
    ik.fit(SIGNAL, B, model="monoexp", method="loglinear", progress=False)
    ik.compare(SIGNAL, B, models=["monoexp", "sivim"], progress=False)
    reports = []
    ik.fit(
        SIGNAL, B, model="monoexp", method="loglinear", progress=lambda *done: reports.append(done)
    )
    assert notebook.outputs == []
    assert reports[-1] == (40, 40)


def test_what_takes_long_before_the_first_voxel_is_said(notebook):
    with notebook_progress.shown_in_notebook("voxels"):
        logging.getLogger("ivimkit").info("learning")
        assert notebook.outputs == []
        logging.getLogger("ivimkit").warning("compiling <once>")
    assert notebook.outputs[0][0] == "<div>compiling &lt;once&gt;</div>"
    assert len(logging.getLogger("ivimkit").handlers) == 0 or not any(
        isinstance(one, notebook_progress._Waits) for one in logging.getLogger("ivimkit").handlers
    )


def test_the_line_is_updated_now_and_then_and_says_what_is_left(notebook):
    now = [0.0]
    line = NotebookLine("voxels", clock=lambda: now[0])
    for step in range(101):
        now[0] = 0.1 * step
        line(step * 1000, 100_000)
    line.end()
    [texts] = notebook.outputs
    assert len(texts) <= 10.0 / 0.25
    assert "50 000 of 100 000 voxels" in "".join(texts).replace("\u202f", " ").replace(
        "\u2009", " "
    )
    assert "s left" in texts[0]
    assert repr(line) == "10 s"


def test_a_terminal_is_no_notebook(monkeypatch):
    assert not in_notebook()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not in_notebook()
