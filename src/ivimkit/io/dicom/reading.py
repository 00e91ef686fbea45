"""Headers of files to frames: each file read once, without pixels, and forgotten."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from os import PathLike
from typing import IO

import pydicom
from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.element import number, text
from ivimkit.io.dicom.files import DicomFile, Skipped, find_files
from ivimkit.io.dicom.frame import Frame, Instance
from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.multi_frame import multi_frames
from ivimkit.io.dicom.single_frame import single_frames
from ivimkit.io.dicom.vendors import private_tags, vendor_of
from ivimkit.io.untrusted_files import reason_of

__all__ = ["ASSUMED_ZERO", "Frames", "Progress", "read_frames"]

Progress = Callable[[int, int], None]
"""Called with the number of files that are read and that of all."""

ASSUMED_ZERO = "0: others of the series have one"
"""Origin of the b-value of an image that has none."""

_ENHANCED = (EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_GEOMETRY_AND_DIFFUSION = (
    *("ImageType", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows"),
    *("Columns", "PixelSpacing", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("PixelPaddingValue", "LossyImageCompression", "RescaleSlope", "RescaleIntercept"),
    *("RescaleType", "Units", "ImagePositionPatient", "ImageOrientationPatient"),
    *("SliceThickness", "SpacingBetweenSlices", "EchoTime", "SequenceName", "ImageComments"),
    *("InPlanePhaseEncodingDirection", "ComplexImageComponent", "DiffusionBValue"),
    *("DiffusionDirectionality", "DiffusionGradientOrientation"),
    *("DiffusionGradientDirectionSequence", "RealWorldValueMappingSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
_IDENTITY = (
    # Patient and study
    *("SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientSex"),
    *("PatientBirthDate", "PatientAge", "PatientSize", "PatientWeight", "PatientIdentityRemoved"),
    *("DeidentificationMethod", "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime"),
    *("StudyDescription", "AccessionNumber", "ReferringPhysicianName", "OtherPatientIDs"),
    # Series, equipment and frame of reference
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime"),
    *("ProtocolName", "Modality", "BodyPartExamined", "Laterality", "PatientPosition"),
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber"),
    *("StationName", "InstitutionName", "MagneticFieldStrength", "FrameOfReferenceUID"),
    *("PositionReferenceIndicator", "TimezoneOffsetFromUTC", "AnatomicRegionSequence"),
    # Acquisition and instance
    *("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "AcquisitionNumber"),
    *("TemporalPositionIdentifier", "AcquisitionDate", "AcquisitionTime", "ContentDate"),
    *("ContentTime", "RepetitionTime", "FlipAngle", "ScanningSequence", "SequenceVariant"),
    *(
        "MRAcquisitionType",
        "EchoTrainLength",
        "AcquisitionMatrix",
        "ImagedNucleus",
        "ImagingFrequency",
    ),
)


@dataclass(frozen=True)
class Frames:
    """What was read.

    Parameters
    ----------
    frames : tuple of Frame
        All slices of MR images.
    skipped : Skipped
        Files that were left out.
    """

    frames: tuple[Frame, ...]
    skipped: Skipped


def read_frames(
    given: str | PathLike[str] | Sequence[str | PathLike[str]],
    progress: Progress | None = None,
) -> Frames:
    """Read the headers of all DICOM files of a folder, an archive or a list.

    Parameters
    ----------
    given : path or sequence of paths
        See `find_files`.
    progress : callable, optional
        Called after each file.

    Raises
    ------
    FileFormatError
        If something that was named cannot be read.
    """
    skipped = Skipped()
    files = find_files(given, skipped)
    frames: list[Frame] = []
    known: set[str] = set()
    for count, file in enumerate(files, start=1):
        frames.extend(_frames_of(file, skipped, known))
        if progress is not None:
            progress(count, len(files))
    return Frames(tuple(_with_missing_b(frames)), skipped)


def _frames_of(file: DicomFile, skipped: Skipped, known: set[str]) -> list[Frame]:
    """Return the slices of a file; a file that has none is counted."""
    try:
        with file.opened() as stream, warnings.catch_warnings():
            # pydicom warns of every value that is not quite as the standard wants it.
            warnings.simplefilter("ignore")
            header = _header(stream)
            return _checked_frames(header, file, skipped, known)
    except FileFormatError as error:
        skipped.add(str(error), file.name, broken=True)
    except EOFError:
        skipped.add("truncated", file.name, broken=True)
    except Exception as error:  # noqa: BLE001
        # Files are not trusted: pydicom raises whatever damaged bytes lead to.
        skipped.add(f"damaged ({reason_of(error)})", file.name, broken=True)
    return []


def _header(stream: IO[bytes]) -> Dataset:
    if not stream.seekable():
        stream = io.BytesIO(stream.read())
    header = pydicom.dcmread(
        stream, stop_before_pixels=True, force=True, specific_tags=list(_wanted_tags())
    )
    if "PixelData" not in header and _is_cut(header, stream):
        raise EOFError
    return header


def _is_cut(header: Dataset, stream: IO[bytes]) -> bool:
    """Whether a file of uncompressed pixels ends before they do.

    Reading stops at the tag of the pixels, so that the rest of the file contains at least them.
    """
    if header.file_meta.get("TransferSyntaxUID", None) is not None and (
        header.file_meta.TransferSyntaxUID.is_compressed
    ):
        return False
    sizes = ("Rows", "Columns", "BitsAllocated")
    bits = 1.0
    for size in (*sizes, "SamplesPerPixel", "NumberOfFrames"):
        bits *= number(header, size) or (0.0 if size in sizes else 1.0)
    at = stream.tell()
    return stream.seek(0, io.SEEK_END) - at < bits / 8


@cache
def _wanted_tags() -> tuple[int, ...]:
    named = [Tag(name) for name in (*_GEOMETRY_AND_DIFFUSION, *_IDENTITY)]
    private = [Tag(place) for tag in private_tags() for place in tag.places]
    return tuple(dict.fromkeys([*named, *private]))


def _checked_frames(
    header: Dataset, file: DicomFile, skipped: Skipped, known: set[str]
) -> list[Frame]:
    sop_class = text(header, "SOPClassUID")
    if not sop_class:
        if getattr(header, "preamble", None):
            raise EOFError
        skipped.add("not DICOM", file.name)
        return []
    if sop_class != MRImageStorage and sop_class not in _ENHANCED:
        skipped.add(f"not MR images ({_class_name(sop_class)})", file.name)
        return []
    instance = _instance(header, file, sop_class)
    if instance.sop_instance in known:
        skipped.add("doubled (the same SOP Instance UID)", file.name)
        return []
    frames = list((multi_frames if sop_class in _ENHANCED else single_frames)(header, instance))
    known.add(instance.sop_instance)
    return frames


def _class_name(sop_class: str) -> str:
    name = pydicom.uid.UID(sop_class).name
    return name if name != sop_class else f"private class {sop_class}"


def _instance(header: Dataset, file: DicomFile, sop_class: str) -> Instance:
    kept = Dataset()
    identity = _identity_tags()
    kept.update({tag: header[tag] for tag in header.keys() if tag in identity})  # noqa: SIM118
    return Instance(
        file=file,
        header=kept,
        vendor=vendor_of(text(header, "Manufacturer")),
        sop_class=sop_class,
        sop_instance=text(header, "SOPInstanceUID") or file.name,
        study=text(header, "StudyInstanceUID"),
        series=text(header, "SeriesInstanceUID"),
        frame_of_reference=text(header, "FrameOfReferenceUID"),
        series_number=int(number(header, "SeriesNumber") or 0),
        number=int(number(header, "InstanceNumber") or 0),
        acquisition=(
            int(number(header, "AcquisitionNumber") or 0),
            int(number(header, "TemporalPositionIdentifier") or 0),
        ),
        dtype=_stored_type(header),
    )


def _stored_type(header: Dataset) -> str:
    bits = 8 if (number(header, "BitsAllocated") or 16) <= 8 else 16
    bits = bits if (number(header, "BitsAllocated") or 16) <= 16 else 32
    return f"{'int' if number(header, 'PixelRepresentation') else 'uint'}{bits}"


@cache
def _identity_tags() -> frozenset[int]:
    further = ("EchoTime", "SliceThickness", "SpacingBetweenSlices", "LossyImageCompression")
    return frozenset(Tag(name) for name in (*_IDENTITY, *further, "ImageType"))


def _with_missing_b(frames: Sequence[Frame]) -> Iterator[Frame]:
    """Give images without b-value and direction b = 0, if others of their series have b > 0.

    GE and Canon leave out the b-value of images without weighting.
    """
    weighted = {frame.instance.series for frame in frames if frame.b}
    for frame in frames:
        measured = frame.kind in (Kind.DWI, Kind.TRACE)
        bare = frame.b is None and frame.direction is None
        if measured and bare and frame.instance.series in weighted:
            yield replace(frame, b=0.0, b_from=ASSUMED_ZERO)
        else:
            yield frame
