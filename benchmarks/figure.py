"""Figure: one question, how it is measured, and the tables that answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Cell", "Column", "Figure", "Findings", "Settings", "Table", "Target"]

Cell = str | float | int | bool | None
"""None is a dash: it does not apply, or could not be measured here."""


@dataclass(frozen=True)
class Settings:
    """How much to measure.

    Parameters
    ----------
    voxels : int or None
        Number of voxels, in place of the figure's own.
    full : bool
        Whether to take the time that the full figure needs.
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
    """Numbers as measured; they are rounded where they are shown."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Target:
    """What is to be reached, and whether it was; `reached` is None if it was not measured."""

    text: str
    measured: str
    reached: bool | None


@dataclass(frozen=True)
class Findings:
    """What a figure found.

    Parameters
    ----------
    conditions : dict of str to str
        Data, threads, warm or cold: whatever the numbers depend on besides the machine.
    checked : str
        What the answers were checked against before anything was reported.
    tables, targets : sequence
        The numbers and the verdicts.
    notes : sequence of str
        What to know when reading them, e.g. what was left out and why.
    """

    conditions: dict[str, str]
    checked: str
    tables: Sequence[Table]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Figure:
    """One benchmark; a file of this folder that has a constant FIGURE is one.

    Parameters
    ----------
    order : int
        Its place on the page.
    name : str
        Name of the file.
    title : str
        The question, for people.
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
