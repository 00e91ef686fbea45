"""Headers of files to frames: each file read once, without pixels, and forgotten."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from os import PathLike
from typing import IO

import pydicom
from pydicom import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.element import number, text
from ivimkit.io.dicom.files import DicomFile, Skipped, find_files
from ivimkit.io.dicom.frame import Frame, Instance, PixelLayout
from ivimkit.io.dicom.k_space import Facts, k_space_facts
from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.multi_frame import multi_frames
from ivimkit.io.dicom.single_frame import UnplacedError, single_frames
from ivimkit.io.dicom.vendors import private_tags, vendor_of
from ivimkit.io.untrusted_files import reason_of

__all__ = ["ASSUMED_ZERO", "Frames", "read_frames"]

ASSUMED_ZERO = "0: others of the series have one"
"""Origin of the b-value of an image that has none."""

_ENHANCED = (EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
_MAX_WHOLE_BYTES = 1 << 22
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
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
    *("ScanOptions", "PercentSampling", "PartialFourier", "PartialFourierDirection"),
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
    *("MRAcquisitionType", "EchoTrainLength", "AcquisitionMatrix", "ImagedNucleus"),
    "ImagingFrequency",
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
) -> Frames:
    """Read the headers of all DICOM files of a folder, an archive or a list.

    Parameters
    ----------
    given : path or sequence of paths
        See `find_files`.

    Raises
    ------
    FileFormatError
        If something that was named cannot be read.
    """
    reader = _Reader()
    files = find_files(given, reader.skipped)
    frames: list[Frame] = []
    for file in files:
        frames += reader.frames_of(file)
    return Frames(tuple(_with_missing_b(frames)), reader.skipped)


class _Reader:
    """Reads one file after the other, and remembers what several have in common."""

    def __init__(self) -> None:
        self.skipped = Skipped()
        self.known: set[str] = set()
        self.headers: dict[str, Dataset] = {}
        self.k_space: dict[str, Facts] = {}

    def frames_of(self, file: DicomFile) -> list[Frame]:
        """Return the slices of a file; a file that has none is counted."""
        try:
            with file.opened() as stream, warnings.catch_warnings():
                # pydicom warns of every value that is not quite as the standard wants it.
                warnings.simplefilter("ignore")
                return self._checked_frames(_header(stream), file)
        except EOFError:
            self.skipped.add("truncated", file.name, broken=True)
        except Exception as error:  # noqa: BLE001
            # Files are not trusted: pydicom raises whatever damaged bytes lead to.
            self.skipped.add(f"damaged ({reason_of(error)})", file.name, broken=True)
        return []

    def _checked_frames(self, header: Dataset, file: DicomFile) -> list[Frame]:
        sop_class = text(header, "SOPClassUID")
        if not sop_class:
            if getattr(header, "preamble", None):
                raise EOFError
            self.skipped.add("not DICOM", file.name)
            return []
        if sop_class != MRImageStorage and sop_class not in _ENHANCED:
            self.skipped.add(f"not MR images ({_class_name(sop_class)})", file.name)
            return []
        if (number(header, "SamplesPerPixel") or 1) > 1:
            self.skipped.add("in colour", file.name)
            return []
        if _is_cut(header):
            raise EOFError
        instance = self._instance(header, file, sop_class)
        if instance.sop_instance in self.known:
            self.skipped.add("doubled (the same SOP Instance UID)", file.name)
            return []
        read = multi_frames if sop_class in _ENHANCED else single_frames
        try:
            frames = list(read(header, instance))
        except FileFormatError as error:
            unweighted = instance.vendor.b_value(header) is None
            no_loss = unweighted and isinstance(error, UnplacedError)
            self.skipped.add(str(error), file.name, broken=not no_loss)
            return []
        self.known.add(instance.sop_instance)
        return frames

    def _instance(self, header: Dataset, file: DicomFile, sop_class: str) -> Instance:
        series = text(header, "SeriesInstanceUID")
        vendor = vendor_of(text(header, "Manufacturer"))
        if series not in self.headers:
            self.headers[series] = _identity(header)
            self.k_space[series] = k_space_facts(header, vendor.acquired_share(header))
        return Instance(
            file=file,
            header=self.headers[series],
            vendor=vendor,
            sop_class=sop_class,
            sop_instance=text(header, "SOPInstanceUID") or file.name,
            study=text(header, "StudyInstanceUID"),
            series=series,
            frame_of_reference=text(header, "FrameOfReferenceUID"),
            series_number=int(number(header, "SeriesNumber") or 0),
            number=int(number(header, "InstanceNumber") or 0),
            acquisition=(
                int(number(header, "AcquisitionNumber") or 0),
                int(number(header, "TemporalPositionIdentifier") or 0),
            ),
            layout=_layout(header),
            lossy=text(header, "LossyImageCompression") == "01",
            k_space=self.k_space[series],
        )


def _header(stream: IO[bytes]) -> Dataset:
    """Read a header, and note how much of the file is left for the pixels."""
    start = stream.read(_MAX_WHOLE_BYTES)
    if len(start) < _MAX_WHOLE_BYTES:
        # Parsing seeks a lot, which is faster in memory.
        stream = io.BytesIO(start)
    else:
        stream.seek(0)
    header = pydicom.dcmread(
        stream, stop_before_pixels=True, force=True, specific_tags=_wanted_tags()
    )
    header.pixels_at = stream.tell()
    header.bytes_left = stream.seek(0, io.SEEK_END) - header.pixels_at
    return header


def _is_cut(header: Dataset) -> bool:
    """Whether a file of uncompressed pixels ends before they do.

    Reading stops at the tag of the pixels, so that the rest of the file contains at least them.
    """
    syntax = _syntax(header)
    if syntax is not None and (syntax.is_compressed or syntax.is_deflated):
        return False
    bits = number(header, "BitsAllocated") or 0.0
    for size in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"):
        bits *= number(header, size) or 1.0
    return bool(header.bytes_left < bits / 8)


@cache
def _wanted_tags() -> list[BaseTag]:
    named = [Tag(name) for name in (*_GEOMETRY_AND_DIFFUSION, *_IDENTITY)]
    private = [BaseTag(place) for tag in private_tags() for place in tag.places]
    return list(dict.fromkeys([*named, *private]))


def _class_name(sop_class: str) -> str:
    name = pydicom.uid.UID(sop_class).name
    return name if name != sop_class else f"private class {sop_class}"


def _identity(header: Dataset) -> Dataset:
    """Return the elements to be kept, without those whose values are invalid."""
    kept = Dataset()
    for tag in _identity_tags():
        with suppress(ValueError, TypeError, OverflowError, NotImplementedError):
            if tag in header:
                kept[tag] = header[tag]
    return kept


def _layout(header: Dataset) -> PixelLayout:
    allocated = number(header, "BitsAllocated") or 16
    bits = next(size for size in (8, 16, 32) if allocated <= size or size == 32)
    sizes = (number(header, name) or 1 for name in ("NumberOfFrames", "Rows", "Columns"))
    frames, rows, columns = map(int, sizes)
    return PixelLayout(
        at=header.pixels_at if _syntax(header) in _NATIVE else -1,
        shape=(frames, rows, columns),
        dtype=f"{'int' if number(header, 'PixelRepresentation') else 'uint'}{bits}",
        n_bits=int(number(header, "BitsStored") or bits),
        padding=number(header, "PixelPaddingValue") or 0.0,
    )


def _syntax(header: Dataset) -> UID | None:
    found: UID | None = header.file_meta.get("TransferSyntaxUID")
    return found


@cache
def _identity_tags() -> frozenset[BaseTag]:
    further = ("EchoTime", "SliceThickness", "SpacingBetweenSlices", "ImageType")
    return frozenset(Tag(name) for name in (*_IDENTITY, *further))


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
