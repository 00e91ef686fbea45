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
from ivimkit.io.dicom.frame import Frame, Instance, PixelLayout
from ivimkit.io.dicom.scans import DicomScan
from ivimkit.io.dicom.tiles import tile_of
from ivimkit.io.untrusted_files import untrusted

__all__ = ["Values", "read_values"]

_WANTED = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"),
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "SOPClassUID"),
)
_MAX_WORKERS = 8
_SAME_SCALE = 1e-4
# Tag of Pixel Data, and the length of its tag, representation and length in explicit and implicit
# representation (PS3.5, 7.1).
_PIXEL_DATA = bytes.fromhex("e07f1000")
_LONG_HEAD, _SHORT_HEAD = 12, 8
_UNDEFINED_LENGTH = 0xFFFFFFFF


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
    kinds = {np.dtype(instance.layout.dtype) for instance in places}
    dtype = np.result_type(*kinds) if plain else np.dtype(np.float32)
    signal = _Signal(_array(scan.shape, dtype), plain, factor)
    workers = min(_MAX_WORKERS, os.cpu_count() or 1)
    # Decoders release the lock of the interpreter, and so does reading of files. Filters of
    # warnings are those of the process: not to be changed in the threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        # pydicom warns of elements that are not quite as the standard wants them.
        warnings.simplefilter("ignore")
        sums = list(pool.map(lambda item: signal.fill(*item), places.items()))
    return Values(signal.array, dict(zip(places, sums, strict=True)))


def _array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        return np.empty(shape, dtype=dtype, order="F")
    except (MemoryError, ValueError):
        # Compressed files may claim any size.
        size = " x ".join(map(str, shape))
        raise FileFormatError(
            f"the headers claim {size} values, which do not fit into memory; expected a scan "
            "that does. Choose fewer series, or check the files"
        ) from None


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
            pixels = _native(content, instance.layout)
            if pixels is None:
                pixels = _decoded(content)
            if instance.layout.padding:
                # Outside of the image, where nothing was measured.
                pixels = np.where(pixels == instance.layout.padding, 0, pixels)
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


def _native(content: bytes, layout: PixelLayout) -> NDArray[Any] | None:
    """Return pixels that are stored as they are, where their place is known; otherwise None.

    A file is parsed once, for its header: a second time would take longer than all the rest.
    """
    start = content[layout.at : layout.at + _LONG_HEAD] if layout.at >= 0 else b""
    dtype = np.dtype(layout.dtype).newbyteorder("<")
    unused = 8 * dtype.itemsize - layout.n_bits
    if start[:4] != _PIXEL_DATA or unused < 0 or (unused and dtype.kind == "i"):
        return None
    n = int(np.prod(layout.shape))
    head = _LONG_HEAD if start[4:6] in (b"OW", b"OB") else _SHORT_HEAD
    length = int.from_bytes(start[head - 4 : head], "little")
    if not n * dtype.itemsize <= length < _UNDEFINED_LENGTH:
        return None
    pixels = np.frombuffer(content, dtype, count=n, offset=layout.at + head)
    if unused:
        # Their bits may contain anything, overlays for example.
        pixels = pixels & ((1 << layout.n_bits) - 1)
    return pixels.reshape(layout.shape if layout.shape[0] > 1 else layout.shape[1:])


def _decoded(content: bytes) -> NDArray[Any]:
    header = pydicom.dcmread(io.BytesIO(content), force=True, specific_tags=list(_WANTED))
    if "TransferSyntaxUID" not in header.file_meta:
        # A file without preamble: uncompressed, and pydicom has found out how.
        implicit = bool(header.original_encoding[0])
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        header.file_meta.TransferSyntaxUID = syntax
    pixels: NDArray[Any] = header.pixel_array
    return pixels


def _cannot(name: str, why: str) -> str:
    return (
        f"cannot read the pixels of {name}: {why}; expected an image that is whole. Export it "
        "again, uncompressed if possible"
    )
