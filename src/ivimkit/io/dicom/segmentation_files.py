"""Segmentations drawn elsewhere: found among the files of a study, and read as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import SegmentationStorage

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.element import text
from ivimkit.io.dicom.extra import require_dicom
from ivimkit.io.dicom.header import MODEL_NAME
from ivimkit.io.untrusted_files import untrusted
from ivimkit.scan.geometry import Geometry

__all__ = ["ReadSegmentation", "SegmentationFile", "find_segmentations", "read_segmentation"]

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class SegmentationFile:
    """A Segmentation of a study.

    Parameters
    ----------
    path : Path
        The file.
    series : str
        UID of its series.
    frame_of_reference : str
        UID of the space that it lies in.
    """

    path: Path
    series: str
    frame_of_reference: str


@dataclass(frozen=True)
class ReadSegmentation:
    """The regions of a Segmentation.

    Parameters
    ----------
    array : ndarray of int, shape (x, y, z)
        Number of the region of each voxel; 0 is none.
    geometry : Geometry
        Where the voxels are.
    names : dict of int to str
        Names of the regions.
    """

    array: NDArray[np.int32]
    geometry: Geometry
    names: dict[int, str]


def find_segmentations(folder: Path) -> list[SegmentationFile]:
    """Return the Segmentations of a folder.

    Those that ivimkit has written are left out: they would be regions of themselves.

    Parameters
    ----------
    folder : Path
        The folder, with all folders in it.
    """
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            if read_file_meta_info(path).get("MediaStorageSOPClassUID") != SegmentationStorage:
                continue
            header = dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError, ValueError, KeyError, AttributeError):
            # Not one of them: the reader of scans says what is wrong with the others.
            continue
        if text(header, "ManufacturerModelName") != MODEL_NAME:
            series, frame = text(header, "SeriesInstanceUID"), text(header, "FrameOfReferenceUID")
            found.append(SegmentationFile(path, series, frame))
    return found


def read_segmentation(path: Path) -> ReadSegmentation:
    """Read a Segmentation.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FileFormatError
        If it is not one, or its regions overlap.
    InputError
        If highdicom is not installed.
    """
    require_dicom(str(path), "highdicom")
    import highdicom as hd

    def refused(why: str) -> FileFormatError:
        return FileFormatError(
            f"{path} cannot be read as regions: {why}; expected a DICOM Segmentation whose "
            "regions do not overlap. Draw it again, or export NIfTI"
        )

    with untrusted(refused):
        made = hd.seg.segread(path)
        volume = made.get_volume(combine_segments=True, allow_missing_positions=True)
        names = {
            int(number): str(made.get_segment_description(number).segment_label)
            for number in made.segment_numbers
        }
        # Frames, rows, columns become columns, rows, slices; LPS becomes RAS.
        array = np.ascontiguousarray(volume.array.T).astype(np.int32)
        affine = _TO_RAS @ volume.affine[:, [2, 1, 0, 3]]
    return ReadSegmentation(array, Geometry(affine), names)
