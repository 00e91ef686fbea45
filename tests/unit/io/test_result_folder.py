"""Folders that appear as a whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ivimkit.errors import InputError, OutputExistsError
from ivimkit.io.result_folder import check_free
from ivimkit.writing import write_folder

NAMES = ["a.txt", "b.txt", "last.txt"]


def write(text):
    def _write(folder):
        for name in NAMES:
            (folder / name).write_text(text)

    return _write


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_new_folder(tmp_path):
    target = tmp_path / "some" / "where"
    write_folder(target, NAMES, write("new"))
    assert content(target) == dict.fromkeys(NAMES, "new")
    assert [path.name for path in target.parent.iterdir()] == ["where"]


def test_other_files_and_folders_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "outdated.txt").write_text("old")
    write_folder(tmp_path, NAMES, write("new"), outdated=["outdated.txt", "never there.txt"])
    assert content(tmp_path) == {"notes.txt": "mine", **dict.fromkeys(NAMES, "new")}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("there", [True, False])
def test_an_interruption_while_writing_leaves_nothing(tmp_path, error, there):
    target = tmp_path / "out"
    if there:
        write_folder(target, NAMES, write("old"))

    def interrupted(folder):
        (folder / "a.txt").write_text("half")
        raise error("stop")

    with pytest.raises(error, match="stop"):
        write_folder(target, NAMES, interrupted)
    assert target.exists() == there
    assert not there or content(target) == dict.fromkeys(NAMES, "old")
    assert len(list(tmp_path.iterdir())) == there


@pytest.mark.parametrize("failing", range(7))
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interruption_while_moving_is_undone(tmp_path, monkeypatch, failing, error):
    write_folder(tmp_path, NAMES, write("old"))
    (tmp_path / "outdated.txt").write_text("old")
    before = content(tmp_path)
    replace, calls = Path.replace, []

    def failing_once(self, target):
        calls.append(target)
        if len(calls) == failing + 1:
            raise error("stop")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing_once)
    with pytest.raises((InputError, KeyboardInterrupt), match="stop"):
        write_folder(tmp_path, NAMES, write("new"), outdated=["outdated.txt"])
    assert content(tmp_path) == before


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*out: Not a directory; expected"):
        write_folder(tmp_path / "file" / "out", NAMES, write("new"))


def test_no_space(tmp_path):
    def full(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left on device; expected a folder with enough"):
        write_folder(tmp_path / "out", NAMES, full)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_kept(tmp_path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_text("")
    check_free(tmp_path, ["e"], overwrite=False)
    check_free(tmp_path, ["a"], overwrite=True)
    check_free(tmp_path / "new", ["a"], overwrite=False)
    with pytest.raises(OutputExistsError, match=r"contains results \(a\); expected.*--overwrite"):
        check_free(tmp_path, ["a"], overwrite=False)
    with pytest.raises(OutputExistsError, match=r"\(a, b, c, \.\.\.\)"):
        check_free(tmp_path, ["a", "b", "c", "d"], overwrite=False)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputExistsError, match="out is a file; expected a folder"):
        check_free(tmp_path / "out", [], overwrite=True)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_process_leaves_no_result(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from ivimkit.writing import write_folder\n"
        "def write(folder):\n"
        "    (folder / 'a.txt').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_folder(Path(sys.argv[1]), ['a.txt', 'last.txt'], write)\n"
    )
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "out"], check=False)
    assert run.returncode == -9
    assert not (tmp_path / "out").exists()
    write_folder(tmp_path / "out", NAMES, write("new"))
    assert content(tmp_path / "out") == dict.fromkeys(NAMES, "new")
