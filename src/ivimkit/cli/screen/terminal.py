"""Screen: where output is printed. Results go to stdout, everything about the run to stderr."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

from ivimkit.cli.process.address_copies import named_by_address
from ivimkit.cli.process.run_log import is_logged, log
from ivimkit.cli.screen.option_words import for_command_line
from ivimkit.errors import IvimkitWarning

__all__ = ["Screen", "plain_table", "say_error"]

_LOG_WIDTH = 120


@dataclass(frozen=True)
class Screen:
    """Where a command prints.

    Parameters
    ----------
    quiet : bool
        Print errors only.
    verbose : bool
        Print what is being done, too.
    json : bool
        Print no tables: the answer is a JSON document, see `answer`.
    """

    quiet: bool = False
    verbose: bool = False
    json: bool = False

    def show(self, *renderables: RenderableType) -> None:
        """Print a result; where JSON is asked for, it is only logged."""
        for renderable in renderables if is_logged() else ():
            log(logging.INFO, _as_text(renderable))
        if not (self.quiet or self.json):
            console = Console(highlight=False, markup=False)
            for renderable in renderables:
                _print(console, _named(renderable))

    def answer(self, document: Any) -> None:
        """Print one JSON document, the only output, if JSON is asked for."""
        if self.json:
            # Here and not above: tables are the usual output.
            from ivimkit.cli.answers.json_answer import json_text

            sys.stdout.write(json_text(document))

    def note(self, text: str) -> None:
        """Print what is being done."""
        log(logging.INFO, named_by_address(text))
        if self.verbose and not self.quiet:
            _print(stderr(), Text(text, style="dim"))

    def warn(self, text: str) -> None:
        """Print a warning."""
        log(logging.WARNING, named_by_address(text))
        if not self.quiet:
            _print(stderr(), Text.assemble(("warning: ", "yellow"), named_by_address(text)))

    @contextmanager
    def warnings_shown(self) -> Iterator[None]:
        """Print warnings of ivimkit as sentences, each of them every time."""
        with warnings.catch_warnings():
            warnings.simplefilter("always", IvimkitWarning)
            other = warnings.showwarning

            def show(
                message: Warning | str,
                category: type[Warning],
                filename: str,
                lineno: int,
                file: TextIO | None = None,
                line: str | None = None,
            ) -> None:
                if issubclass(category, IvimkitWarning):
                    self.warn(for_command_line(str(message)))
                else:
                    other(message, category, filename, lineno, file, line)

            warnings.showwarning = show
            yield


def stderr() -> Console:
    """Return a console on stderr."""
    return Console(stderr=True, highlight=False, markup=False)


def say_error(text: str, error: Exception | None = None) -> None:
    """Print an error, whatever the verbosity, and log it with the traceback of its exception."""
    log(logging.ERROR, named_by_address(text), error)
    head, colon, rest = named_by_address(text).partition(": ")
    _print(stderr(), Text.assemble((head + colon, "bold red"), rest))


def plain_table(*columns: str, left: int = 1) -> Table:
    """Return an empty table without frame; numbers are right-aligned.

    Parameters
    ----------
    *columns : str
        Their heads.
    left : int
        How many columns, from the first, are words.
    """
    table = Table(box=None, pad_edge=False)
    for number, head in enumerate(columns):
        table.add_column(
            head,
            justify="left" if number < left else "right",
            no_wrap=number > 0,
            header_style="dim",
        )
    return table


def _as_text(renderable: RenderableType) -> str:
    """Return a result as plain text, for the log."""
    if isinstance(renderable, str | Text):
        return named_by_address(str(renderable))
    file = StringIO()
    _print(Console(file=file, width=_LOG_WIDTH, highlight=False, markup=False), renderable)
    return file.getvalue()


def _named(renderable: RenderableType) -> RenderableType:
    """Return a text with the addresses of files that were copied."""
    if isinstance(renderable, str):
        return named_by_address(renderable)
    if isinstance(renderable, Text) and named_by_address(renderable.plain) != renderable.plain:
        return Text(named_by_address(renderable.plain), style=renderable.style)
    return renderable


def _least_width(column: Column) -> int:
    """Return the width that a column needs for whole cells, or whole words if lines break."""
    cells = [str(cell) for cell in (column.header, *column.cells)]
    parts = cells if column.no_wrap else [word for cell in cells for word in cell.split()]
    return max(map(cell_len, parts), default=0)


def _table_width(table: Table) -> int:
    """Return the width of a table of `plain_table` with columns as narrow as they may be."""
    # To let rich measure every cell takes longer than to print them.
    gaps = (table.padding[1] + table.padding[3]) * (len(table.columns) - 1)
    return sum(column.min_width or 0 for column in table.columns) + gaps


def _print(console: Console, renderable: RenderableType) -> None:
    # Files and pipes get whole lines: a path or a message must not be broken.
    whole = isinstance(renderable, Text | str) and not console.is_terminal
    if isinstance(renderable, Table):
        # A line broken by the terminal can be read; a column without width or a 1… cannot.
        for column in renderable.columns:
            column.min_width = _least_width(column)
        needed = _table_width(renderable)
        if needed > console.width:
            console.width = needed
    console.print(renderable, soft_wrap=whole, crop=not isinstance(renderable, Table))
