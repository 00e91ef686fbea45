"""Help, version, completion, and what they must not import."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import typer

import ivimkit
from ivimkit.cli import app
from ran_alone import check_imports

WITH_EXAMPLES = (
    *(
        "fit",
        "check",
        "preprocess",
        "design",
        "compare",
        "plot",
        "view",
        "roi",
        "repeat",
        "bids",
        "report",
        "simulate",
        "demo",
        "config",
    ),
)
COMMANDS = (*WITH_EXAMPLES, "methods")


def _every_command(group, *before):
    """Yield the words of every command, and of every group."""
    yield before
    for name, command in getattr(group, "commands", {}).items():
        yield from _every_command(command, *before, name)


@pytest.fixture(scope="module")
def printed():
    """The help of each command that was asked for, by its words."""
    return {}


@pytest.fixture
def help_of(run, printed):
    """Return a function that returns the help of a command; each is made once."""

    def _help_of(*command):
        if command not in printed:
            printed[command] = run(*command, "--help").stdout
        return printed[command]

    return _help_of


@pytest.mark.parametrize("command", list(_every_command(typer.main.get_command(app))), ids=str)
def test_help_fits_80_columns_and_is_plain(help_of, command):
    text = help_of(*command)
    assert "Usage: ivimkit" in text
    assert max(map(len, text.splitlines())) <= 80
    # No types in angle brackets, and nothing cut off.
    assert not re.search(r"<\w+[^ ]*>", text)
    assert "…" not in text


@pytest.mark.parametrize("command", WITH_EXAMPLES)
def test_help_has_examples(help_of, command):
    assert f"\n   ivimkit {command}" in help_of(command)


def test_help_lists_all_commands_and_exit_codes(help_of):
    text = help_of()
    assert all(f"│ {name}" in text for name in COMMANDS)
    assert "Exit codes: 0 done, 2 wrong input, 1 a bug in ivimkit, 130 interrupted" in text


def test_short_help_option(run, help_of):
    assert run("fit", "-h").stdout == help_of("fit")


def test_help_says_that_figures_are_written_by_default(help_of):
    text = help_of("fit")
    assert "--figures" in text
    assert "[default: figures]" in text


def test_version(run):
    assert run("--version").stdout == f"ivimkit {ivimkit.__version__}\n"


def test_no_command_prints_help(run):
    result = run(code=2)
    assert "Commands" in result.stdout + result.stderr


def test_help_and_version_import_nothing_heavy():
    heavy = {"numpy", "numba", "scipy", "pandas", "matplotlib", "nibabel", "uvicorn"}
    check_imports(heavy, "--version", "--help", "fit --help", "compare --help", "view --help")


def test_python_m_is_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "ivimkit", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"ivimkit {ivimkit.__version__}\n"


def test_unknown_option_and_command_are_usage_errors(run):
    assert "--threds" in run("fit", "x.nii", "--threds", "2", code=2).stderr
    assert "fitt" in run("fitt", code=2).stderr


def test_shell_completion_knows_names(monkeypatch):
    environment = {
        "_IVIMKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": "ivimkit fit --method s",
        "COMP_CWORD": "3",
        "_TYPER_COMPLETE_ARGS": "ivimkit fit --method s",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run(
        [sys.executable, "-c", "from ivimkit.cli import main; main()"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["segmented"]
