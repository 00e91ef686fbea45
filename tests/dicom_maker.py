"""DICOM made from arrays, as scanners of six manufacturers write it; in memory, to be changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

__all__ = ["VENDORS", "Made", "enhanced", "grid", "mosaic", "save", "slices"]

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
Direction = tuple[float, float, float] | None


@dataclass(frozen=True)
class Made:
    """A scan that is to become DICOM.

    Parameters
    ----------
    stored : ndarray of int, shape (x, y, z, n_volumes)
        Stored values.
    bvals : sequence of float
        b-values, s/mm^2.
    directions : sequence of Direction, optional
        Directions (LPS), of length 1; None where there is none. Without it, means of directions.
    affine : ndarray, shape (4, 4)
        RAS, mm; slices along the normal.
    slope, intercept : float
        From stored values to values.
    number : int
        Of the series.
    description : str
        Of the series.
    study, frame : str
        UIDs of the study and the frame of reference.
    """

    stored: NDArray[Any]
    bvals: Sequence[float]
    directions: Sequence[Direction] | None = None
    affine: NDArray[np.float64] = field(default_factory=lambda: np.diag([-2.0, -2.0, 3.0, 1.0]))
    slope: float = 1.0
    intercept: float = 0.0
    number: int = 5
    description: str = "ep2d_diff_ivim"
    study: str = "1.2.3.4"
    frame: str = "1.2.3.5"

    @cached_property
    def series(self) -> str:
        """UID of the series."""
        return f"{self.study}.{self.number}"

    @cached_property
    def lps(self) -> NDArray[np.float64]:
        """The affine in the axes of DICOM."""
        return _TO_LPS @ self.affine

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Of columns, rows and slices, mm."""
        return np.sqrt((self.lps[:3, :3] ** 2).sum(axis=0))

    def direction(self, volume: int) -> Direction:
        """Direction of a volume."""
        return None if self.directions is None else self.directions[volume]

    def position(self, z: int) -> list[float]:
        """Image Position of a slice."""
        return (self.lps @ [0, 0, z, 1])[:3].tolist()


def _texts(numbers: Iterable[float]) -> list[str]:
    return [f"{number:.10g}" for number in numbers]


def _header(made: Made, instance: int, sop_class: str) -> Dataset:
    d = Dataset()
    d.SOPClassUID, d.SOPInstanceUID = sop_class, f"{made.series}.{instance}"
    d.StudyInstanceUID, d.SeriesInstanceUID = made.study, made.series
    if made.frame:
        d.FrameOfReferenceUID = made.frame
    d.Modality, d.PatientName, d.PatientID = "MR", "Phantom^Anna", "4711"
    d.StudyDate, d.BodyPartExamined = "20261003", "LIVER"
    d.SeriesNumber, d.InstanceNumber, d.SeriesDescription = made.number, instance, made.description
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    signed = made.stored.dtype.kind == "i"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, int(signed)
    return d


def _geometry(d: Dataset, made: Made) -> None:
    x, y, z = made.spacing
    d.PixelSpacing, d.SliceThickness = _texts([y, x]), f"{z:.10g}"
    d.ImageOrientationPatient = _texts([*made.lps[:3, 0] / x, *made.lps[:3, 1] / y])


def _pixels(d: Dataset, image: NDArray[Any]) -> None:
    d.Rows, d.Columns = image.shape[-2:]
    d.PixelData = np.ascontiguousarray(image).tobytes()


def _along(d: Dataset, direction: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return a direction along row, column and normal of an image."""
    row, column = np.array(d.ImageOrientationPatient, dtype=float).reshape(2, 3)
    x, y, z = (float(axis @ direction) for axis in (row, column, np.cross(row, column)))
    return x, y, z


Dress = Callable[[Dataset, float, Direction], None]


def siemens(d: Dataset, b: float, direction: Direction) -> None:
    """Dress an image as by Siemens, software V."""
    d.Manufacturer = "SIEMENS"
    block = d.private_block(0x19, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", str(int(b)))
    if direction is not None:
        block.add_new(0x0E, "FD", list(direction))
        d.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "ND"]
    else:
        d.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "ND"]


def ge(d: Dataset, b: float, direction: Direction) -> None:
    """Dress an image as by GE: combined ones have an offset, b = 0 no standard element."""
    d.Manufacturer, d.InPlanePhaseEncodingDirection = "GE MEDICAL SYSTEMS", "COL"
    d.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    combined = b > 0 and direction is None
    block = d.private_block(0x43, "GEMS_PARM_01", create=True)
    block.add_new(0x39, "IS", [str(int(b) + combined * 10**9), "8", "0", "0"])
    if direction is not None:
        row, column, normal = _along(d, direction)
        own = d.private_block(0x19, "GEMS_ACQU_01", create=True)
        for element, value in zip((0xBB, 0xBC, 0xBD), (row, column, -normal), strict=True):
            own.add_new(element, "DS", f"{value:.8f}")


def philips(d: Dataset, b: float, direction: Direction) -> None:
    """Dress an image as by Philips."""
    d.Manufacturer, d.ImageType = "Philips", ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"]
    d.DiffusionBValue = float(b)
    d.DiffusionGradientOrientation = [0.0, 0.0, 0.0] if direction is None else list(direction)
    if b > 0:
        d.DiffusionDirectionality = "ISOTROPIC" if direction is None else "DIRECTIONAL"


def uih(d: Dataset, b: float, direction: Direction) -> None:
    """Dress an image as by United Imaging."""
    d.Manufacturer, d.ImageType = "UIH", ["ORIGINAL", "PRIMARY", "M"]
    block = d.private_block(0x65, "Image Private Header", create=True)
    block.add_new(0x09, "FD", float(b))
    if direction is not None:
        block.add_new(0x37, "FD", list(_along(d, direction)))


def canon(d: Dataset, b: float, direction: Direction) -> None:
    """Dress an image as by Canon V6.0: no b-value where it is 0, directions as a comment."""
    d.Manufacturer, d.ImageType = "CANON_MEC", ["ORIGINAL", "PRIMARY", "GDC"]
    if b > 0:
        d.DiffusionBValue = float(b)
    if direction is not None:
        row, column, normal = _along(d, direction)
        d.InPlanePhaseEncodingDirection = "COL"
        d.ImageComments = f"b={b:g}({-column:.6f},{-row:.6f},{normal:.6f})"


def fuji(d: Dataset, b: float, direction: Direction) -> None:
    """Dress an image as by Fujifilm: standard elements."""
    d.Manufacturer, d.ImageType = "FUJIFILM Healthcare", ["ORIGINAL", "PRIMARY", "DIFFUSION"]
    d.DiffusionBValue = float(b)
    if direction is not None:
        d.DiffusionGradientOrientation = list(direction)


VENDORS: dict[str, Dress] = {
    "siemens": siemens,
    "ge": ge,
    "philips": philips,
    "uih": uih,
    "canon": canon,
    "fuji": fuji,
}


def _image(made: Made, instance: int, volume: int, dress: Dress) -> Dataset:
    """Return a classic image without position and pixels."""
    d = _header(made, instance, MRImageStorage)
    _geometry(d, made)
    d.AcquisitionNumber, d.EchoTime = volume + 1, "60"
    if (made.slope, made.intercept) != (1.0, 0.0):
        d.RescaleSlope, d.RescaleIntercept = _texts([made.slope, made.intercept])
    dress(d, made.bvals[volume], made.direction(volume))
    return d


def slices(made: Made, vendor: str = "siemens") -> list[Dataset]:
    """Return one classic image per slice, volume by volume."""
    found: list[Dataset] = []
    with disable_value_validation():
        for volume in range(made.stored.shape[3]):
            image = _image(made, 1, volume, VENDORS[vendor])
            for z in range(made.stored.shape[2]):
                # Elements of their own, as tests change them; making them anew takes longer.
                d = Dataset({element.tag: copy(element) for element in image})
                d.InstanceNumber = len(found) + 1
                d.SOPInstanceUID = f"{made.series}.{d.InstanceNumber}"
                d.ImagePositionPatient = _texts(made.position(z))
                _pixels(d, made.stored[:, :, z, volume].T)
                found.append(d)
    return found


def mosaic(made: Made) -> list[Dataset]:
    """Return one Siemens mosaic per volume."""
    columns, rows, n, volumes = made.stored.shape
    across = math.isqrt(n - 1) + 1
    found = []
    for volume in range(volumes):
        d = _image(made, volume + 1, volume, siemens)
        d.ImageType = [*d.ImageType, "MOSAIC"]
        d.private_block(0x19, "SIEMENS MR HEADER").add_new(0x0A, "US", n)
        # As if the mosaic were one slice around the same centre.
        wider = np.array([columns * (across - 1) / 2, rows * (across - 1) / 2, 0, 1])
        d.ImagePositionPatient = _texts((made.lps @ (wider * [-1, -1, 1, 1]))[:3])
        _pixels(d, _tiled(made.stored[..., volume], across, across))
        found.append(d)
    return found


def grid(made: Made) -> list[Dataset]:
    """Return one UIH grid per volume."""
    n = made.stored.shape[2]
    across = math.isqrt(n - 1) + 1
    found = []
    for volume in range(made.stored.shape[3]):
        d = _image(made, volume + 1, volume, uih)
        d.ImageType = [*d.ImageType, "VFRAME"]
        d.ImagePositionPatient = _texts(made.position(0))
        items = []
        for z in range(n):
            item = Dataset()
            item.ImagePositionPatient = _texts(made.position(z))
            items.append(item)
        block = d.private_block(0x65, "Image Private Header")
        block.add_new(0x50, "DS", str(n))
        block.add_new(0x51, "SQ", items)
        _pixels(d, _tiled(made.stored[..., volume], across, math.ceil(n / across)))
        found.append(d)
    return found


def _tiled(volume: NDArray[Any], across: int, down: int) -> NDArray[Any]:
    columns, rows, n = volume.shape
    image = np.zeros((down * rows, across * columns), dtype=volume.dtype)
    for z in range(n):
        y, x = divmod(z, across)
        image[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns] = volume[:, :, z].T
    return image


def enhanced(made: Made, *, one_file: bool = True) -> list[Dataset]:
    """Return enhanced images: one for the scan, or one per volume."""
    n_slices, n_volumes = made.stored.shape[2:]
    groups = [range(n_volumes)] if one_file else [[v] for v in range(n_volumes)]
    found = []
    for instance, volumes in enumerate(groups, start=1):
        d = _header(made, instance, EnhancedMRImageStorage)
        d.Manufacturer, d.ImageType = "FUJIFILM", ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
        d.SharedFunctionalGroupsSequence = [_shared(made)]
        d.PerFrameFunctionalGroupsSequence = [
            _frame(made, v, z) for v in volumes for z in range(n_slices)
        ]
        d.NumberOfFrames = len(d.PerFrameFunctionalGroupsSequence)
        _pixels(d, np.stack([made.stored[:, :, z, v].T for v in volumes for z in range(n_slices)]))
        found.append(d)
    return found


def _item(**values: Any) -> list[Dataset]:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return [item]


def _shared(made: Made) -> Dataset:
    flat = Dataset()
    _geometry(flat, made)
    d = Dataset()
    d.PixelMeasuresSequence = _item(
        PixelSpacing=flat.PixelSpacing, SliceThickness=flat.SliceThickness
    )
    d.PlaneOrientationSequence = _item(ImageOrientationPatient=flat.ImageOrientationPatient)
    d.MREchoSequence = _item(EffectiveEchoTime=60.0)
    return d


def _frame(made: Made, volume: int, z: int) -> Dataset:
    d = Dataset()
    b, direction = made.bvals[volume], made.direction(volume)
    kind = "NONE" if b == 0 else "ISOTROPIC" if direction is None else "DIRECTIONAL"
    diffusion = _item(DiffusionBValue=float(b), DiffusionDirectionality=kind)
    if direction is not None:
        diffusion[0].DiffusionGradientDirectionSequence = _item(
            DiffusionGradientOrientation=list(direction)
        )
    d.MRDiffusionSequence = diffusion
    d.PlanePositionSequence = _item(ImagePositionPatient=_texts(made.position(z)))
    d.FrameContentSequence = _item(TemporalPositionIndex=volume + 1)
    d.PixelValueTransformationSequence = _item(
        RescaleSlope=f"{made.slope:.10g}", RescaleIntercept=f"{made.intercept:.10g}"
    )
    return d


def save(
    datasets: Iterable[Dataset],
    folder: Path,
    names: Sequence[str] = (),
    syntax: str = ExplicitVRLittleEndian,
) -> list[Path]:
    """Write datasets as files, with names or numbers; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, d in enumerate(datasets):
        d.file_meta = FileMetaDataset()
        d.file_meta.TransferSyntaxUID = syntax
        d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID
        d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
        path = folder / (names[number] if names else f"{number:05d}.dcm")
        d.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def renumbered(datasets: Iterable[Dataset]) -> list[Dataset]:
    """Return datasets with new SOP Instance UIDs, as if they were other images."""
    found = list(datasets)
    for d in found:
        d.SOPInstanceUID = generate_uid()
    return found
