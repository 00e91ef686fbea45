"""ivimkit demo: files, tables, and that it can be run again."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

from ivimkit import io, report
from ivimkit.cli import app
from ivimkit.cli.jobs import demo_run, plot_files
from ivimkit.cli.jobs.demo_run import METHODS
from ivimkit.report import Report
from text_pages import blank_figures

SMALL, SMALLEST = ("--shape", "48,36,1"), ("--shape", "24,18,1")


@pytest.fixture(scope="module")
def drawn():
    """Pictures are named, not painted: that is what takes the time of a demo."""

    def save_all(figures, dpi, folder):
        for name in figures:
            (folder / name).write_bytes(b"\x89PNG")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plot_files, "_save_all", save_all)
        blank_figures(patch)
        patch.setattr(Report, "html", "<!doctype html>")
        yield


@pytest.fixture(scope="module")
def demo(drawn, tmp_path_factory):
    """The folder of a demo, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    result = CliRunner().invoke(app, ["demo", "--out", str(folder), *SMALL])
    assert result.exit_code == 0, result.stderr
    return folder, result.stdout


def test_files(demo):
    folder, _ = demo
    assert (folder / "phantom" / "true_D.nii.gz").exists()
    for method in METHODS:
        fitted = io.load_result(folder / method)
        assert fitted.method.name == method
        assert fitted.settings.call.startswith("ivimkit demo")
        assert (folder / method / "figures" / "maps.png").exists()
    assert (folder / "report.html").read_text() == "<!doctype html>"
    for name in ("comparison", "histograms", "lesion", "voxel_lesion", "voxel_liver"):
        assert (folder / "figures" / f"{name}.png").exists()


def test_tables(demo):
    folder, text = demo
    errors = pd.read_csv(folder / "errors.csv", index_col=["tissue", "map", "method"])
    bias = errors.loc[("liver", "D", "varpro"), "bias"]
    assert abs(bias) < 0.1e-3
    assert set(METHODS) == set(errors.index.unique("method"))
    lesion = pd.read_csv(folder / "lesion.csv", index_col=["method", "map"])
    assert lesion.loc[("varpro", "D"), "ratio"] < 0.9
    for name in ("errors.csv", "lesion.csv"):
        numbers = re.findall(r"-?[\d.]+(?:e-?\d+)?", (folder / name).read_text())
        assert max(len(re.sub(r"e.*|\D", "", number).lstrip("0")) for number in numbers) <= 5
    lines = text.splitlines()
    # What to do next stands before the tables, which are longer than a screen.
    first = next(k for k, line in enumerate(lines) if line.endswith("report.html"))
    assert lines[first].startswith("start with ")
    assert first < 12
    assert sum(line.startswith("liver ") for line in lines) == 3
    assert any(line.startswith("ADC (10⁻³ mm²/s)  loglinear") for line in lines)
    assert any(line.startswith("D (10⁻³ mm²/s)    truth") for line in lines)
    ratio = lesion.loc[("varpro", "f"), "ratio"]
    assert f"{ratio:#.3g}".rstrip(".") in text
    # A pipe gets sentences whole.
    whole = ("sep", "varpro: ADC")
    tables = [line for line in lines if str(folder) not in line and not line.startswith(whole)]
    assert max(map(len, tables)) <= 80


def test_lesion_stands_out_in_D_more_than_in_ADC(demo):
    folder, _ = demo
    lesion = pd.read_csv(folder / "lesion.csv", index_col=["method", "map"])["ratio"]
    assert lesion["varpro", "D"] < lesion["varpro", "ADC"] < 1.0
    assert lesion["varpro", "f"] > 1.0


@pytest.fixture
def plain(monkeypatch):
    """Demos without pictures and with a page of nothing, for what becomes of their folder."""
    monkeypatch.setattr(demo_run, "draw_result", lambda *_: {})
    monkeypatch.setattr(demo_run.DemoRun, "_draw", lambda *_: None)
    monkeypatch.setattr(report, "build", lambda *_, **__: Report("T", "", []))


def test_again(run, demo, plain):
    folder, _ = demo
    run("demo", "--out", folder, *SMALLEST, "--seed", "1", "--snr", "30", "-q")
    settings = json.loads((folder / "phantom" / "phantom.json").read_text())
    assert (settings["seed"], settings["snr"]) == (1, 30.0)
    assert io.load_result(folder / "varpro").shape == (24, 18, 1)


def test_folder_of_something_else(run, tmp_path, plain, monkeypatch):
    (tmp_path / "mine.txt").write_text("mine")
    result = run("demo", "--out", tmp_path, *SMALL, code=2)
    assert "holds files that are not of a demo" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    # The time of the compiler is told apart from that of the fit.
    monkeypatch.setattr(demo_run, "_NOTICEABLE", 0.0)
    text = run("demo", "--out", tmp_path, *SMALLEST, "--overwrite").stdout
    assert "varpro: compiled in 0 s; later runs find the code on disk" in text
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "errors.csv").exists()


def test_folder_is_a_file(run, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("demo", "--out", tmp_path / "file", code=2)
    assert "is a file; expected a folder" in result.stderr
