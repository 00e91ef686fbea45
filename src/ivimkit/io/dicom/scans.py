"""DicomScan: volumes that can be fitted together; DicomContents: what a folder contains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from ivimkit.io.dicom.element import text
from ivimkit.io.dicom.files import Skipped
from ivimkit.io.dicom.frame import Frame
from ivimkit.io.dicom.k_space import Facts, of_all_series
from ivimkit.io.dicom.kinds import MEASURED, Kind
from ivimkit.io.dicom.placement import Grid
from ivimkit.io.dicom.reading import ASSUMED_ZERO
from ivimkit.io.dicom.volumes import IncompleteVolume, Stack, Volume

__all__ = ["DicomContents", "DicomScan", "OtherSeries"]

_MAX_NAMED = 3
_MIN_INTERPOLATION = 1.2


@dataclass(frozen=True, eq=False)
class DicomScan:
    """Volumes that can be fitted together: one series, or several of one acquisition.

    Parameters
    ----------
    kind : Kind
        ``"dwi"`` (single directions, or none that is known) or ``"trace"`` (their means).
    grid : Grid
        Where the voxels are.
    first : Frame
        One of its slices.
    volumes : tuple of Volume
        Complete ones: as they were acquired if there is one series, otherwise by b-value.
    incomplete : tuple of IncompleteVolume
        Volumes with missing or doubled slices.
    """

    kind: Kind
    grid: Grid = field(repr=False)
    first: Frame = field(repr=False)
    volumes: tuple[Volume, ...] = field(repr=False)
    incomplete: tuple[IncompleteVolume, ...] = ()

    @property
    def header(self) -> Dataset:
        """Header of its first image, without pixels: patient, study, equipment."""
        return self.first.instance.header

    @property
    def k_space(self) -> Facts:
        """What its headers say about k-space, by the keys of BIDS."""
        series = {frame.instance.series: frame.instance.k_space for frame in self.frames}
        return of_all_series(series.values())

    @property
    def manufacturer(self) -> str:
        """Name of the manufacturer."""
        return self.first.instance.vendor.name

    @property
    def study(self) -> str:
        """UID of its study."""
        return self.first.instance.study

    @property
    def study_date(self) -> str:
        """Date of its study, like ``2026-10-03``; empty if it is not given."""
        return _date(self.header)

    @property
    def description(self) -> str:
        """Description of its first series, or its protocol."""
        return text(self.header, "SeriesDescription") or text(self.header, "ProtocolName")

    @property
    def body_part(self) -> str:
        """Body Part Examined; empty if it is not given."""
        return text(self.header, "BodyPartExamined")

    @property
    def series(self) -> tuple[str, ...]:
        """UIDs of its series."""
        return tuple(uid for uid, _ in self._series)

    @property
    def series_numbers(self) -> tuple[int, ...]:
        """Numbers of its series."""
        return tuple(number for _, number in self._series)

    @property
    def _series(self) -> list[tuple[str, int]]:
        found = [(v.series, v.frames[0].instance.series_number) for v in self.volumes]
        found += [(one.series, one.series_number) for one in self.incomplete]
        return sorted(dict.fromkeys(found), key=lambda one: (one[1], one[0]))

    @property
    def bvals(self) -> NDArray[np.float64]:
        """b-value of each complete volume, s/mm^2; NaN where there is none."""
        return np.array([np.nan if v.b is None else v.b for v in self.volumes])

    @property
    def n_directions(self) -> int:
        """Number of different directions."""
        return len({volume.direction for volume in self.volumes if volume.direction})

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of its volumes."""
        return tuple(sorted({volume.kind.value for volume in self.volumes}))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Columns, rows, slices and complete volumes."""
        return (*self.grid.shape, len(self.volumes))

    @property
    def frames(self) -> list[Frame]:
        """The slices of all volumes."""
        return [frame for volume in self.volumes for frame in volume.frames]

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it cannot be loaded as it is."""
        found = [self.grid.problem] if self.grid.problem else []
        if self.incomplete:
            n = len(self.incomplete)
            names = "; ".join(map(str, self.incomplete[:_MAX_NAMED]))
            more = f"; and {n - _MAX_NAMED} more" if n > _MAX_NAMED else ""
            found.append(f"{n} incomplete volume{'s' * (n > 1)}: {names}{more}")
        if not self.volumes:
            found.append("not one volume is complete")
        return tuple(found)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may make the values wrong, although it can be loaded."""
        return tuple(_warnings(self))

    @property
    def notes(self) -> tuple[str, ...]:
        """What else should be known about its headers."""
        return tuple(_notes(self))

    def to_dict(self) -> dict[str, Any]:
        """Return what ``ivimkit dicom list`` shows, ready for JSON."""
        return {
            "study": self.study,
            "series": list(self.series),
            "series_numbers": list(self.series_numbers),
            "description": self.description,
            "kind": self.kind.value,
            "manufacturer": self.manufacturer,
            "body_part": self.body_part,
            "bvals": [None if np.isnan(b) else b for b in self.bvals.tolist()],
            "n_directions": self.n_directions,
            "shape": list(self.shape),
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class OtherSeries:
    """A series, or part of one, that belongs to no scan.

    Parameters
    ----------
    study, series : str
        UIDs.
    number : int
        Number of the series.
    description : str
        Its description.
    kind : Kind
        What its images show.
    bvals : tuple of float
        Its b-values, s/mm^2.
    n_images : int
        Number of slices of all its images.
    shape : tuple of int
        Columns, rows, slices.
    reason : str
        Why it is not fitted.
    manufacturer : str
        Name of the manufacturer.
    sought : str
        Where b-values of this manufacturer are looked for.
    """

    study: str
    series: str
    number: int
    description: str
    kind: Kind
    bvals: tuple[float, ...]
    n_images: int
    shape: tuple[int, int, int]
    reason: str
    manufacturer: str
    sought: str

    def __str__(self) -> str:
        b = " ".join(f"{b:g}" for b in self.bvals)
        size = " x ".join(map(str, self.shape))
        return f"{self.n_images} images of series {self.number} with b = {b} ({size})"

    def is_part_of(self, scan: DicomScan) -> bool:
        """Whether these are measured images of a series of a scan, which lie elsewhere."""
        return self.series in scan.series and self.kind in MEASURED and bool(self.bvals)


@dataclass(frozen=True, eq=False)
class DicomContents:
    """What a folder, an archive or a list of DICOM files contains.

    Parameters
    ----------
    scans : tuple of DicomScan
        What can be fitted.
    others : tuple of OtherSeries
        Images that cannot, with the reason.
    skipped : Skipped
        Files that are not images of MR.
    stacks : tuple of Stack
        All volumes by series, kind and grid.
    """

    scans: tuple[DicomScan, ...]
    others: tuple[OtherSeries, ...]
    skipped: Skipped
    stacks: tuple[Stack, ...] = field(default=(), repr=False)

    @property
    def studies(self) -> dict[str, str]:
        """Date and scanner of each study, by UID; no names."""
        titles: dict[str, str] = {}
        for stack in self.stacks:
            instance = stack.first.instance
            parts = [_date(instance.header), text(instance.header, "Manufacturer")]
            model = text(instance.header, "ManufacturerModelName")
            software = text(instance.header, "SoftwareVersions").replace("\\", " ")
            words = " ".join(part for part in (*parts, model, software) if part)
            titles.setdefault(instance.study, f"study {words}")
        return titles

    def to_dict(self) -> dict[str, Any]:
        """Return everything that ``ivimkit dicom list`` shows, ready for JSON."""
        return {
            "studies": [{"uid": uid, "title": title} for uid, title in self.studies.items()],
            "scans": [scan.to_dict() for scan in self.scans],
            "others": [asdict(series) for series in self.others],
            "skipped": dict(self.skipped.reasons),
        }


def _date(header: Dataset) -> str:
    date = text(header, "StudyDate")
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else date


def _warnings(scan: DicomScan) -> Iterable[str]:
    if any(frame.b_from == "SequenceName" for frame in scan.frames):
        yield "b-values are from the name of the sequence (0018,0024): nominal ones"
    if any(frame.instance.lossy for frame in scan.frames):
        yield "the images were compressed with loss (0028,2110)"
    if len(scan.series) > 1 and not scan.first.instance.frame_of_reference:
        yield (
            "several series form one scan, without a Frame of Reference UID (0020,0052): "
            "the patient may have been moved between them"
        )


def _notes(scan: DicomScan) -> Iterable[str]:
    if any(frame.b_from == ASSUMED_ZERO for frame in scan.frames):
        yield "images without a b-value are taken as b = 0, since others of their series have one"
    acquired = _acquired_matrix(scan)
    if acquired and max(scan.grid.shape[:2]) > _MIN_INTERPOLATION * max(acquired):
        yield (
            f"the images are interpolated, from a matrix of {acquired[0]} x {acquired[1]} to "
            f"{scan.grid.shape[0]} x {scan.grid.shape[1]}: noise of neighbours is not independent"
        )


def _acquired_matrix(scan: DicomScan) -> tuple[int, int] | None:
    """Return the acquired matrix (0018,1310): two of its four numbers are not 0."""
    sizes = [int(n) for n in scan.header.get("AcquisitionMatrix") or () if n]
    return (sizes[0], sizes[1]) if len(sizes) == 2 else None
