"""Every option is declared once, however many commands have it."""

from __future__ import annotations

import inspect
import itertools
from collections import defaultdict
from typing import Annotated, get_args

import pytest
import typer
from typer.models import OptionInfo

from ivimkit.cli import app
from ivimkit.cli.options.groups import with_groups_spread
from ivimkit.cli.options.shared_options import ScreenOptions

# One word for different things: what is read, made or named differs from command to command.
DIFFERENT = {
    *("--b-split", "--bval", "--bvals", "--bvec", "--figures", "--labels", "--lesion", "--maps"),
    *("--method", "--model", "--noise", "--organ", "--out", "--prior", "--reliable", "--ring"),
    *("--scan", "--subject", "--variables"),
    # A fit also uses a second method, and a page shows it; volumes are means, or are simulated.
    *("--also", "--averages"),
    # Of a data set, files are named by what they show, a scan that fails is one of many, threads
    # are those of each scan, and memory is that of all scans.
    *("--fix", "--mask", "--mem-mb", "--preprocess", "--sigma", "--strict", "--threads"),
    # A fit is like a result, a change is judged like that of a region.
    "--like",
    # Motion is simulated, or looked for.
    "--motion",
    # Volumes and parameters are weighted, models and designs chosen, scans and plans have an SNR.
    *("--bmax", "--criterion", "--monte-carlo", "--snr", "--weights"),
}


def _declarations():
    """Yield the flag, the declaration and the parameter of every option of every command."""
    for command in app.registered_commands:
        for parameter in inspect.signature(command.callback).parameters.values():
            for info in get_args(parameter.annotation):
                if isinstance(info, OptionInfo):
                    name = info.default if isinstance(info.default, str) else parameter.name
                    flag, _, _ = name.lstrip("-").replace("_", "-").partition("/")
                    yield f"--{flag}", info, parameter


def _but_for_the_panel(info):
    """The declaration itself, by the identity of what it holds; panels may differ."""
    return {name: id(value) for name, value in vars(info).items() if name != "rich_help_panel"}


DECLARED = list(_declarations())
SHARED = defaultdict(list)
for flag, *rest in DECLARED:
    SHARED[flag].append(rest)


def test_one_declaration_of_what_commands_share():
    written_twice = {
        flag
        for flag, uses in SHARED.items()
        for (one, _), (other, _) in itertools.combinations(uses, 2)
        if _but_for_the_panel(one) != _but_for_the_panel(other)
    }
    assert written_twice == DIFFERENT


def test_no_text_is_written_twice():
    """Also not of arguments, nor for two options of different names."""
    texts = defaultdict(set)
    for command in app.registered_commands:
        for parameter in inspect.signature(command.callback).parameters.values():
            for info in get_args(parameter.annotation)[1:]:
                texts[info.help].add(id(info.help))
    assert not [text for text, objects in texts.items() if len(objects) > 1]


def test_one_default_of_what_commands_share():
    """Regions can be needed in one command and left out in another; nothing else differs."""
    defaults = defaultdict(set)
    for _, info, parameter in DECLARED:
        if parameter.default is not parameter.empty:
            defaults[id(info.help)].add(parameter.default)
    assert len(defaults) > 50
    assert all(len(values) == 1 for values in defaults.values())


def test_fields_become_options_in_their_place():
    calls = []

    def greet(
        *,
        first: Annotated[str, typer.Option()] = "a",
        screen: ScreenOptions,
        last: Annotated[str, typer.Option()],
    ) -> None:
        """Greet."""
        calls.append((first, screen, last))

    command = with_groups_spread(greet)
    assert command.__doc__ == "Greet."
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["first", "quiet", "verbose", "last"]
    assert parameters["quiet"].default is False
    assert parameters["last"].default is inspect.Parameter.empty
    command(first="x", quiet=True, verbose=False, last="y")
    assert calls == [("x", ScreenOptions(quiet=True), "y")]


def test_two_options_of_one_name_are_refused():
    def greet(*, screen: ScreenOptions, quiet: Annotated[bool, typer.Option()] = False) -> None:
        """Greet."""

    with pytest.raises(ValueError, match="duplicate parameter name: 'quiet'"):
        with_groups_spread(greet)
