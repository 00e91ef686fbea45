"""Fixtures of the command-line tests: a small phantom on disk, and a way to run commands."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from ivimkit import io, report, simulate
from ivimkit.cli import app
from text_pages import blank_figures


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def text_only(monkeypatch):
    """Make reports with figures that show nothing, as only their text is looked at."""
    blank_figures(monkeypatch)


@pytest.fixture
def plain_figures(monkeypatch):
    """Make figures of fits that show nothing, as only their files are looked at."""
    for name in report.__all__:
        if name.endswith("_panels") or name in ("histograms", "compare_methods", "voxel_plot"):
            monkeypatch.setattr(report, name, lambda *_, **__: Figure(figsize=(1, 1)))


@pytest.fixture
def run():
    """Return a function that runs a command in this process and checks its exit code.

    ivimkit check does not look for motion unless it is asked to: that takes most of its time.
    """

    def _run(*args, code=0, motion=False):
        words = [str(arg) for arg in args]
        if words[:1] == ["check"] and not motion and not {"--motion", "--no-motion"} & {*words}:
            words.append("--no-motion")
        result = CliRunner().invoke(app, words)
        shown = f"{result.stdout}\n{result.stderr}"
        assert result.exit_code == code, f"exit code {result.exit_code}: {shown}"
        return result

    return _run


@pytest.fixture(scope="session")
def made():
    """A small abdomen with thirteen b-values."""
    return simulate.phantom(shape=(24, 18, 2))


@pytest.fixture(scope="session")
def phantom_folder(made, tmp_path_factory):
    """The small abdomen as files."""
    folder = tmp_path_factory.mktemp("phantom")
    geometry = made.dwi.geometry
    io.save_scan(made.dwi, folder / "dwi.nii.gz")
    io.save_map(made.dwi.mask.astype(np.uint8), folder / "mask.nii.gz", geometry)
    io.save_map(made.labels, folder / "labels.nii.gz", geometry)
    return folder


@pytest.fixture
def folder(phantom_folder, tmp_path):
    """A copy of the phantom's folder that a test may write into."""
    target = tmp_path / "data"
    shutil.copytree(phantom_folder, target)
    return target


@pytest.fixture
def scan(folder):
    """The phantom's scan."""
    return folder / "dwi.nii.gz"


@pytest.fixture
def fit(run, folder):
    """Return a function that fits the phantom with some options and loads the result."""

    def _fit(*args, scan=folder / "dwi.nii.gz", out=folder / "out"):
        run("fit", scan, "--out", out, "--no-figures", "--quiet", "--overwrite", *args)
        return io.load_result(out)

    return _fit


def _run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="session")
def fitted_once(phantom_folder, tmp_path_factory):
    """Results of the phantom inside its mask by two methods, to be copied: see `placed`."""
    home = tmp_path_factory.mktemp("fitted")
    words = ("fit", phantom_folder / "dwi.nii.gz", "--mask", phantom_folder / "mask.nii.gz")
    for name, method in (("dwi_ivim", "varpro"), ("other", "segmented")):
        _run(*words, "--method", method, "--out", home / name, "--no-figures", "-q")
    return home


@pytest.fixture(scope="session")
def usual_once(phantom_folder, tmp_path_factory):
    """The folder of a fit of all voxels of the phantom without any option."""
    out = tmp_path_factory.mktemp("usual") / "out"
    _run("fit", phantom_folder / "dwi.nii.gz", "--out", out, "--no-figures", "-q")
    return out


@pytest.fixture
def usual(usual_once):
    """That fit."""
    return io.load_result(usual_once)


@pytest.fixture
def placed(fitted_once, phantom_folder, folder):
    """Return a function that puts one of these results beside the scan, as if made there."""

    def _placed(name, out):
        shutil.copytree(fitted_once / name, out)
        record = (out / "fit.json").read_text(encoding="utf-8")
        for old, new in ((fitted_once / name, out), (phantom_folder, folder)):
            record = record.replace(str(old), str(new))
        (out / "fit.json").write_text(record, encoding="utf-8")
        return out

    return _placed


@pytest.fixture
def result(placed, folder):
    """The folder of a fit of the phantom by varpro, that a test may write into."""
    return placed("dwi_ivim", folder / "dwi_ivim")


@pytest.fixture
def other(placed, folder):
    """The folder of its fit by segmented."""
    return placed("other", folder / "other")
