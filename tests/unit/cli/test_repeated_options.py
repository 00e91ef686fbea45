"""An option that is used once and given twice is an error, in every command."""

import pytest
import typer.main

from ivimkit.cli import app

COMMAND = typer.main.get_command(app)
OPTIONS = [
    (name, option)
    for name, command in COMMAND.commands.items()
    for option in command.params
    if option.param_type_name == "option" and "--help" not in option.opts
]
ONCE = [(name, option) for name, option in OPTIONS if not option.multiple]
REPEATABLE = {(name, option.opts[0]) for name, option in OPTIONS if option.multiple}


def _words(option, spelling):
    return [spelling] if option.is_flag else [spelling, "1"]


@pytest.mark.parametrize(
    ("name", "option"), ONCE, ids=[f"{name} {option.opts[0]}" for name, option in ONCE]
)
def test_given_twice(run, name, option):
    """By any of its names, also where yes and no contradict each other."""
    spellings = [*option.opts, *option.secondary_opts]
    first, last = _words(option, spellings[0]), _words(option, spellings[-1])
    error = run(name, *first, *last, code=2).stderr
    assert f"error: {' or '.join(spellings)} is given 2 times; expected once" in error


def test_what_may_be_repeated():
    """Regions and lists: what is given later is added."""
    assert {
        *((name, "--labels") for name in ("compare", "plot", "report", "roi", "view", "repeat")),
        *((name, "--option") for name in ("fit", "compare")),
        *(("plot", option) for option in ("--voxel", "--slice", "--range")),
    } <= REPEATABLE


def test_help_is_shown_all_the_same(run):
    assert "Usage" in run("fit", "--mask", "a", "--mask", "b", "--help").stdout
