"""Figure: one benchmark - a question, its measurement, and the tables that answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = [
    "Cell",
    "Chart",
    "Column",
    "Figure",
    "Findings",
    "Panel",
    "Series",
    "Settings",
    "Table",
    "Target",
]

Cell = str | float | int | bool | None
"""None is shown as a dash: it does not apply, or could not be measured here."""


@dataclass(frozen=True)
class Settings:
    """The extent of a measurement.

    Parameters
    ----------
    voxels : int or None
        Number of voxels, instead of the figure's default.
    full : bool
        Whether to measure the full figure, however long it takes.
    """

    voxels: int | None = None
    full: bool = False

    def size(self, quick: int, full: int | None = None) -> int:
        """Return the number of voxels to use."""
        if self.voxels is not None:
            return self.voxels
        return full if self.full and full is not None else quick


@dataclass(frozen=True)
class Column:
    """A column of a table; `form` writes its numbers."""

    title: str
    form: str = "{}"


@dataclass(frozen=True)
class Table:
    """Numbers as measured; they are rounded for display."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Target:
    """A goal, and whether it was reached; `reached` is None if it was not measured."""

    text: str
    measured: str
    reached: bool | None


@dataclass(frozen=True)
class Series:
    """Points of a chart, joined by a line if there are several.

    Parameters
    ----------
    label : str
        For the legend.
    group : str
        Series of one group share a colour and have different markers; "limit" is a dashed line,
        across the whole panel if it has one point.
    x, y : sequence of float
        The points.
    """

    label: str
    group: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    y_label: str
    series: Sequence[Series]


@dataclass(frozen=True)
class Chart:
    """Panels with one legend; both axes are logarithmic, and `ticks` are marked on the x axis.

    Parameters
    ----------
    name : str
        The file is called FIGURE-NAME.png.
    title : str
        Its content, in a sentence.
    x_label : str
        Label of all x axes.
    panels : sequence of Panel
        By row.
    columns : int
        Panels per row.
    ticks : sequence of float
        Values marked on the x axis; none for decades.
    """

    name: str
    title: str
    x_label: str
    panels: Sequence[Panel]
    columns: int = 3
    ticks: Sequence[float] = ()


@dataclass(frozen=True)
class Findings:
    """The results of a figure.

    Parameters
    ----------
    conditions : dict of str to str
        Data, threads, warm or cold: everything the numbers depend on besides the machine.
    checked : str
        The checks that the answers passed before anything was reported.
    tables, targets : sequence
        The numbers and the verdicts.
    notes : sequence of str
        Remarks for readers, e.g. what was left out and why.
    charts : sequence of Chart
        The numbers as charts.
    """

    conditions: dict[str, str]
    checked: str
    tables: Sequence[Table]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    charts: Sequence[Chart] = ()


@dataclass(frozen=True)
class Figure:
    """One benchmark; every file in this folder with a constant FIGURE is one.

    Parameters
    ----------
    order : int
        Its position on the page.
    name : str
        Name of the file.
    title : str
        The question, for display.
    measure : callable
        Takes `Settings` and returns `Findings`.
    only_full : bool
        Whether it has no quick form.
    full_takes : str
        How long ``--full`` takes, if it differs.
    """

    order: int
    name: str
    title: str
    measure: Callable[[Settings], Findings]
    only_full: bool = False
    full_takes: str = ""
