"""Exceptions become sentences and exit codes."""

from __future__ import annotations

import atexit
import gc
import signal
import sys

import pytest
import typer
from typer.testing import CliRunner

from ivimkit.cli.error_guard import (
    GuardedCommand,
    GuardedGroup,
    prepare_process,
)
from ivimkit.cli.options.shared_options import Verbose
from ivimkit.cli.process import interruption
from ivimkit.cli.process.exit_codes import worst
from ivimkit.cli.process.typed_line import command_line
from ivimkit.errors import FileFormatError


def _app(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=GuardedGroup)

    @app.command()
    def other() -> None:
        """Do nothing."""

    @app.command()
    def fail(ctx: typer.Context, word: str = "", verbose: Verbose = False) -> None:
        """Fail, with the command line as the message if there is a word."""
        if word:
            raise FileFormatError(command_line(ctx))
        raise error

    return app


def app_of_words() -> typer.Typer:
    app = typer.Typer(cls=GuardedGroup)

    @app.command(cls=GuardedCommand)
    def say(
        words: list[str] = typer.Argument(default=None),
        word: str = "",
        title: str = typer.Option("", metavar="TEXT"),
        verbose: Verbose = False,
    ) -> None:
        """Do nothing."""

    @app.command()
    def other() -> None:
        """Do nothing."""

    return app


def _failed(error: BaseException, *args: str):
    return CliRunner().invoke(_app(error), ["fail", *args])


def test_input_error():
    result = _failed(FileFormatError("x.nii is 3-D; expected 4-D"))
    assert result.exit_code == 2
    assert result.stderr == "error: x.nii is 3-D; expected 4-D\n"
    assert result.stdout == ""


def test_fault():
    result = _failed(ZeroDivisionError("division by zero"))
    assert result.exit_code == 1
    assert "internal error: ZeroDivisionError: division by zero" in result.stderr
    assert "Please report it" in result.stderr
    assert "Traceback" not in result.stderr


def test_fault_with_traceback():
    result = _failed(ZeroDivisionError("division by zero"), "--verbose")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "test_error_guard.py" in result.stderr


def test_memory():
    result = _failed(MemoryError("Unable to allocate 20 GiB"))
    assert result.exit_code == 1
    assert "error: not enough memory (Unable to allocate 20 GiB); use a mask" in result.stderr


def test_interruption():
    result = _failed(KeyboardInterrupt())
    assert result.exit_code == 130
    assert "interrupted: nothing is left half-written" in result.stderr


def test_closed_pipe_is_no_fault():
    result = _failed(BrokenPipeError())
    assert result.exit_code == 141
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PermissionError(13, "Permission denied", "sec/dwi.nii"),
            "dwi.nii cannot be used: Per",
        ),
        (OSError(36, "File name too long", "x" * 300), "cannot be used: File name too long"),
        (
            FileNotFoundError(2, "No such file or directory"),
            "the current folder is gone;",
        ),
        (OSError(28, "No space left on device"), "the output cannot be written: No space left"),
    ],
)
def test_what_the_system_refuses_is_no_fault(error, said):
    result = _failed(error)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "expected" in result.stderr
    assert "Traceback" in _failed(error, "--verbose").stderr


@pytest.mark.parametrize("arguments", [["--word", ""], ["--word="], [""], ["--verbose", ""]])
def test_an_empty_argument(arguments):
    result = CliRunner().invoke(app_of_words(), ["say", *arguments])
    assert result.exit_code == 2
    assert "is empty; expected a value. A variable may not be set" in result.stderr


@pytest.mark.parametrize("arguments", [["--title", ""], ["--title="], ["a=", "--word", "b="]])
def test_arguments_that_may_be_empty(arguments):
    assert CliRunner().invoke(app_of_words(), ["say", *arguments]).exit_code == 0


def test_an_exception_that_a_signal_has_become(monkeypatch):
    # As where a class is made while it is imported.
    monkeypatch.setattr("ivimkit.cli.error_guard.was_interrupted", lambda: True)
    result = _failed(RuntimeError("Error calling __set_name__"))
    assert result.exit_code == 130
    assert "internal error" not in result.stderr


def test_usage_error():
    result = _failed(ValueError(), "--nix")
    assert result.exit_code == 2
    assert "--nix" in result.stderr


def test_command_line_is_quoted():
    result = _failed(ValueError(), "--word", "two words")
    assert result.stderr == "error: ivimkit fail --word 'two words'\n"


def test_markup_and_long_lines_are_printed_as_they_are():
    message = "[bold]no file[/bold] /" + "a/" * 200
    assert _failed(FileFormatError(message)).stderr == f"error: {message}\n"


def test_worst():
    assert worst([]) == 0
    assert worst([0, 0]) == 0
    assert worst([0, 2]) == 2
    assert worst([0, 2, 1]) == 1


@pytest.fixture
def signals():
    """Put the handlers of the test runner back, and forget what came meanwhile."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    interruption._INTERRUPTED.clear()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_interrupts_and_is_remembered(signals, number):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interruption.catch_signals()
    interruption.raise_if_interrupted()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    # The exception may have been dropped where a compiler called back.
    with pytest.raises(KeyboardInterrupt):
        interruption.raise_if_interrupted()


def test_the_end_of_a_run_does_not_wait_for_garbage(monkeypatch, signals):
    at_exit = []
    with monkeypatch.context() as patch:
        patch.setattr(atexit, "register", at_exit.append)
        prepare_process()
    assert at_exit == [gc.freeze]


def test_letters_that_a_terminal_does_not_have(monkeypatch, signals):
    class Stream:
        def reconfigure(self, *, errors: str) -> None:
            self.errors = errors

    streams = Stream(), Stream()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        prepare_process()
    assert [stream.errors for stream in streams] == ["replace", "replace"]
