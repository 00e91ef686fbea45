"""The command line: parses options, calls the public API, prints, returns an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import ivimkit
from ivimkit.cli.command_group import add_command, add_question
from ivimkit.cli.commands.bids import bids
from ivimkit.cli.commands.check import check
from ivimkit.cli.commands.compare import compare
from ivimkit.cli.commands.config import config
from ivimkit.cli.commands.datasets import datasets
from ivimkit.cli.commands.demo import demo
from ivimkit.cli.commands.design import design
from ivimkit.cli.commands.dicom import dicom
from ivimkit.cli.commands.fit import fit
from ivimkit.cli.commands.methods import methods
from ivimkit.cli.commands.node import node
from ivimkit.cli.commands.plot import plot
from ivimkit.cli.commands.preprocess import preprocess
from ivimkit.cli.commands.repeat import repeat
from ivimkit.cli.commands.report import report
from ivimkit.cli.commands.roi import roi
from ivimkit.cli.commands.simulate import simulate
from ivimkit.cli.commands.view import view
from ivimkit.cli.error_guard import (
    GuardedGroup,
    exit_code_of_process,
    prepare_process,
    say_interrupted,
)
from ivimkit.cli.process.address_copies import discard
from ivimkit.cli.process.exit_codes import INTERRUPTED
from ivimkit.cli.process.interruption import ignore_signals, leave_at_once

__all__ = ["app", "main"]

app = typer.Typer(
    name="ivimkit",
    cls=GuardedGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ivimkit {ivimkit.__version__}")
        raise typer.Exit


@app.callback(epilog="Exit codes: 0 done, 2 wrong input, 1 a bug in ivimkit, 130 interrupted.")
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """IVIM and ADC maps from multi-b diffusion MRI.

    Start with [bold]ivimkit check dwi.nii.gz[/bold], then [bold]ivimkit fit dwi.nii.gz[/bold].
    Without a scan: [bold]ivimkit demo[/bold].
    """


for command in (
    fit,
    check,
    preprocess,
    design,
    compare,
    plot,
    view,
    report,
    roi,
    repeat,
    bids,
    simulate,
    demo,
):
    add_command(app, command, fits=command in (fit, check, bids))
for question in (config, methods):
    add_question(app, question)
app.add_typer(datasets)
app.add_typer(dicom)
app.add_typer(node)


def main() -> None:
    """Run the command line and exit with its code."""
    prepare_process()
    try:
        code = exit_code_of_process(lambda: app(prog_name="ivimkit"))
        ignore_signals()
    except KeyboardInterrupt:
        ignore_signals()
        say_interrupted()
        code = INTERRUPTED
    if code == INTERRUPTED:
        discard()
        leave_at_once(INTERRUPTED)
    sys.exit(code)
