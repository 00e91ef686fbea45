"""Where output goes is checked before the work, in every command that writes."""

from __future__ import annotations

import shutil

import pytest

from ivimkit.cli.options.output_folders import check_writable
from ivimkit.errors import InputError, OutputExistsError


@pytest.fixture
def result(run, folder):
    """A result to report on."""
    run("fit", folder / "dwi.nii.gz", "--out", folder / "fit", "--no-figures", "-q")
    return folder / "fit"


def no_work(*args, **kwargs):
    raise AssertionError("the work was begun")


COMMANDS = {
    "fit": ("ivimkit.io.load", ("fit", "{scan}", "--out", "{out}")),
    "compare": ("ivimkit.io.load", ("compare", "{scan}", "--out", "{out}")),
    "simulate": ("ivimkit.simulate.phantom", ("simulate", "--out", "{out}")),
    "report": ("ivimkit.io.load_result", ("report", "{result}", "--out", "{out}/page.html")),
    "plot": ("ivimkit.io.load_result", ("plot", "{result}", "--out", "{out}")),
    "roi": (
        "ivimkit.io.load_result",
        ("roi", "{result}", "--labels", "{labels}", "--out", "{out}/t.csv"),
    ),
    "repeat": (
        "ivimkit.io.load_result",
        ("repeat", "{result}", "{result}", "--out", "{out}/t.csv"),
    ),
    "repeat_figure": (
        "ivimkit.io.load_result",
        ("repeat", "{result}", "{result}", "--figure", "{out}/t.png"),
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_below_a_file_or_where_nothing_can_be_written(run, folder, result, monkeypatch, name):
    work, command = COMMANDS[name]
    (folder / "file").write_text("mine")
    before = sorted(folder.rglob("*"))
    monkeypatch.setattr(work, no_work)
    for out, reason in [
        (folder / "file" / "sub", "file is a file; expected a folder"),
        ("/proc/x/y", "expected a folder with enough space and the right to write"),
        (folder / ("x" * 300), "File name too long"),
    ]:
        words = [
            word.format(
                scan=folder / "dwi.nii.gz",
                labels=folder / "labels.nii.gz",
                result=result,
                out=out,
            )
            for word in command
        ]
        error = run(*words, code=2).stderr.replace("\n", " ")
        assert f"cannot write to {out}" in error or "cannot write to" in error
        assert reason in error
    assert sorted(folder.rglob("*")) == before
    assert (folder / "file").read_text() == "mine"


@pytest.mark.parametrize("command", ["fit", "compare"])
def test_a_batch_is_checked_as_a_whole(run, folder, monkeypatch, command):
    scans = []
    for subject in ("a", "b"):
        (folder / subject).mkdir()
        for name in ("dwi.nii.gz", "dwi.bval"):
            shutil.copy(folder / name, folder / subject / name)
        scans.append(folder / subject / "dwi.nii.gz")
    ending = "ivim" if command == "fit" else "comparison"
    monkeypatch.setattr("ivimkit.io.load", no_work)
    (folder / "b" / f"dwi_{ending}").write_text("mine")
    error = run(command, *scans, code=2).stderr
    assert f"dwi_{ending} is a file; expected a folder" in error
    (folder / "b" / f"dwi_{ending}").unlink()
    (folder / "b" / f"dwi_{ending}").mkdir()
    (folder / "b" / f"dwi_{ending}" / "figures").write_text("mine")
    assert "figures is a file; expected a folder" in run(command, *scans, code=2).stderr
    record = "fit.json" if command == "fit" else "comparison.json"
    (folder / "b" / f"dwi_{ending}" / record).write_text("{}")
    error = run(command, *scans, "--no-figures", code=2).stderr
    assert "already contains results" in error
    assert not (folder / "a" / f"dwi_{ending}").exists()


def test_the_check_leaves_nothing(tmp_path):
    check_writable(tmp_path / "new" / "newer")
    (tmp_path / "there").mkdir()
    check_writable(tmp_path / "there")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputExistsError, match="file is a file; expected a folder"):
        check_writable(tmp_path / "file")
    with pytest.raises(InputError, match="cannot write to"):
        check_writable(tmp_path / ("x" * 300))
