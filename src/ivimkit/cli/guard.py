"""The border of the command line: every exception becomes a sentence and an exit code."""

from __future__ import annotations

import atexit
import gc
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ivimkit.cli.exit_codes import DONE, FAULT, INTERRUPTED, WRONG_INPUT
from ivimkit.cli.interruption import catch_signals
from ivimkit.errors import InputError, OptionError

__all__ = [
    "GuardedCommand",
    "GuardedGroup",
    "command_line",
    "exit_code_of",
    "prepare_process",
    "set_verbose",
]

_ARGUMENTS = "ivimkit.arguments"
_VERBOSE = "ivimkit.verbose"


class GuardedGroup(TyperGroup):
    """A group of commands whose exceptions end in an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the arguments, for the provenance of results."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            code = exit_code_of(lambda: super(GuardedGroup, self).invoke(ctx), ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted: nothing is left half-written", err=True)
            code = INTERRUPTED
        if code != DONE:
            raise typer.Exit(code)


class GuardedCommand(TyperCommand):
    """A command that takes no option twice that it would use once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse the second of two values, which would replace the first without a word."""
        if not ctx.resilient_parsing:
            given, _, order = self.make_parser(ctx).parse_args(args=list(args))
            if "help" not in given:
                _refuse_repeated(order)
        return super().parse_args(ctx, args)


def _refuse_repeated(order: list[Any]) -> None:
    for param, times in Counter(order).items():
        if times > 1 and not getattr(param, "multiple", True):
            names = " or ".join([*param.opts, *param.secondary_opts])
            raise OptionError(
                f"{names} is given {times} times; expected once. Leave all but one out"
            )


def command_line(ctx: typer.Context) -> str:
    """Return the command line as it was typed, quoted for a shell."""
    # shlex only here: it costs as much as all of this module.
    from shlex import join

    return join(["ivimkit", *ctx.meta.get(_ARGUMENTS, ())])


def set_verbose(ctx: typer.Context, verbose: bool) -> bool:
    """Remember ``--verbose``, as its callback, for faults of any command."""
    ctx.meta[_VERBOSE] = ctx.meta.get(_VERBOSE, False) or verbose
    return verbose


def exit_code_of(work: Callable[[], Any], ctx: typer.Context) -> int:
    """Do some work; say on stderr what went wrong.

    Exceptions of the option parser, interruptions and closed pipes are left to their handlers.

    Parameters
    ----------
    work : callable
        Called without arguments.
    ctx : typer.Context
        Knows whether faults are printed with their traceback.

    Returns
    -------
    int
        The exit code.
    """
    try:
        work()
    except InputError as error:
        _say(f"error: {error}")
        return WRONG_INPUT
    except Exception as error:
        if hasattr(error, "exit_code") or isinstance(error, typer.Abort | BrokenPipeError):
            raise
        _say_fault(error, verbose=bool(ctx.meta.get(_VERBOSE)))
        return FAULT
    return DONE


def prepare_process() -> None:
    """Catch signals, and let output survive terminals without all letters."""
    catch_signals()
    # A fifth of a short run went into looking for garbage among the objects of imported modules.
    gc.set_threshold(100_000, 20, 50)
    # Half a second more at the end, where everything is given back to the system anyway.
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        # Under pytest and in notebooks these may be other objects.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _say_fault(error: Exception, *, verbose: bool) -> None:
    if isinstance(error, MemoryError):
        _say(
            f"error: not enough memory ({error}); use a mask, fewer b-values, or a machine "
            "with more"
        )
        return
    if verbose:
        typer.echo("".join(traceback.format_exception(error)), err=True)
    _say(
        f"internal error: {type(error).__name__}: {error}\n"
        "This is a fault of ivimkit, not of your data. Please report it, with the output of the "
        "same command and --verbose"
    )


def _say(text: str) -> None:
    # rich only here: `ivimkit --version` must not pay for it.
    from ivimkit.cli.screen import say_error

    say_error(text)
