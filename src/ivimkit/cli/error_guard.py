"""Error handling of the command line: every exception becomes a sentence and an exit code."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ivimkit.cli.process.address_copies import copy_files, with_paths
from ivimkit.cli.process.bash_words import asks_for_completion, whole_words
from ivimkit.cli.process.exit_codes import CLOSED_PIPE, DONE, FAULT, INTERRUPTED, WRONG_INPUT
from ivimkit.cli.process.interruption import (
    catch_signals,
    leave_on_signals,
    signals_leave,
    was_interrupted,
)
from ivimkit.cli.process.output_end import drop_output, flush_output, place_of_output
from ivimkit.cli.process.run_log import end_log, log
from ivimkit.cli.process.typed_line import remember_typed
from ivimkit.cli.screen.plain_help import one_name_each, without_types
from ivimkit.errors import InputError, OptionError

__all__ = [
    "GuardedCommand",
    "GuardedGroup",
    "PlainGroup",
    "exit_code_of",
    "exit_code_of_process",
    "prepare_process",
    "say_interrupted",
    "set_verbose",
]

_COPIED = "ivimkit.copied"
_VERBOSE = "ivimkit.verbose"


class GuardedCommand(TyperCommand):
    """A command that refuses empty names and repeated options.

    Each of its flags can be taken back: ``--no-robust`` of ``--robust``, for what a file says.
    """

    def get_params(self, ctx: Any) -> Any:
        """Return all parameters, --help and those of completion among them."""
        return without_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        with one_name_each(self.params):
            super().format_help(ctx, formatter)

    def prepare(self, ctx: Any, given: Mapping[str, Any]) -> None:
        """Find defaults of this call, before its options are read; here there are none.

        Parameters
        ----------
        ctx : click.Context
            Of the call.
        given : mapping of str to object
            What was typed, by the names of parameters.
        """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse what would silently be mistaken for something else.

        An empty name, from an unset variable, would mean the current folder; the second of two
        values would replace the first.
        """
        texts = {name for option in self.params if _is_text(option) for name in option.opts}
        _refuse_empty(args, texts)
        if not ctx.resilient_parsing:
            given, _, order = self.make_parser(ctx).parse_args(args=list(args))
            if "help" not in given:
                _refuse_repeated(order)
                self.prepare(ctx, given)
        return super().parse_args(ctx, args)

    def make_parser(self, ctx: Any) -> Any:
        """Return a parser that hands out paths instead of the addresses of files."""
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, rest, order = parse(args)
            ctx.meta[_COPIED] = []
            return with_paths(values, ctx.meta[_COPIED]), rest, order

        parser.parse_args = parse_args  # type: ignore[method-assign]
        options: list[Any] = list(self.params)
        for option in options:
            if getattr(option, "is_bool_flag", False) and not option.secondary_opts:
                names = [f"--no-{name[2:]}" for name in option.opts if name.startswith("--")]
                parser.add_option(
                    obj=option, opts=names, dest=option.name, action="store_const", const=False
                )
        return parser

    def with_files_at_hand(self, ctx: Any, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values from a file with paths instead of addresses."""
        return with_paths(values, ctx.meta[_COPIED])

    def invoke(self, ctx: Any) -> Any:
        """Run the command: from here on a signal has something to clean up."""
        if signals_leave():
            catch_signals()
        copy_files(ctx.meta.get(_COPIED, []))
        return super().invoke(ctx)


class PlainGroup(TyperGroup):
    """A group of commands; the help shows no types of flags and arguments."""

    def get_params(self, ctx: Any) -> Any:
        """Return all parameters, --help and those of completion among them."""
        return without_types(super().get_params(ctx))


class GuardedGroup(PlainGroup):
    """A group of commands whose exceptions end in an exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command, or print completions."""
        with whole_words() if asks_for_completion(os.environ) else nullcontext():
            return super().main(*args, **options)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the arguments, for the provenance of results."""
        remember_typed(ctx, args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        # That of a call that ends in another way, as the option parser may.
        code = WRONG_INPUT
        try:
            code = exit_code_of(lambda: super(GuardedGroup, self).invoke(ctx), ctx)
        except KeyboardInterrupt:
            say_interrupted()
            code = INTERRUPTED
        except BrokenPipeError:
            drop_output()
            code = CLOSED_PIPE
        except typer.Exit as end:
            code = end.exit_code
            raise
        finally:
            log(logging.INFO, f"end: exit code {code}")
            end_log(refused=code == WRONG_INPUT)
        if code != DONE:
            raise typer.Exit(code)


def _refuse_repeated(order: list[Any]) -> None:
    for param, times in Counter(order).items():
        if times > 1 and not getattr(param, "multiple", True):
            names = " or ".join([*param.opts, *param.secondary_opts])
            raise OptionError(
                f"{names} is given {times} times; expected once. Leave all but one out"
            )


def set_verbose(ctx: typer.Context, verbose: bool) -> bool:
    """Remember ``--verbose``, as its callback, for faults of any command."""
    ctx.meta[_VERBOSE] = ctx.meta.get(_VERBOSE, False) or verbose
    return verbose


def exit_code_of(work: Callable[[], Any], ctx: typer.Context) -> int:
    """Do some work; report errors on stderr.

    Exceptions of the option parser, interruptions and closed pipes are left to their handlers.

    Parameters
    ----------
    work : callable
        Called without arguments.
    ctx : typer.Context
        Contains whether bugs are printed with their traceback.

    Returns
    -------
    int
        The exit code.
    """
    try:
        _uninterrupted(work)
    except InputError as error:
        _say(f"error: {error}", error)
        return WRONG_INPUT
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        _say_refused(error, verbose=bool(ctx.meta.get(_VERBOSE)))
        return WRONG_INPUT
    except Exception as error:
        if hasattr(error, "exit_code") or isinstance(error, typer.Abort):
            raise
        _say_fault(error, verbose=bool(ctx.meta.get(_VERBOSE)))
        return FAULT
    return DONE


def exit_code_of_process(run: Callable[[], Any]) -> int:
    """Run the whole command line; return its exit code, with as much output written as possible.

    Handles errors outside a command: while options are read or help is printed, and when the end
    of the output is written.

    Parameters
    ----------
    run : callable
        Ends by `SystemExit`, as the option parser does.

    Returns
    -------
    int
        The exit code.
    """
    stream, before = sys.stdout, place_of_output()
    try:
        code = _code_of(run)
        # For a closed pipe, typer and rich return 1, and replace stdout.
        if code == FAULT and place_of_output() != before:
            sys.stdout = stream
            code = CLOSED_PIPE
        # It mistakes an interrupt in its own code for the answer to a prompt.
        if code == FAULT and was_interrupted():
            say_interrupted()
            code = INTERRUPTED
        flush_output()
    except BrokenPipeError:
        code = CLOSED_PIPE
    except OSError as error:
        _say_refused(error, verbose=False)
        code = WRONG_INPUT
    if code in (CLOSED_PIPE, WRONG_INPUT):
        drop_output()
    return code


def prepare_process() -> None:
    """Handle signals, and let output survive terminals with limited character sets."""
    leave_on_signals()
    # The log of the library is shown only by the commands that show progress.
    logging.getLogger("ivimkit").addHandler(logging.NullHandler())
    # A fifth of a short run was garbage collection among the objects of imported modules.
    gc.set_threshold(100_000, 20, 50)
    # Saves half a second at the end, where all memory is released anyway.
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        # Under pytest and in notebooks these may be other objects.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _uninterrupted(work: Callable[[], Any]) -> None:
    """Do some work; any exception after a signal is treated as the interrupt."""
    try:
        work()
    except Exception as error:
        if was_interrupted():
            raise KeyboardInterrupt from error
        raise


def _is_text(option: Any) -> bool:
    return getattr(option, "metavar", None) == "TEXT"


def _refuse_empty(args: Sequence[str], texts: set[str]) -> None:
    before = ""
    for word in args:
        name, is_set, value = word.partition("=")
        joined = name.startswith("--") and is_set and not value
        if joined and name not in texts:
            before = name
        if (not word and before not in texts) or (joined and name not in texts):
            what = before if before.startswith("-") else "an argument"
            raise OptionError(
                f"{what} is empty; expected a value. A variable may not be set: leave the option "
                "out, or write . for the current folder"
            )
        before = word


def _code_of(run: Callable[[], Any]) -> int:
    try:
        run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else (FAULT if end.code else DONE)
    except KeyboardInterrupt:
        say_interrupted()
        return INTERRUPTED
    return DONE


def say_interrupted() -> None:
    """Say that the user has ended the command."""
    log(logging.WARNING, "interrupted")
    typer.echo("interrupted: nothing is left half-written", err=True)


def _say_refused(error: OSError, *, verbose: bool) -> None:
    """Report what the system refused: that is not a bug in ivimkit."""
    if verbose:
        typer.echo("".join(traceback.format_exception(error)), err=True)
    reason = error.strerror or str(error)
    if error.filename is not None:
        _say(
            f"error: {error.filename} cannot be used: {reason}; expected a path that exists and "
            "that you have the right to use. Choose another one",
            error,
        )
    elif isinstance(error, FileNotFoundError):
        _say("error: the current folder is gone; expected one that exists. Change to another one")
    else:
        _say(
            f"error: the output cannot be written: {reason}; expected a terminal, a pipe or a "
            "disk with enough space. Choose another place",
            error,
        )


def _say_fault(error: Exception, *, verbose: bool) -> None:
    if isinstance(error, MemoryError):
        _say(
            f"error: not enough memory ({error}); use a mask, fewer b-values, or a machine "
            "with more",
            error,
        )
        return
    if verbose:
        typer.echo("".join(traceback.format_exception(error)), err=True)
    _say(
        f"internal error: {type(error).__name__}: {error}\n"
        "This is a bug in ivimkit, not a fault of your data. Please report it, with the output of "
        "the same command and --verbose",
        error,
    )


def _say(text: str, error: Exception | None = None) -> None:
    # Import rich only here: `ivimkit --version` must not wait for it.
    from ivimkit.cli.screen.terminal import say_error

    say_error(text, error)
