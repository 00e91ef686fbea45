"""What is known about public scans, for ``ivimkit datasets``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from ivimkit import datasets
from ivimkit.cli.screen.terminal import plain_table
from ivimkit.datasets import DataSet, Fetched

__all__ = ["about", "catalogue", "fit_command", "plain_catalogue"]


def catalogue() -> Iterator[RenderableType]:
    """Yield what is known about each data set."""
    for name in datasets.names():
        data_set = datasets.get(name)
        yield Text.assemble((name, "bold"), f"  {data_set.title}")
        yield from about(data_set)
        yield ""
    yield "fetch one with: ivimkit datasets fetch NAME --out DIR"


def about(data_set: DataSet) -> Iterator[Table]:
    """Yield a table of what one has to know before using a data set."""
    table = plain_table("", "", left=2)
    table.show_header = False
    table.columns[1].no_wrap = False
    table.add_row("about", data_set.about)
    table.add_row("size", f"{decimal(data_set.n_bytes)} to download")
    table.add_row("files", ", ".join(data_set.files))
    table.add_row("terms", f"{data_set.licence}, {data_set.licence_url}")
    table.add_row("cite", data_set.citation)
    yield table


def plain_catalogue() -> dict[str, Any]:
    """Return the same for --json."""
    return {
        name: {
            "title": data_set.title,
            "about": data_set.about,
            "licence": data_set.licence,
            "licence_url": data_set.licence_url,
            "citation": data_set.citation,
            "doi": data_set.doi,
            "bytes": data_set.n_bytes,
            "files": data_set.files,
            "scan": data_set.scan,
            "mask": data_set.mask or None,
        }
        for name, data_set in ((name, datasets.get(name)) for name in datasets.names())
    }


def fit_command(found: Fetched) -> list[str]:
    """Return the command that fits a data set."""
    mask = "auto" if found.mask is None else str(found.mask)
    return ["ivimkit", "fit", str(found.scan), "--mask", mask]
