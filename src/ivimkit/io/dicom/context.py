"""DicomContext: patient, study and images that a scan came from, for results in DICOM."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import msgspec

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.uids import MAX_UID_LENGTH
from ivimkit.io.json_form import converted
from ivimkit.io.json_text import read_json, to_json
from ivimkit.io.untrusted_files import untrusted

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = [
    "CONTEXT",
    "PATIENT",
    "STUDY",
    "DicomContext",
    "Instance",
    "SourceImage",
    "load_context",
]

CONTEXT = "dicom.json"
"""Name of the file of the context in the folder of a result."""

FORMAT: Final = 1

# What identifies a person is in the first group and in the private part of the second.
PATIENT = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
)
"""Keywords of attributes of the patient that are kept."""

_PRIVATE_STUDY = ("StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName")
STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", *_PRIVATE_STUDY)
"""Keywords of attributes of the study that are kept."""

_SERIES = (
    "SeriesNumber",
    "SeriesDescription",
    "BodyPartExamined",
    "Laterality",
    "PatientPosition",
    "PositionReferenceIndicator",
)
_EQUIPMENT = (
    "Manufacturer",
    "ManufacturerModelName",
    "MagneticFieldStrength",
    "ScanningSequence",
    "SequenceVariant",
    "MRAcquisitionType",
    "RepetitionTime",
    "EchoTime",
)

_UID = r"^[0-9]+(\.[0-9]+)*$(?!\n)"
_UID_OR_NONE = r"^([0-9]+(\.[0-9]+)*)?$(?!\n)"
Uid = Annotated[str, msgspec.Meta(pattern=_UID, max_length=MAX_UID_LENGTH)]
UidOrNone = Annotated[str, msgspec.Meta(pattern=_UID_OR_NONE, max_length=MAX_UID_LENGTH)]
Number = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class SourceImage(NamedTuple):
    """The image of one slice of one volume.

    Attributes
    ----------
    sop_class : str
        SOP Class UID of its instance.
    sop_instance : str
        SOP Instance UID.
    series : str
        Series Instance UID.
    frame : int
        Number of the frame in the instance, from 1; 0 for an instance of one frame, which the
        slices of a mosaic share.
    """

    sop_class: str
    sop_instance: str
    series: str
    frame: int = 0


class Instance(msgspec.Struct, frozen=True):
    """A DICOM instance: its SOP class, itself and its series, by UID."""

    sop_class: Uid
    sop_instance: Uid
    series: Uid


class DicomContext(msgspec.Struct, frozen=True, kw_only=True):
    """What results in DICOM take from the images of the scan.

    Attributes
    ----------
    patient, study, series, equipment : mapping of str to str
        Attributes by keyword, as DICOM writes them; those that the images do not have are missing.
    frame_of_reference : str
        Frame of Reference UID; empty if the images have none.
    instances : list of Instance
        Each instance once.
    volumes : list of list of (int, int)
        For each volume and each slice, the position of its instance in `instances`, and the number
        of the frame in it, see `SourceImage`.

    Examples
    --------
    >>> from ivimkit.io.dicom.context import DicomContext, Instance
    >>> context = DicomContext(
    ...     patient={"PatientID": "7"},
    ...     instances=[Instance("1.2.840.10008.5.1.4.1.1.4", "1.2.3", "1.2")],
    ...     volumes=[[(0, 0)]],
    ... )
    >>> context.slices[0][0].sop_instance, context.anonymous().patient
    ('1.2.3', {})
    """

    patient: dict[str, str] = {}
    study: dict[str, str] = {}
    series: dict[str, str] = {}
    equipment: dict[str, str] = {}
    frame_of_reference: UidOrNone = ""
    instances: list[Instance]
    volumes: list[list[tuple[Number, Number]]]

    @classmethod
    def of(cls, header: Dataset, volumes: Sequence[Sequence[SourceImage]]) -> DicomContext:
        """Return the context of a scan.

        Parameters
        ----------
        header : pydicom.Dataset
            The header of one of its images.
        volumes : sequence of sequence of SourceImage
            The images, by volume and slice, in the order of the signal.
        """
        every = [image for volume in volumes for image in volume]
        known = dict.fromkeys(Instance(*image[:3]) for image in every)
        place = {instance: number for number, instance in enumerate(known)}
        return cls(
            patient=_attributes(header, PATIENT),
            study=_attributes(header, STUDY),
            series=_attributes(header, _SERIES),
            equipment=_attributes(header, _EQUIPMENT),
            frame_of_reference=_uid(_value(header, "FrameOfReferenceUID")),
            instances=list(known),
            volumes=[
                [(place[Instance(*image[:3])], image.frame) for image in volume]
                for volume in volumes
            ],
        )

    @property
    def slices(self) -> list[list[SourceImage]]:
        """The images of each slice, in the order of the volumes."""
        return [
            [
                SourceImage(one.sop_class, one.sop_instance, one.series, frame)
                for volume in self.volumes
                for one, frame in [(self.instances[volume[k][0]], volume[k][1])]
            ]
            for k in range(len(self.volumes[0]))
        ]

    @property
    def digest(self) -> str:
        """SHA-256 of SOP Instance UIDs and frames: the same for the same images in any order."""
        used = {(place, frame) for volume in self.volumes for place, frame in volume}
        names = sorted(f"{self.instances[place].sop_instance} {frame}" for place, frame in used)
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    def of_volumes(self, volumes: Sequence[int]) -> DicomContext:
        """Return the context of some of the volumes, by their positions."""
        chosen = [self.volumes[int(number)] for number in volumes]
        used = dict.fromkeys(place for volume in chosen for place, _ in volume)
        new = {old: number for number, old in enumerate(used)}
        return msgspec.structs.replace(
            self,
            instances=[self.instances[old] for old in used],
            volumes=[[(new[place], frame) for place, frame in volume] for volume in chosen],
        )

    def anonymous(self) -> DicomContext:
        """Return the context without what identifies a person; UIDs and dates of the study stay.

        Left out are all attributes of the patient, and the number, the description, the accession
        number and the referring physician of the study.
        """
        kept = {key: text for key, text in self.study.items() if key not in _PRIVATE_STUDY}
        return msgspec.structs.replace(self, patient={}, study=kept)

    def save(self, path: Path) -> None:
        """Write the context as JSON that only the user may read: it contains names."""
        record = _Record(
            format="ivimkit dicom context",
            format_version=FORMAT,
            digest=self.digest,
            context=self,
        )
        text = to_json(msgspec.to_builtins(record)) + "\n"
        # Private from its first byte on; `chmod` afterwards would leave a moment.
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``dicom.json``."""

    format: Literal["ivimkit dicom context"]
    format_version: Literal[1]
    digest: str
    context: DicomContext


def load_context(path: Path, n_slices: int | None = None) -> DicomContext:
    """Read a context that `DicomContext.save` has written.

    Attributes
    ----------
    path : Path
        The file.
    n_slices : int, optional
        Number of slices of the maps that it belongs to.

    Raises
    ------
    FileFormatError
        If there is no such file, it is damaged, or it belongs to other maps.
    """
    content = read_json(path)
    with untrusted(lambda why: _damaged(path, why)):
        context = converted(content, _Record).context
        _check(context, n_slices)
    return context


def _check(context: DicomContext, n_slices: int | None) -> None:
    """Refuse volumes without slices, of different sizes, or of instances that are not listed."""
    counts = {len(volume) for volume in context.volumes}
    if len(counts) != 1 or counts == {0}:
        raise ValueError("context.volumes: expected the same number of slices in each")
    if n_slices is not None and counts != {n_slices}:
        raise ValueError(f"it is about {counts.pop()} slices, and the maps have {n_slices}")
    highest = max(place for volume in context.volumes for place, _ in volume)
    if highest >= len(context.instances):
        raise ValueError(f"context.volumes: there is no instance {highest}")


def _damaged(path: Path, why: str) -> FileFormatError:
    return FileFormatError(
        f"{path} cannot be used ({why}); expected the DICOM context of the result. Fit again, or "
        "delete it to use the result without"
    )


def _attributes(header: Dataset, keywords: Sequence[str]) -> dict[str, str]:
    """Return the attributes that a header has, as text; several values separated by backslash."""
    found = {}
    for keyword in keywords:
        value = _value(header, keyword)
        if value is None:
            continue
        several = isinstance(value, Sequence) and not isinstance(value, str)
        text = "\\".join(map(str, value)) if several else str(value)
        if text.strip():
            found[keyword] = text.strip()
    return found


def _uid(value: Any) -> str:
    """Return a UID; empty if there is none, or an anonymiser has replaced it by another text."""
    text = str(value or "").strip()
    return text if re.match(_UID, text) and len(text) <= MAX_UID_LENGTH else ""


def _value(header: Dataset, keyword: str) -> Any:
    """Return an attribute; None if there is none, or its value cannot be read."""
    with warnings.catch_warnings():
        # Invalid values are kept: they are checked when they are written.
        warnings.simplefilter("ignore")
        with suppress(ValueError, TypeError, OverflowError):
            return header.get(keyword)
    return None
