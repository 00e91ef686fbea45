"""Values of the volumes of a scan: decoded, cut from mosaics, rescaled."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.element import number
from ivimkit.io.dicom.frame import Frame, Instance
from ivimkit.io.dicom.scans import DicomScan
from ivimkit.io.dicom.tiles import tile_of
from ivimkit.io.untrusted_files import untrusted

__all__ = ["Values", "read_values"]

_WANTED = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"),
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "PixelPaddingValue"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "SOPClassUID"),
)
_MAX_WORKERS = 8
_SAME_SCALE = 1e-4


class Values:
    """What the files of a scan contain.

    Parameters
    ----------
    signal : ndarray, shape (columns, rows, slices, n_volumes)
        Values: integers if nothing is rescaled, otherwise float32.
    checksums : dict of Instance to str
        SHA-256 of the file of each image object.
    """

    def __init__(self, signal: NDArray[Any], checksums: dict[Instance, str]) -> None:
        self.signal, self.checksums = signal, checksums


def read_values(scan: DicomScan) -> Values:
    """Read the pixels of all volumes.

    Parameters
    ----------
    scan : DicomScan
        The scan; its volumes are complete.

    Raises
    ------
    FileFormatError
        If a file is damaged, or compressed in a way that cannot be decoded.
    """
    factor = _factors(scan)
    plain = all(
        (f.slope * factor[id(f)], f.intercept * factor[id(f)]) == (1.0, 0.0) for f in scan.frames
    )
    places: dict[Instance, list[tuple[Frame, int, int]]] = defaultdict(list)
    for v, volume in enumerate(scan.volumes):
        for z, frame in enumerate(volume.frames):
            places[frame.instance].append((frame, z, v))
    kinds = {np.dtype(instance.dtype) for instance in places}
    dtype = np.result_type(*kinds) if plain else np.dtype(np.float32)
    signal = _Signal(np.empty(scan.shape, dtype=dtype, order="F"), plain, factor)
    workers = min(_MAX_WORKERS, os.cpu_count() or 1)
    # Decoders release the lock of the interpreter, and so does reading of files.
    with ThreadPoolExecutor(workers) as pool:
        sums = list(pool.map(lambda item: signal.fill(*item), places.items()))
    return Values(signal.array, dict(zip(places, sums, strict=True)))


def _factors(scan: DicomScan) -> dict[int, float]:
    """Return by what the values of each frame are multiplied so that they compare.

    1 in one series of Philips with one scale, as all values are then off by the same factor.
    """
    scales = np.array([frame.scale for frame in scan.frames])
    alike = len(scan.series) == 1 and np.ptp(scales) <= _SAME_SCALE * scales.max()
    return {id(frame): 1.0 if alike else frame.scale for frame in scan.frames}


class _Signal:
    """The array that is being filled."""

    def __init__(self, array: NDArray[Any], plain: bool, factor: dict[int, float]) -> None:
        self.array, self.plain, self.factor = array, plain, factor

    def fill(self, instance: Instance, slices: Sequence[tuple[Frame, int, int]]) -> str:
        """Read one image object, put its slices in their places; return its checksum."""
        name = instance.file.name
        with untrusted(lambda why: FileFormatError(_cannot(name, why))):
            content = instance.file.content()
            pixels = _decoded(content)
            for frame, z, v in slices:
                self.array[:, :, z, v] = self._values(pixels, frame).T
        return hashlib.sha256(content).hexdigest()

    def _values(self, pixels: NDArray[Any], frame: Frame) -> NDArray[Any]:
        image = pixels[frame.number - 1] if pixels.ndim == 3 else pixels
        if frame.tile is not None:
            image = tile_of(image, frame.tile, frame.shape)
        if image.shape != frame.shape:
            raise ValueError(f"it has {image.shape} pixels and not {frame.shape}")
        if self.plain:
            return image
        factor = self.factor[id(frame)]
        return image * np.float64(frame.slope * factor) + frame.intercept * factor


def _decoded(content: bytes) -> NDArray[Any]:
    with warnings.catch_warnings():
        # Of elements that are not quite as the standard wants them.
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(io.BytesIO(content), force=True, specific_tags=list(_WANTED))
        if "TransferSyntaxUID" not in header.file_meta:
            # A file without preamble: uncompressed, and pydicom has found out how.
            implicit = bool(header.original_encoding[0])
            syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            header.file_meta.TransferSyntaxUID = syntax
        pixels: NDArray[Any] = header.pixel_array
    padding = number(header, "PixelPaddingValue")
    if padding:
        # Outside of the image, where nothing was measured.
        pixels = np.where(pixels == padding, 0, pixels)
    return pixels


def _cannot(name: str, why: str) -> str:
    return (
        f"cannot read the pixels of {name}: {why}; expected an image that is whole. Export it "
        "again, uncompressed if possible"
    )
