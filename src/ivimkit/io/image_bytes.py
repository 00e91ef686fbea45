"""image_of_bytes: an image from bytes instead of a file."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError
from ivimkit.io.nifti_header import HEADER_SIZE, parse_header
from ivimkit.scan.geometry import Geometry

__all__ = ["image_of_bytes"]

_GZIP = b"\x1f\x8b"
_MAX_BYTES = 1 << 30
_SMALLEST = 348
_MAGIC = {b"n+1", b"n+2"}


def image_of_bytes(data: bytes, *, most: int = _MAX_BYTES) -> tuple[NDArray[Any], Geometry]:
    """Read the array of an image from the bytes of a ``.nii`` or ``.nii.gz`` file.

    Parameters
    ----------
    data : bytes
        The file.
    most : int
        Maximum number of bytes after decompression.

    Returns
    -------
    tuple of ndarray and Geometry
        The numbers, scaled if the file says so, and the positions of the voxels.

    Raises
    ------
    FileFormatError
        If it is not a NIfTI image of real numbers, is damaged, or becomes too large.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> from ivimkit.io import image_bytes, image_of_bytes
    >>> array, geometry = image_of_bytes(image_bytes(np.ones((3, 2, 1)), ik.Geometry()))
    >>> array.shape, geometry.voxel_size
    ((3, 2, 1), (1.0, 1.0, 1.0))
    """
    plain = _unzipped(data, most) if data[:2] == _GZIP else data
    if len(plain) < _SMALLEST or not _MAGIC.intersection((plain[344:347], plain[4:7])):
        raise FileFormatError(
            f"got {len(plain)} bytes that are not a NIfTI image; expected those of a .nii or "
            ".nii.gz file. Save the image again"
        )
    try:
        header = parse_header(plain[:HEADER_SIZE])
        there = len(plain) - header.offset
        if not 0 < header.n_bytes <= there:
            raise ValueError(
                f"its header says {header.n_bytes} bytes of data, there are {max(there, 0)}"
            )
    except ValueError as error:
        raise FileFormatError(
            f"the image is damaged ({error}); expected a whole NIfTI file. Save it again"
        ) from None
    if header.dtype.kind not in "biuf":
        raise FileFormatError(
            f"the image contains {header.dtype}, such as colours; expected real numbers. Save it "
            "again"
        )
    count = header.n_bytes // header.dtype.itemsize
    stored = np.frombuffer(plain, header.dtype, count, header.offset)
    array = stored.reshape(header.shape, order="F")
    if (header.slope, header.inter) != (1.0, 0.0):
        with np.errstate(over="ignore", invalid="ignore"):
            array = array.astype(np.float64) * header.slope + header.inter
    return array, header.geometry


def _unzipped(data: bytes, most: int) -> bytes:
    # Not gzip.decompress: a few bytes can become more than fits into memory.
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(data, most)
    except zlib.error as error:
        raise FileFormatError(
            f"the compressed image is damaged ({error}); expected a .nii.gz file. Save it again"
        ) from None
    if stream.unconsumed_tail:
        raise FileFormatError(
            f"the compressed image becomes larger than {most} bytes; expected labels of the "
            "scan. Check which file it is"
        )
    if not stream.eof:
        raise FileFormatError(
            "the compressed image ends too early; expected a whole .nii.gz file. Save it again"
        )
    return plain
