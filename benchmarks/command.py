"""The command line of every benchmark: `python -m benchmarks.NAME [--voxels N] [--full]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.compare import RecordError, compare, earlier_records, show_comparison
from benchmarks.figure import Figure, Settings
from benchmarks.record import RESULTS, make_record, show, write

__all__ = ["add_options", "forwarded", "run_alone"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all benchmarks share."""
    parser.add_argument(
        "--voxels", type=int, metavar="N", help="number of voxels, instead of the figure's default"
    )
    parser.add_argument("--full", action="store_true", help="the full figure, however long")
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS,
        metavar="DIR",
        help="folder for NAME.json, NAME.md and charts (default: benchmarks/results)",
    )
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="FILE",
        help="print ratios to an earlier run: its NAME.json, or a folder of them",
    )


def forwarded(options: argparse.Namespace) -> list[str]:
    """Return the shared options as command-line words, for another process."""
    words = ["--out", str(options.out)]
    if options.voxels is not None:
        words += ["--voxels", str(options.voxels)]
    if options.compare is not None:
        words += ["--compare", str(options.compare.resolve())]
    return [*words, "--full"] if options.full else words


def run_alone(figure: Figure, words: Sequence[str] | None = None) -> None:
    """Measure one figure, print it and write it.

    Parameters
    ----------
    figure : Figure
        The benchmark.
    words : sequence of str, optional
        The command line; that of this process by default.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{figure.name}", description=figure.title
    )
    add_options(parser)
    options = parser.parse_args(words)
    if options.voxels is not None and options.voxels < 1:
        parser.error(f"--voxels is {options.voxels}; expected a number >= 1")
    # Read first: the new record may replace the earlier one.
    earlier = None
    if options.compare is not None:
        try:
            earlier = earlier_records(options.compare)
        except RecordError as fault:
            parser.error(str(fault))
        if figure.name not in earlier:
            parser.error(f"{options.compare} has no {figure.name}; it has {', '.join(earlier)}")
    settings = Settings(options.voxels, options.full)
    record = make_record(figure, settings, figure.measure(settings))
    # Not a terminal: wide enough for all tables.
    console = Console(width=None if sys.stdout.isatty() else 200)
    show(record, console)
    print(f"written: {write(record, options.out)}")
    if earlier is not None:
        show_comparison(compare(earlier[figure.name], record), console)
