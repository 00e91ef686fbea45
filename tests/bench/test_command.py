"""Every option of the command line does something."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as all_of_them
from benchmarks.command import add_options, forwarded, run_alone
from benchmarks.figure import Figure


def test_voxels_full_and_out(figure: Figure, tmp_path: Path) -> None:
    found = []
    for words in ([], ["--full"], ["--voxels", "7"]):
        run_alone(figure, [*words, "--out", str(tmp_path / "out")])
        record = json.loads((tmp_path / "out" / "made.json").read_text())
        found.append(record["tables"][0]["rows"][0][1])
    assert found == [10, 20, 7]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "made-picture.png",
        "made.json",
        "made.md",
    ]
    assert "![Points of D\\*.](made-picture.png)" in (tmp_path / "out" / "made.md").read_text()


def test_compare_reads_the_file_before_it_is_overwritten(
    figure: Figure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_alone(figure, ["--out", str(tmp_path)])
    words = ["--voxels", "30", "--out", str(tmp_path), "--compare", str(tmp_path / "made.json")]
    capsys.readouterr()
    run_alone(figure, words)
    shown = capsys.readouterr().out
    assert "Made up: ratios to the run of" in shown
    assert "3.00" in shown
    assert "the settings differ" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--voxels", "0"], "--voxels is 0; expected a number >= 1"),
        (["--compare", "nowhere.json"], "there is no nowhere.json; expected NAME.json"),
    ],
)
def test_wrong_options_are_told(
    words: list[str],
    told: str,
    figure: Figure,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run_alone(figure, [*words, "--out", str(tmp_path)])
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_figure_is_told(
    record: dict[str, Any], figure: Figure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.json"
    file.write_text(json.dumps({**record, "name": "other"}))
    with pytest.raises(SystemExit, match="2"):
        run_alone(figure, ["--compare", str(file)])
    assert "has no made; it has other" in capsys.readouterr().err


def test_options_are_forwarded(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    words = ["--out", "o", "--voxels", "3", "--compare", str(tmp_path / "old"), "--full"]
    assert forwarded(parser.parse_args(words)) == words


def run_main(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """Return the names of the figures that would be measured."""
    ran: list[str] = []

    def write_down(figure: Figure, _: list[str]) -> bool:
        ran.append(figure.name)
        return True

    monkeypatch.setattr(all_of_them, "_run", write_down)
    monkeypatch.setattr("sys.argv", ["benchmarks", *words])
    assert all_of_them.main() == 0
    return ran


def test_without_names_the_figures_of_the_earlier_run_are_measured(
    record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("peers", "exact"):
        (tmp_path / f"{name}.json").write_text(json.dumps({**record, "name": name}))
    assert run_main(monkeypatch, "--compare", str(tmp_path)) == ["peers", "exact"]
    assert run_main(monkeypatch, "--compare", str(tmp_path / "exact.json")) == ["exact"]
    assert run_main(monkeypatch, "--compare", str(tmp_path), "peers") == ["peers"]
    assert run_main(monkeypatch)[0] == "peers"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nothing",), "there is no benchmark 'nothing'; expected one of peers, optimum"),
        (("--compare", "nowhere"), "there is no nowhere; expected NAME.json"),
        (("--compare", "FILE"), "has no known figure; it has made"),
        (("--compare", "FILE", "exact"), "has no exact; it has made"),
    ],
)
def test_wrong_names_and_files_are_told_before_anything_runs(
    words: tuple[str, ...],
    told: str,
    record: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "made.json"
    file.write_text(json.dumps(record))
    with pytest.raises(SystemExit, match="2"):
        run_main(monkeypatch, *(str(file) if word == "FILE" else word for word in words))
    assert told in capsys.readouterr().err
