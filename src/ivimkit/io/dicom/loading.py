"""DicomFiles: the opened DICOM files of a scan, as `ivimkit.load` reads them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.io.dicom.choice import AnyPaths, chosen_scan, contents_of
from ivimkit.io.dicom.context import DicomContext, SourceImage
from ivimkit.io.dicom.frame import Frame
from ivimkit.io.dicom.k_space import Facts
from ivimkit.io.dicom.pixels import Values, read_values
from ivimkit.io.dicom.scans import DicomScan
from ivimkit.io.dicom.series_choice import DicomChoice
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.source import Source

__all__ = ["DicomFiles", "open_dicom"]

_NO_CHOICE = DicomChoice()
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_SAME_ECHO_TIME_MS = 0.05


@dataclass(frozen=True, eq=False)
class DicomFiles:
    """The files of one scan.

    Parameters
    ----------
    scan : DicomScan
        Its volumes.
    given : tuple of Path
        The folders, archives and files that were named.
    warnings : tuple of str
        What may make its values wrong.
    """

    scan: DicomScan
    given: tuple[Path, ...]
    warnings: tuple[str, ...] = ()
    alone: None = field(default=None, init=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole scan, (x, y, z, n_volumes)."""
        return self.scan.shape

    @property
    def geometry(self) -> Geometry:
        """Geometry of its volumes."""
        return self.scan.grid.geometry

    @property
    def name(self) -> str:
        """Its name in messages."""
        more = f" and {len(self.given) - 1} more" if len(self.given) > 1 else ""
        return f"{self.given[0]}{more}"

    @property
    def bvals(self) -> NDArray[np.float64]:
        """b-value of each volume, s/mm^2."""
        return self.scan.bvals

    @property
    def bvecs(self) -> NDArray[np.float64] | None:
        """Direction of each volume, shape (n, 3), as in a ``.bvec`` file; None without any.

        In the axes of the voxels; the first one is negated, as FSL does where the affine has a
        positive determinant. That of slices along the normal always has.
        """
        directions = [volume.direction for volume in self.scan.volumes]
        if not any(directions):
            return None
        lps = np.array([direction or (0.0, 0.0, 0.0) for direction in directions])
        first = self.scan.volumes[0].frames[0]
        along = np.array([*first.axes, first.normal])
        found: NDArray[np.float64] = (lps @ along.T) * (-1.0, 1.0, 1.0)
        return found + 0.0  # no -0

    @property
    def variables(self) -> dict[str, Any]:
        """The echo times of the volumes, ms, if they differ."""
        times = np.array([volume.echo_time for volume in self.scan.volumes])
        return {"echo_time": times} if np.ptp(times) > _SAME_ECHO_TIME_MS else {}

    @property
    def facts(self) -> Facts:
        """What the sidecar of a converted scan would say about its acquisition."""
        return self.scan.k_space

    @property
    def context(self) -> DicomContext | None:
        """Patient, study and images, for results in DICOM; None if UIDs are missing or invalid.

        UIDs that an anonymiser has replaced by other texts cannot be referred to.
        """
        images = [[_source_image(frame) for frame in v.frames] for v in self.scan.volumes]
        uids = {uid for volume in images for image in volume for uid in image[:3]}
        if not all(map(_UID.fullmatch, uids)):
            return None
        return DicomContext.of(self.scan.header, images)

    def read(self) -> tuple[NDArray[Any], list[Source]]:
        """Read the scan, shape (x, y, z, n_volumes), a.u., and the checksums of its files.

        Raises
        ------
        FileFormatError
            If a file is damaged, or compressed in a way that cannot be decoded.
        """
        values = read_values(self.scan)
        return values.signal, [Source("scan", *one) for one in self._checksums(values)]

    def _checksums(self, values: Values) -> list[tuple[str, str]]:
        """Return the paths that were named, with a checksum of the files in each that were used.

        It does not depend on their names.
        """
        own: dict[Path, list[str]] = {path: [] for path in self.given}
        for instance, checksum in values.checksums.items():
            path = instance.file.path
            home = next((one for one in self.given if path == one or one in path.parents), None)
            own[home or self.given[0]].append(checksum)
        return [
            (str(path.resolve()), hashlib.sha256("".join(sorted(sums)).encode()).hexdigest())
            for path, sums in own.items()
            if sums
        ]


def _source_image(frame: Frame) -> SourceImage:
    one = frame.instance
    return SourceImage(one.sop_class, one.sop_instance, one.series, frame.number)


def open_dicom(
    given: AnyPaths,
    choice: DicomChoice = _NO_CHOICE,
    *,
    with_b: bool = True,
) -> DicomFiles:
    """Read the headers of DICOM files and choose the scan to load.

    Parameters
    ----------
    given : path or sequence of paths
        Folders, ZIP archives and files.
    choice : DicomChoice
        Which series and images.
    with_b : bool
        Whether images need b-values; False if others are given.

    Raises
    ------
    FileFormatError
        If there are no DICOM images.
    AcquisitionError
        If there is no scan, there are several, or it is not complete.
    OptionError
        If there is no such series.
    """
    paths = [given] if isinstance(given, str | PathLike) else list(given)
    folders = tuple(map(Path, paths))
    name = f"{folders[0]}{' and others' if len(folders) > 1 else ''}"
    contents = contents_of(given, choice)
    scan = chosen_scan(contents, name, choice, with_b=with_b)
    warnings = scan.warnings
    if scan.incomplete:
        warnings = (*warnings, f"left out: {'; '.join(map(str, scan.incomplete))}")
    elsewhere = [str(one) for one in contents.others if one.is_part_of(scan)]
    if elsewhere:
        warnings = (*warnings, f"left out, on another grid: {'; '.join(elsewhere)}")
    if contents.skipped.losses:
        warnings = (*warnings, f"files that could not be used: {contents.skipped.losses}")
    return DicomFiles(scan, folders, warnings)
