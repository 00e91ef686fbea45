"""Ratios of one run to an earlier one: `python -m benchmarks.compare EARLIER LATER`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.figure import Cell
from benchmarks.record import read_record, show_table

__all__ = ["Comparison", "RecordError", "compare", "earlier_records", "show_comparison"]

_KEYS = {"name", "title", "date", "commit", "machine", "settings", "tables"}


class RecordError(ValueError):
    """A file that is not a record; the message says what was expected."""


@dataclass(frozen=True)
class Comparison:
    """The changes from one run of a figure to another.

    Parameters
    ----------
    title : str
        The figure and the runs.
    tables : sequence of dict
        Tables like those of the record, with ratios later / earlier instead of numbers.
    unknown : sequence of str
        Sentences about items in only one of the runs.
    """

    title: str
    tables: Sequence[dict[str, Any]]
    unknown: Sequence[str]


def earlier_records(path: Path) -> dict[str, dict[str, Any]]:
    """Return the records of a file or of a folder, by the name of the figure.

    Parameters
    ----------
    path : Path
        NAME.json written by a benchmark, or a folder of them.

    Returns
    -------
    dict of str to dict

    Raises
    ------
    RecordError
        If there is no such file or folder, or if it contains no record.
    """
    expected = "expected NAME.json that `python -m benchmarks` wrote, or a folder of them"
    if not path.exists():
        raise RecordError(f"there is no {path}; {expected}")
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise RecordError(f"{path} has no file *.json; {expected}")
    records = {}
    for file in files:
        try:
            record = read_record(file)
        except (UnicodeDecodeError, json.JSONDecodeError) as fault:
            raise RecordError(f"{file} is not JSON ({fault}); {expected}") from None
        if not isinstance(record, dict) or not record.keys() >= _KEYS:
            raise RecordError(f"{file} is not a record of a benchmark; {expected}")
        records[str(record["name"])] = record
    return records


def compare(earlier: dict[str, Any], later: dict[str, Any]) -> Comparison:
    """Divide the numbers of a record by those of an earlier one.

    Tables, rows and columns are found by their titles.

    Parameters
    ----------
    earlier, later : dict
        Records of the same figure.

    Returns
    -------
    Comparison

    Raises
    ------
    RecordError
        If they are of different figures.
    """
    if earlier["name"] != later["name"]:
        raise RecordError(
            f"the earlier run is of {earlier['name']}, the later one of {later['name']}; "
            "expected the same figure"
        )
    before = {table["title"]: table for table in earlier["tables"]}
    after = {table["title"]: table for table in later["tables"]}
    unknown = _only_one("table", before, after)
    tables = []
    for title in after:
        if title in before:
            table, more = _ratios(before[title], after[title])
            tables.append(table)
            unknown += [f"{title}: {sentence}" for sentence in more]
    if earlier["machine"] != later["machine"]:
        unknown.append("the machines differ, so ratios of times also reflect the machines")
    if earlier["settings"] != later["settings"]:
        unknown.append(f"the settings differ: {earlier['settings']}, then {later['settings']}")
    when = f"{earlier['commit']}, {earlier['date']}"
    title = f"{later['title']}: ratios to the run of {when}"
    return Comparison(title, [table for table in tables if table["columns"][1:]], unknown)


def show_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison."""
    console.rule(comparison.title)
    for table in comparison.tables:
        show_table(table, console)
    for sentence in comparison.unknown:
        console.print(sentence, highlight=False)


def _ratios(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the table of ratios and the items in only one of the tables."""
    old_columns, new_columns = (_titles(table) for table in (before, after))
    old_rows, new_rows = ({str(row[0]): row for row in t["rows"]} for t in (before, after))
    unknown = _only_one("row", old_rows, new_rows) + _only_one("column", old_columns, new_columns)
    names = [name for name in new_rows if name in old_rows]
    columns, cells = [], []
    for title, new in list(new_columns.items())[1:]:
        if title not in old_columns:
            continue
        old = old_columns[title]
        ratios = [_ratio(old_rows[name][old], new_rows[name][new]) for name in names]
        # Text columns have no ratios.
        if any(ratio is not None for ratio in ratios):
            columns.append({"title": title, "form": "{:.2f}"})
            cells.append(ratios)
    first = {"title": after["columns"][0]["title"], "form": "{}"}
    rows = [[name, *row] for name, *row in zip(names, *cells, strict=True)]
    return {"title": after["title"], "columns": [first, *columns], "rows": rows}, unknown


def _titles(table: dict[str, Any]) -> dict[str, int]:
    """Return the index of each column by its title; equal titles are numbered."""
    places: dict[str, int] = {}
    for place, column in enumerate(table["columns"]):
        title, times = column["title"], 1
        while title in places:
            times += 1
            title = f"{column['title']} ({times})"
        places[title] = place
    return places


def _ratio(old: Cell, new: Cell) -> float | None:
    """Return new / old; None if that is not a number."""
    if any(isinstance(cell, bool | str) or cell is None for cell in (old, new)):
        return None
    if old == new:
        return 1.0
    return float(new) / float(old) if old else None  # type: ignore[arg-type]


def _only_one(what: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    new = [f"{what} {name!r} is not in the earlier run" for name in after if name not in before]
    old = [f"{what} {name!r} is only in the earlier run" for name in before if name not in after]
    return new + old


def main() -> None:
    """Print the ratios of earlier runs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("earlier", type=Path, metavar="EARLIER", help="NAME.json, or a folder")
    parser.add_argument("later", type=Path, metavar="LATER", help="NAME.json, or a folder")
    options = parser.parse_args()
    try:
        before, after = earlier_records(options.earlier), earlier_records(options.later)
    except RecordError as fault:
        parser.error(str(fault))
    both = [name for name in after if name in before]
    if not both:
        parser.error(f"no figure is in both: {', '.join(before)} and {', '.join(after)}")
    console = Console(width=None if sys.stdout.isatty() else 200)
    for name in both:
        show_comparison(compare(before[name], after[name]), console)


if __name__ == "__main__":
    main()
