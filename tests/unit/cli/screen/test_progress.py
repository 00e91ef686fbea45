"""Progress: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
from io import StringIO
from types import SimpleNamespace

import numba
import pytest
from rich.console import Console

from ivimkit.cli.screen import progress
from ivimkit.cli.screen.progress import PlainLines, progress_shown, reading_shown
from ivimkit.engine import waiting


def _clock(monkeypatch, *times: float) -> None:
    now = iter(times)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(now)))


def test_plain_lines_come_at_intervals_and_at_the_end(monkeypatch):
    _clock(monkeypatch, 0.0, 1.0, 6.0, 7.0, 8.0)
    lines: list[str] = []
    report = PlainLines(lines.append, seconds=5.0)
    for done in (1000, 6000, 7000, 10000):
        report(done, 10000)
    assert lines == [
        " 60%  6\u202f000 of 10\u202f000 voxels, 1\u202f000/s, 4 s left",
        "100%  10\u202f000 of 10\u202f000 voxels, 1\u202f286/s, 0 s left",
    ]


def test_time_left_is_counted_from_the_first_voxels_after_compiling(monkeypatch):
    """90 s of compiling before the first 1000 voxels; then 1000 in a second."""
    _clock(monkeypatch, 0.0, 90.0, 96.0)
    lines: list[str] = []
    report = PlainLines(lines.append, seconds=5.0)
    report(1000, 20_000)
    report(7000, 20_000)
    assert lines == [
        "  5%  1\u202f000 of 20\u202f000 voxels",
        " 35%  7\u202f000 of 20\u202f000 voxels, 1\u202f000/s, 13 s left",
    ]


def test_no_voxel_done_yet(monkeypatch):
    _clock(monkeypatch, 0.0, 6.0)
    lines: list[str] = []
    PlainLines(lines.append, seconds=5.0)(0, 10)
    assert lines == ["  0%  0 of 10 voxels"]


@pytest.mark.parametrize("terminal", [True, False])
def test_waits_are_named_at_once_and_once(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=StringIO(), force_terminal=terminal, width=80)
    log = logging.getLogger("ivimkit")
    before = log.level, log.propagate, list(log.handlers)
    with progress_shown(console, "dwi.nii.gz", 5000, quiet=False):
        waiting.say_learning()
        waiting.say_compiling([numba.njit(lambda x: x)])
        waiting.say_compiling([numba.njit(lambda x: x)])
        text = console.file.getvalue()
    assert text.count("dwi.nii.gz: learning the prior from the scan") == 1
    assert text.count("dwi.nii.gz: compiling for this machine, once; 20 to 40 s") == 1
    assert (log.level, log.propagate, list(log.handlers)) == before


def _shown(*, terminal: bool, quiet: bool = False) -> str:
    console = Console(file=StringIO(), force_terminal=terminal, width=80)
    with progress_shown(console, "dwi.nii.gz", 5000, quiet=quiet) as report:
        report(2500, 5000)
        report(5000, 5000)
    return console.file.getvalue()


def test_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    text = _shown(terminal=True)
    assert "━" in text
    assert "5\u202f000 of 5\u202f000 voxels" in text


def test_bar_is_one_line(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=StringIO(), force_terminal=True, width=80)
    with progress_shown(console, "dwi.nii.gz", 12_345_678, quiet=False) as report:
        report(11_111_111, 12_345_678)
    assert "\r\n" not in console.file.getvalue()
    assert "11\u202f111\u202f111 of 12\u202f345\u202f678 voxels" in console.file.getvalue()


def test_lines_elsewhere():
    text = _shown(terminal=False)
    assert "━" not in text
    assert text.startswith("dwi.nii.gz: 100%  5\u202f000 of 5\u202f000 voxels")


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet(terminal):
    assert _shown(terminal=terminal, quiet=True) == ""


def test_reading_of_dicom_is_shown_on_a_terminal(tmp_path):
    for terminal, path, shown in (
        (True, tmp_path, True),
        (False, tmp_path, False),
        (True, tmp_path / "dwi.nii", False),
    ):
        stream = StringIO()
        console = Console(file=stream, force_terminal=terminal, width=200)
        with reading_shown(console, [path]):
            pass
        assert ("reading DICOM files of" in stream.getvalue()) == shown
