"""Tables of ``ivimkit bids``: the scans of a cohort."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from ivimkit.cli.screen.terminal import plain_table
from ivimkit.cohort import Found
from ivimkit.rounding import NONE

__all__ = ["found_table"]


def found_table(found: Found) -> Table:
    """Return each scan with the files that belong to it."""
    table = plain_table("scan", "b-values", "directions", "mask", "labels", left=5)
    for subject in found.subjects:
        table.add_row(
            subject.name,
            _name(subject.bval),
            _name(subject.bvec),
            _name(subject.mask),
            _name(subject.labels),
        )
    return table


def _name(path: Path | str | None) -> str:
    return NONE if path is None else Path(path).name
