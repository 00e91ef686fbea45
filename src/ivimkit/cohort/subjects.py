"""Subject: the files of one scan of a cohort. Paths are all that a worker is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ivimkit.cohort.entities import Entities, name_of
from ivimkit.errors import OptionError

__all__ = ["SIGMA", "Found", "Subject", "check_distinct"]

SIGMA = "sigma"
"""Name of the map of the noise."""


@dataclass(frozen=True)
class Subject:
    """One scan of one subject: what is fitted as a whole.

    Parameters
    ----------
    entities : mapping of str to str
        What its name in BIDS is made of; ``sub`` is among them.
    scan : Path
        Its image.
    bval, bvec, variables : Path, optional
        Its b-values, directions and table of volumes.
    sidecars : tuple of Path
        Its JSON sidecars; what one says replaces what those behind it say.
    mask : str, optional
        The file of its mask, or ``auto``, ``auto:body`` or ``auto:brain``.
    labels : Path, optional
        The image of its regions.
    maps : mapping of str to Path
        Maps of its own by name: `SIGMA`, and parameters that are fixed to a map.
    """

    entities: Entities = field(hash=False)
    scan: Path
    bval: Path | None = None
    bvec: Path | None = None
    variables: Path | None = None
    sidecars: tuple[Path, ...] = ()
    mask: str | None = None
    labels: Path | None = None
    maps: Mapping[str, Path] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """Name of the scan, and beginning of the names of its maps."""
        return name_of(self.entities)

    @property
    def label(self) -> str:
        """Label of the subject."""
        return self.entities["sub"]

    @property
    def session(self) -> str | None:
        """Label of the session."""
        return self.entities.get("ses")

    @property
    def has_mask_file(self) -> bool:
        """Whether its mask is a file, not found in the scan."""
        return self.mask is not None and self.mask.partition(":")[0] != "auto"

    @property
    def inputs(self) -> tuple[Path, ...]:
        """All files that the result depends on."""
        mask = Path(self.mask) if self.mask is not None and self.has_mask_file else None
        given = (
            self.scan, self.bval, self.bvec, self.variables, *self.sidecars, mask, self.labels
        )  # fmt: skip
        return (*(path for path in given if path is not None), *self.maps.values())


@dataclass(frozen=True)
class Found:
    """The scans of a cohort.

    Parameters
    ----------
    subjects : tuple of Subject
        Scans to be fitted.
    skipped : tuple of (str, str)
        Name and reason of each that is not.
    root : Path
        The data set or the table.
    """

    subjects: tuple[Subject, ...]
    skipped: tuple[tuple[str, str], ...]
    root: Path


def check_distinct(subjects: Sequence[Subject]) -> None:
    """Refuse scans whose maps would have the same names.

    Raises
    ------
    OptionError
        If there are two.
    """
    known: dict[str, Path] = {}
    for subject in subjects:
        other = known.setdefault(subject.name, subject.scan)
        if other is not subject.scan:
            raise OptionError(
                f"{other} and {subject.scan} would both be called {subject.name}; expected scans "
                "that differ in an entity other than desc, such as acq or run. Choose one of them "
                "by a filter (--bids-filter-file), or rename one"
            )
