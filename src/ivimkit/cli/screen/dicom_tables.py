"""Tables of the studies, scans and other series of a folder of DICOM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ivimkit.cli.screen.terminal import plain_table

if TYPE_CHECKING:
    from ivimkit.io.dicom.scans import DicomContents, DicomScan, OtherSeries

__all__ = ["contents_shown"]

_MAX_B_VALUES = 12


def contents_shown(contents: DicomContents, name: str) -> Iterator[RenderableType]:
    """Yield the tables of a folder.

    Parameters
    ----------
    contents : DicomContents
        What it contains.
    name : str
        What the user calls it, for the last line.
    """
    for study, title in contents.studies.items():
        scans = [scan for scan in contents.scans if scan.study == study]
        others = [series for series in contents.others if series.study == study]
        yield Text(title, style="bold")
        if scans:
            yield _scan_table(scans)
        for scan in scans:
            yield from _remarks(scan)
        if others:
            yield ""
            yield _other_table(others)
        yield ""
    if contents.skipped.reasons:
        yield f"other files: {contents.skipped}"
    yield from _advice(contents.scans, name)


def _scan_table(scans: Sequence[DicomScan]) -> Table:
    table = plain_table(
        *("series", "description", "images", "b (s/mm²)", "volumes", "matrix"), left=4
    )
    for scan in scans:
        columns, rows, slices, volumes = scan.shape
        table.add_row(
            ",".join(map(str, scan.series_numbers)),
            scan.description,
            "trace" if scan.kind == "trace" else "directions" if scan.n_directions else "dwi",
            _b_values(scan.bvals),
            str(volumes),
            f"{columns}x{rows}x{slices}",
        )
    return table


def _b_values(bvals: NDArray[np.float64]) -> str:
    values = list(dict.fromkeys(f"{b:g}" for b in sorted(bvals.tolist())))
    if len(values) <= _MAX_B_VALUES:
        return " ".join(values)
    return f"{' '.join(values[: _MAX_B_VALUES - 2])} ... {values[-1]} ({len(values)})"


def _remarks(scan: DicomScan) -> Iterator[Text]:
    series = ",".join(map(str, scan.series_numbers))
    for style, mark, texts in (
        ("red", "problem", scan.problems),
        ("yellow", "warning", scan.warnings),
        ("dim", "note", scan.notes),
    ):
        for text in texts:
            yield Text.assemble((f"{mark}: ", style), f"series {series}: {text}")


def _other_table(others: Sequence[OtherSeries]) -> Table:
    table = plain_table("series", "description", "not fitted", "images", left=3)
    for series in others:
        table.add_row(str(series.number), series.description, series.reason, str(series.n_images))
    return table


def _advice(scans: Sequence[DicomScan], name: str) -> Iterator[RenderableType]:
    if not scans:
        yield Text("nothing to fit: no series has two b-values", style="bold")
        return
    from ivimkit.io.dicom.choice import candidates

    usual = candidates(scans)
    first = ",".join(map(str, usual[0].series_numbers))
    yield f"fit with: ivimkit fit {name}{f' --series {first}' if len(usual) > 1 else ''}"
