"""Task and Outcome: what a worker is sent, and what comes back. Only paths, names and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ivimkit.cohort.ledger import Ledger
from ivimkit.cohort.recipe import Recipe
from ivimkit.cohort.subjects import Subject

__all__ = ["BUSY", "SAMPLES", "Outcome", "Task"]

BUSY = "busy"
"""State of a scan that another process is fitting; the others are those of the ledger."""


SAMPLES = "samples"
"""Folder of the samples for the prior of the cohort, in that of the ledger."""


@dataclass(frozen=True)
class Task:
    """One scan, and what to do with it.

    Parameters
    ----------
    subject : Subject
        The scan.
    recipe : Recipe
        What to do.
    options : str
        Checksum of the recipe.
    out : Path
        The output folder.
    datasets : mapping of str to Path
        Data sets by name, for the origin of files.
    work : Path, optional
        Where an ordinary folder of the result is also written.
    threads : int
        Number of threads.
    overwrite : bool
        Whether results of other inputs or options may be replaced.
    samples : bool
        Whether only a sample is taken for the prior of the cohort, and nothing fitted.
    """

    subject: Subject
    recipe: Recipe
    options: str
    out: Path
    datasets: Mapping[str, Path] = field(default_factory=dict)
    work: Path | None = None
    threads: int = 1
    overwrite: bool = False
    samples: bool = False

    @property
    def ledger(self) -> Ledger:
        """Where account of it is kept."""
        return Ledger(self.out, SAMPLES if self.samples else "")

    @property
    def is_done(self) -> bool:
        """Whether it has been done, with the same inputs and options."""
        return self.ledger.is_done(self.subject, self.options)


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Parameters
    ----------
    name : str
        The scan.
    state : str
        `BUSY`, or a state of the ledger.
    sentence : str
        Why, if it has no maps.
    seconds : float
        How long it took.
    warnings : int
        How many warnings there were.
    """

    name: str
    state: str
    sentence: str = ""
    seconds: float = 0.0
    warnings: int = 0
