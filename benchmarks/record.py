"""Record: findings with everything needed to judge them, as JSON, Markdown and on screen."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as ScreenTable

from benchmarks.chart import chart_file, draw_chart
from benchmarks.figure import Cell, Figure, Findings, Settings
from benchmarks.machine import REPOSITORY, commit, describe_machine, versions

__all__ = [
    "RESULTS",
    "as_markdown",
    "draw_charts",
    "make_record",
    "read_record",
    "show",
    "show_table",
    "write",
]

RESULTS = REPOSITORY / "benchmarks" / "results"

_BOLD = "\0"
_VERDICT = {True: "reached", False: "NOT reached", None: "not measured"}


def make_record(figure: Figure, settings: Settings, findings: Findings) -> dict[str, Any]:
    """Combine findings with machine, versions, commit and settings, ready for JSON."""
    return {
        "order": figure.order,
        "name": figure.name,
        "title": figure.title,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": describe_machine(),
        "versions": versions(),
        "settings": asdict(settings),
        **asdict(findings),
    }


def write(record: dict[str, Any], folder: Path) -> Path:
    """Write ``NAME.json``, ``NAME.md`` and the charts; returns the first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['name']}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text(as_markdown(record))
    draw_charts(record, folder)
    return path


def draw_charts(record: dict[str, Any], folder: Path, prefix: str = "") -> None:
    """Draw the charts of a record as PNG files."""
    for chart in record.get("charts", ()):
        folder.mkdir(parents=True, exist_ok=True)
        draw_chart(chart, folder / f"{prefix}{chart_file(record, chart)}")


def read_record(path: Path) -> dict[str, Any]:
    """Read a record written by `write`."""
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def as_markdown(record: dict[str, Any], images: str = "") -> str:
    """Return the record as a section of a page; `images` comes before the names of charts."""
    parts = [f"## {record['title']}", ""]
    for chart in record.get("charts", ()):
        parts += [f"![{chart['title']}]({images}{chart_file(record, chart)})", ""]
    for table in record["tables"]:
        parts += _markdown_table(table)
    for target in record["targets"]:
        parts.append(f"- {target['text']}: {target['measured']}, {_VERDICT[target['reached']]}.")
    parts += ["", *(f"{note}\n" for note in record["notes"])]
    parts += [f"Checked before anything was reported: {record['checked']}", ""]
    parts += [f"{_conditions(record)}.", "", f"{_provenance(record)}.", ""]
    # No text uses emphasis, and D* must not start one.
    return "\n".join(parts).replace("*", r"\*").replace(_BOLD, "**")


def show(record: dict[str, Any], console: Console) -> None:
    """Print the record."""
    console.rule(record["title"])
    for table in record["tables"]:
        show_table(table, console)
    colours = {True: "green", False: "bold red", None: "yellow"}
    for target in record["targets"]:
        verdict = f"[{colours[target['reached']]}]{_VERDICT[target['reached']]}[/]"
        console.print(f"{target['text']}: {target['measured']}, {verdict}", highlight=False)
    for note in record["notes"]:
        console.print(note, highlight=False)
    console.print(f"{_conditions(record)}. {_provenance(record)}", style="dim", highlight=False)


def show_table(table: dict[str, Any], console: Console) -> None:
    """Print one table of a record."""
    shown = ScreenTable(title=table["title"], title_justify="left")
    for number, column in enumerate(table["columns"]):
        shown.add_column(
            column["title"], justify="right" if number else "left", no_wrap=not number
        )
    for row in _texts(table):
        shown.add_row(*row)
    console.print(shown)


def _conditions(record: dict[str, Any]) -> str:
    told = "; ".join(f"{name}: {text}" for name, text in record["conditions"].items())
    return told[:1].upper() + told[1:]


def _provenance(record: dict[str, Any]) -> str:
    machine = ", ".join(record["machine"].values())
    packages = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    return f"Machine: {machine}; {packages}; commit {record['commit']}, {record['date']}"


def _markdown_table(table: dict[str, Any]) -> list[str]:
    titles = [column["title"] for column in table["columns"]]
    lines = [f"{_BOLD}{table['title']}{_BOLD}", "", f"| {' | '.join(titles)} |"]
    lines.append("|" + "|".join([" --- "] + [" ---: "] * (len(titles) - 1)) + "|")
    lines += [f"| {' | '.join(row)} |" for row in _texts(table)]
    return [*lines, ""]


def _texts(table: dict[str, Any]) -> list[list[str]]:
    forms = [column["form"] for column in table["columns"]]
    return [
        [_text(form, cell) for form, cell in zip(forms, row, strict=True)] for row in table["rows"]
    ]


def _text(form: str, cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else form.format(cell)
