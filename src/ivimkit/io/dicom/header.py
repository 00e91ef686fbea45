"""Header: patient, study, place and identity that all objects of one export share.

Headers of vendors are never handed on: they lack attributes that the standard requires, or contain
invalid ones. Each object starts from a clean header with the values of the source that are valid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.metadata import version

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import config
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.coding import Code
from pydicom.uid import MRImageStorage
from pydicom.valuerep import DSfloat, validate_value

from ivimkit.errors import ShapeError
from ivimkit.io.dicom.body_parts import Region, region_of
from ivimkit.io.dicom.context import PATIENT, STUDY, DicomContext, SourceImage
from ivimkit.io.dicom.quantities import PRIVATE_SCHEME
from ivimkit.io.dicom.texts import MAX_LONG, MAX_SHORT, text_of
from ivimkit.io.dicom.uids import Uids
from ivimkit.scan.geometry import Geometry

__all__ = [
    "MANUFACTURER",
    "MODEL_NAME",
    "RESEARCH",
    "VERSION",
    "Header",
    "coded",
    "decimal",
    "valid",
]

MANUFACTURER = "ivimkit developers"
MODEL_NAME = "ivimkit"
VERSION = version("ivimkit")
RESEARCH = "Research, not for diagnosis."
"""What every object says of its use, where the standard has a place for it."""

MAX_SHIFT_VOXELS = 0.05
"""Distance by which rounded orientations may move a voxel."""

_LENGTHS = {"LO": MAX_LONG, "PN": MAX_LONG, "SH": MAX_SHORT, "CS": MAX_SHORT}
_SEXES = ("M", "F", "O")
# What highdicom and the standard require of every object, empty if the source has none.
_REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_REFERENCE = "PositionReferenceIndicator"
_ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")
# NIfTI and ivimkit count x from right to left and y from back to front, DICOM the other way.
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Header:
    """What all objects of one export share.

    Parameters
    ----------
    context : DicomContext
        Patient, study and images of the scan.
    geometry : Geometry
        Where the voxels are.
    shape : tuple of int
        Number of voxels along x, y, z.
    uids : Uids
        Makes the identifiers.
    made : datetime
        When the result was fitted: a repeated export writes the same bytes.
    settings : tuple of str
        How the result was fitted, as ``name=value``.
    organ : str, optional
        The organ that was fitted.
    first_series : int, optional
        Number of the first series; by default 100 times that of the source.
    """

    context: DicomContext
    geometry: Geometry
    shape: tuple[int, int, int]
    uids: Uids
    made: datetime
    settings: tuple[str, ...] = ()
    organ: str | None = None
    first_series: int | None = None

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """From (slice, row, column) to patient coordinates of DICOM, mm."""
        lps = _right_angled(_TO_LPS @ self.geometry.affine, self.shape)
        # ivimkit counts x = column, y = row, z = slice.
        return lps[:, [2, 1, 0, 3]]

    @property
    def frame_of_reference(self) -> str:
        """That of the images; one made from that of their series, where they have none."""
        return self.context.frame_of_reference or self._uid_of_source("frame of reference")

    @property
    def region(self) -> Region:
        """The part of the body."""
        words = valid("BodyPartExamined", self.context.series.get("BodyPartExamined", ""))
        return region_of(self.organ, str(words))

    def region_uid(self, name: str) -> str:
        """Return the identity of a region of the study, whatever it is fitted with."""
        study = self.context.study.get("StudyInstanceUID") or self._uid_of_source("study")
        return Uids(f"region of {study}", self.uids.root).of(name)

    def _uid_of_source(self, what: str) -> str:
        """Return a UID that the images lack: the same for all results of their series."""
        series = self.context.instances[0].series
        return Uids(f"{what} of {series}", self.uids.root).of()

    def volume(self, array: NDArray[np.generic]) -> hd.Volume:
        """Return an array of shape (x, y, z) as a volume of highdicom."""
        return hd.Volume(
            np.ascontiguousarray(array.transpose(2, 1, 0)),
            affine=self.affine,
            coordinate_system="PATIENT",
            frame_of_reference_uid=self.frame_of_reference,
        )

    def sources(self, position: int) -> list[SourceImage]:
        """Return the images of a slice."""
        return self._slices[position]

    @cached_property
    def _slices(self) -> list[list[SourceImage]]:
        return self.context.slices

    def series_number(self, offset: int) -> int:
        """Return the number of a series of this export."""
        if self.first_series is not None:
            return self.first_series + offset
        text = self.context.series.get("SeriesNumber", "")
        source = int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0
        return 100 * source + 1 + offset

    def of_slice(self, position: int) -> Dataset:
        """Return a clean single-frame header: patient, study, and the place of a slice."""
        made = self.of_study()
        made.SOPClassUID = MRImageStorage
        source = self.sources(position)[0]
        made.SOPInstanceUID, made.SeriesInstanceUID = source.sop_instance, source.series
        made.Modality = "MR"
        made.Columns, made.Rows = self.shape[:2]
        self.place(made, position)
        return made

    def of_study(self) -> Dataset:
        """Return patient, study and frame of reference."""
        made = Dataset()
        made.SpecificCharacterSet = "ISO_IR 192"
        self._set_patient_and_study(made)
        series = self.context.series
        made.PositionReferenceIndicator = valid(_REFERENCE, series.get(_REFERENCE, ""))
        made.FrameOfReferenceUID = self.frame_of_reference
        return made

    def _set_patient_and_study(self, made: Dataset) -> None:
        known = {**self.context.patient, **self.context.study}
        for keyword in (*PATIENT, *STUDY):
            if keyword in known or keyword in _REQUIRED:
                setattr(made, keyword, valid(keyword, known.get(keyword, "")))
        if made.PatientSex not in _SEXES:
            made.PatientSex = ""
        if not made.get("StudyInstanceUID"):
            made.StudyInstanceUID = self._uid_of_source("study")

    def place(self, made: Dataset, position: int) -> None:
        """Set position, orientation and size of the pixels of a slice."""
        affine = self.affine
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        made.ImagePositionPatient = [decimal(x) for x in (affine @ [position, 0, 0, 1])[:3]]
        rows, columns = affine[:3, 1] / spacing[1], affine[:3, 2] / spacing[2]
        made.ImageOrientationPatient = [decimal(x) for x in (*columns, *rows)]
        made.PixelSpacing = [decimal(spacing[1]), decimal(spacing[2])]
        made.SliceThickness = made.SpacingBetweenSlices = decimal(spacing[0])

    def finish(self, made: Dataset, description: str) -> None:
        """Set what every object has: patient, study, series, equipment, time.

        Parameters
        ----------
        made : pydicom.Dataset
            The object, changed.
        description : str
            Of its series.
        """
        # The library copies a part of both, depending on the object.
        self._set_patient_and_study(made)
        made.SeriesDescription = text_of(description)
        for keyword in ("Content", "Series", "InstanceCreation"):
            setattr(made, f"{keyword}Date", self.made.strftime("%Y%m%d"))
            setattr(made, f"{keyword}Time", self.made.strftime("%H%M%S"))
        made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, MODEL_NAME
        made.SoftwareVersions = VERSION
        made.CodingSchemeIdentificationSequence = Items([_scheme()])
        made.ContributingEquipmentSequence = Items([self._scanner()])

    def finish_image(self, made: Dataset, description: str) -> None:
        """Set what every image has: that, and the part of the body."""
        self.finish(made, description)
        series = self.context.series
        side = valid("Laterality", series.get("Laterality", ""))
        if self.region.body_part:
            made.BodyPartExamined = self.region.body_part
        # Required, if only as unknown, where the part of the body may be one of a pair.
        if side or not self.region.body_part:
            made.Laterality = side
        made.PatientPosition = valid("PatientPosition", series.get("PatientPosition", ""))

    def finish_frames(self, made: Dataset, *parts: str) -> None:
        """Set what every multi-frame image has: an identity of its dimensions.

        Parameters
        ----------
        made : pydicom.Dataset
            The image, changed.
        *parts : str
            What it is, for the identity, which the library makes at random.
        """
        # The series has no side: frames have.
        made.pop("Laterality", None)
        organization = self.uids.of(*parts, "dimensions")
        for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
            item.DimensionOrganizationUID = organization
        if "ContentCreatorName" not in made:
            made.ContentCreatorName = ""

    def anatomy(self) -> Dataset:
        """Return the item that names the part of the body in a multi-frame image."""
        made = Dataset()
        side = valid("Laterality", self.context.series.get("Laterality", ""))
        made.FrameLaterality = side if side in ("L", "R") else "U"
        made.AnatomicRegionSequence = Items([coded(self.region.code)])
        return made

    def _scanner(self) -> Dataset:
        """Return the equipment that acquired the images: that of an object is what made it."""
        known = self.context.equipment
        made = Dataset()
        made.PurposeOfReferenceCodeSequence = Items([coded(_ACQUISITION_EQUIPMENT)])
        made.Manufacturer = valid("Manufacturer", known.get("Manufacturer", "")) or "unknown"
        if "ManufacturerModelName" in known:
            made.ManufacturerModelName = valid(
                "ManufacturerModelName", known["ManufacturerModelName"]
            )
        return made


def _right_angled(affine: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return an affine whose edges are exactly at right angles, as those of images are.

    Orientations in headers are rounded, and so never quite at right angles; the nearest rotation,
    from the singular value decomposition, moves no voxel noticeably. A shear is refused.

    Raises
    ------
    ShapeError
        If a voxel would move by more than MAX_SHIFT_VOXELS.
    """
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / sizes)
    made = affine.copy()
    made[:3, :3] = (left @ right) * sizes
    moved = np.abs((made - affine)[:3, :3]) @ np.array(shape) / sizes.min()
    if moved.max() > MAX_SHIFT_VOXELS:
        raise ShapeError(
            f"the edges of the voxels are not at right angles: voxels would move by up to "
            f"{moved.max():.2g} of their size; expected the grid of an image. Fit the images as "
            "they were acquired"
        )
    return made


def valid(keyword: str, text: str) -> str | list[str]:
    """Return the value of an attribute; empty if the standard does not allow it."""
    vr = dictionary_VR(keyword)
    parts = text.upper().split("\\") if vr == "CS" else text.split("\\")
    parts = [part.strip()[: _LENGTHS.get(vr, len(part))] for part in parts]
    if dictionary_VM(keyword) == "1":
        parts = parts[:1]
    try:
        for part in parts:
            validate_value(vr, part, config.RAISE)
    except ValueError:
        return ""
    return parts[0] if len(parts) == 1 else parts


def decimal(value: float) -> DSfloat:
    """Return a number as DICOM writes it, in up to 16 characters."""
    return DSfloat(float(value), auto_format=True)


def coded(code: Code) -> Dataset:
    """Return a code as an item of a sequence."""
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator = code.value, code.scheme_designator
    made.CodeMeaning = code.meaning
    return made


def _scheme() -> Dataset:
    made = Dataset()
    made.CodingSchemeDesignator = PRIVATE_SCHEME
    made.CodingSchemeName = "Codes of ivimkit for intravoxel incoherent motion"
    made.CodingSchemeResponsibleOrganization = MANUFACTURER
    return made
