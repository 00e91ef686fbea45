"""A save over an earlier result, stopped at every step: the old result or the new one, whole."""

import itertools
import os
import shutil
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import InputError, OutputExistsError
from ivimkit.io.result_files import result_folder
from ivimkit.writing import Files, finish, folder, write_folder
from ivimkit.writing.lock import locked
from made_results import biexp_maps, made_result

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and locks are those of POSIX")

SHAPE = (3, 2, 1)
# The model with the fewest maps: every file is several steps.
MAPS = ("S0", "ADC")
# Everything that changes a folder; what they touch outside of it does not count.
STEPS = ("rename", "replace", "mkdir", "unlink", "rmdir")


def saved(out, scale, pictures):
    maps = {name: scale * values for name, values in biexp_maps(SHAPE).items() if name in MAPS}

    def draw(stage):
        for name in pictures:
            (stage / name).write_text(f"picture of {scale}")

    def store(stage):
        # As many files as there happen to be.
        (stage / "store").mkdir()
        for number in range(int(scale)):
            (stage / "store" / f"{number}.txt").write_text(f"part of {scale}")

    result_folder(made_result(maps, model="monoexp")).save(
        out,
        Files(pictures, draw),
        Files(["store"], store, folders=["store"]),
        overwrite=True,
    )


def old(out):
    saved(out, 1.0, ["figures/maps.png", "figures/status.png", "figures/uncertainty.png"])
    (out / "report.html").write_text("page on 1.0")
    (out / "figures" / "notes.png").write_text("mine")
    (out / "notes.txt").write_text("mine")


def new(out):
    saved(out, 2.0, ["figures/maps.png", "figures/status.png"])


def scale_of(out):
    """Return the factor of the maps that a reader finds."""
    return float(ik.load_result(out).maps["S0"].ravel()[0] / 500)


def files_in(out):
    """Return all files with what they contain, the date of the fit apart."""
    files = {
        str(path.relative_to(out)): b"" if path.suffix == ".json" else path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
    assert not [name for name in files if ".partial-" in name and "partial" not in str(out)]
    return files


def content(out):
    """Return what a reader finds; and that is all there is."""
    return scale_of(out), files_in(out)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """The folder of the old result, and what there is before and after."""
    home = tmp_path_factory.mktemp("states") / "out"
    old(home)
    template = shutil.copytree(home, home.with_name("template"))
    before = content(home)
    new(home)
    after = content(home)
    assert before[0] == 1.0
    assert after[0] == 2.0
    assert "figures/uncertainty.png" not in after[1]
    assert "report.html" not in after[1]
    assert before[1]["store/0.txt"] == b"part of 1.0"
    assert after[1]["store/1.txt"] == b"part of 2.0"
    assert after[1]["figures/maps.png"] == b"picture of 2.0"
    assert {after[1]["notes.txt"], after[1]["figures/notes.png"]} == {b"mine"}
    return template, before, after


@contextmanager
def stepping(stop):
    """Call `stop` with their number before all steps that change a folder."""
    steps = itertools.count(1)

    def stepped(real):
        def step(*args, **kwargs):
            stop(next(steps))
            real(*args, **kwargs)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, stepped(getattr(os, name)))
        yield


def child(out, stop):
    """Save in a process of its own; `stop` is called before each step. Return how it ended."""
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1]
    try:
        with stepping(stop):
            new(out)
    finally:
        os._exit(99)


def n_steps(template, out):
    steps = []
    shutil.copytree(template, out)
    with stepping(steps.append):
        new(out)
    shutil.rmtree(out)
    return len(steps)


def test_a_kill_at_every_step(states, tmp_path):
    """What a kill would leave is what is there at that moment."""
    template, before, done = states
    place, left = tmp_path / "place", []
    shutil.copytree(template, place / "out")
    copying = False

    def copy(step):
        nonlocal copying
        if not copying:
            copying = True
            left.append(shutil.copytree(place, tmp_path / str(step)) / "out")
            copying = False

    with stepping(copy):
        new(place / "out")
    found = []
    for out in left:
        # The dead stage may be there still, which only a writer removes.
        found.append(scale_of(out))
        folder._clear(out)
        assert files_in(out) == (before if found[-1] == 1.0 else done)[1]
    # The journal decides, and nothing else.
    assert found == sorted(found)
    assert set(found) == {1.0, 2.0}


@pytest.fixture
def interrupts():
    """Signals raise KeyboardInterrupt, as in a command."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    known = [signal.signal(number, signal.default_int_handler) for number in numbers]
    yield
    for number, handler in zip(numbers, known, strict=True):
        signal.signal(number, handler)


def test_a_signal_at_every_step(states, tmp_path, interrupts):
    template, before, done = states
    out = tmp_path / "out"
    kinds = [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]]
    for n in range(1, n_steps(template, out) + 1):
        shutil.copytree(template, out)
        numbers = kinds[n % len(kinds)]

        def send(step, n=n, numbers=numbers):
            if n <= step < n + len(numbers):
                os.kill(os.getpid(), numbers[step - n])

        # None is lost: the process ends as interrupted, and leaves nothing.
        with pytest.raises(KeyboardInterrupt), stepping(send):
            new(out)
        assert content(out) in (before, done)
        shutil.rmtree(out)


def killed_halfway(template, out):
    """Leave an exchange with some files moved, and its stage."""
    shutil.copytree(template, out)

    def kill(step):
        if (out / ".ivimkit-exchange.json").exists() and not (out / "fit.json").exists():
            os.kill(os.getpid(), signal.SIGKILL)

    status = child(out, kill)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert len([path for path in out.iterdir() if ".partial-" in path.name]) == 1


def test_a_reader_who_may_not_write_finds_the_new_result(states, tmp_path, monkeypatch):
    template, _, (_, files) = states
    killed_halfway(template, tmp_path / "out")

    def refused(*args):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refused)
        patch.setattr(Path, "unlink", refused)
        assert ik.load_result(tmp_path / "out").maps["ADC"].ravel()[0] == np.float32(1.5e-3)
    assert content(tmp_path / "out") == (2.0, files)


def test_a_check_before_a_fit_finds_the_new_result(states, tmp_path):
    template = states[0]
    killed_halfway(template, tmp_path / "out")
    with pytest.raises(OutputExistsError, match="already contains results"):
        ik.io.check_output(tmp_path / "out")


@pytest.mark.parametrize(
    "journal",
    [
        "",
        "{",
        '{"stage": ".out.partial-1", "names": ["../mine.txt"], "outdated": []}',
        '{"stage": ".out.partial-1", "names": [], "outdated": ["/etc/x"]}',
        '{"stage": "mine", "names": ["a"], "outdated": []}',
        '{"stage": 1, "names": ["a"], "outdated": []}',
        '{"stage": ".out.partial-1", "names": [1], "outdated": []}',
        "[" * 100_000,
    ],
)
def test_a_journal_that_is_none(tmp_path, journal):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    (out / ".ivimkit-exchange.json").write_text(journal)
    write_folder(out, ["a.txt"], lambda stage: (stage / "a.txt").write_text("new"))
    assert [path.name for path in out.iterdir()] == ["a.txt"]
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_what_a_kill_left_is_cleared_and_what_lives_is_not(tmp_path):
    out = tmp_path / "out"
    for parent in (tmp_path, out):
        (parent / ".out.partial-00000000" / "new").mkdir(parents=True)
        (parent / ".other.partial-00000000").mkdir()

    def write(stage):
        # Another process clears up while this one is alive.
        folder._clear(out)
        (stage / "a.txt").write_text("new")

    write_folder(out, ["a.txt"], write)
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == [".other.partial-00000000", ".other.partial-00000000", "a.txt", "out"]


def test_of_two_writers_one_wins_whole_and_the_other_is_told(tmp_path):
    both, told = threading.Barrier(2), []

    def save(letter):
        def write(stage):
            for name in ("a.txt", "b.txt"):
                (stage / name).write_text(letter)
            both.wait()

        try:
            write_folder(tmp_path / "out", ["a.txt", "b.txt"], write)
        except OutputExistsError as error:
            told.append(str(error))

    # First a folder that is not there yet, then one that is.
    for n in range(20):
        threads = [threading.Thread(target=save, args=(letter,)) for letter in "xy"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        a, b = ((tmp_path / "out" / name).read_text() for name in ("a.txt", "b.txt"))
        assert a == b
        assert len(told) == n + 1
        assert "another process has written b.txt to" in told[-1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt"]


def test_two_writers_of_different_files_do_not_meet(tmp_path):
    both = threading.Barrier(2)

    def save(name):
        def write(stage):
            (stage / name).write_text(name)
            both.wait()

        write_folder(tmp_path / "out", [name], write)

    for names in (("a.txt", "b.txt"), ("c.txt", "d.txt")):
        threads = [threading.Thread(target=save, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("a.txt", "b.txt", "c.txt", "d.txt")
    ]


def test_pairs_of_processes_never_mix(states, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(states[0], out)
    for _ in range(5):
        pair = []
        for scale in (1.0, 2.0):
            process = os.fork()
            if not process:
                code = 1
                try:
                    saved(out, scale, ["figures/maps.png"])
                    code = 0
                except InputError:
                    code = 2
                finally:
                    os._exit(code)
            pair.append(process)
        codes = sorted(os.WEXITSTATUS(os.waitpid(process, 0)[1]) for process in pair)
        assert codes in ([0, 0], [0, 2])
        result = ik.load_result(out)
        scale = result.maps["S0"].ravel()[0] / 500
        assert result.maps["ADC"].ravel()[0] == np.float32(0.75e-3 * scale)
        assert (out / "figures" / "maps.png").read_text() == f"picture of {scale}"


def test_a_writer_that_never_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("ivimkit.writing.lock._PATIENCE", 0.01)
    with (
        locked(tmp_path),
        pytest.raises(InputError, match=r"another process is writing to .* Wait for it to end"),
    ):
        write_folder(tmp_path, ["a.txt"], lambda stage: (stage / "a.txt").write_text(""))
    assert not list(tmp_path.iterdir())


def test_without_locks_files_are_written_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("ivimkit.writing.lock._locks", lambda: None)
    for text in ("old", "new"):
        write_folder(
            tmp_path, ["a.txt"], lambda stage, text=text: (stage / "a.txt").write_text(text)
        )
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_an_undo_that_fails_is_finished_later(tmp_path, monkeypatch):
    names = ["a.txt", "b.txt"]

    def write(text):
        return lambda stage: [(stage / name).write_text(text) for name in names]

    write_folder(tmp_path, names, write("old"))
    replace, calls = Path.replace, []

    def failing(self, target):
        calls.append(target)
        if len(calls) > 3:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        with pytest.raises(InputError, match="Input/output error"):
            write_folder(tmp_path, names, write("new"))
    finish(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        names, "new"
    )
