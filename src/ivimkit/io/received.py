"""image_of_bytes: an image that came as bytes, not as a file."""

from __future__ import annotations

import zlib
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError
from ivimkit.geometry import Geometry
from ivimkit.io.nifti import geometry_of

__all__ = ["image_of_bytes"]

# Half of nibabel has no types.
nib: Any = nibabel

_GZIP = b"\x1f\x8b"
_LARGEST = 1 << 30
_HEADER_SIZES = {348: nib.Nifti1Image, 540: nib.Nifti2Image}


def image_of_bytes(data: bytes, *, most: int = _LARGEST) -> tuple[NDArray[Any], Geometry]:
    """Read the array of an image from the bytes of a ``.nii`` or ``.nii.gz`` file.

    Parameters
    ----------
    data : bytes
        The file.
    most : int
        Largest number of bytes that a compressed one may become.

    Returns
    -------
    tuple of ndarray and Geometry
        The numbers, scaled where the file says so, and where the voxels are.

    Raises
    ------
    FileFormatError
        If it is no NIfTI image of real numbers, is damaged, or becomes too large.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> from ivimkit.io import image_bytes, image_of_bytes
    >>> array, geometry = image_of_bytes(image_bytes(np.ones((3, 2, 1)), ik.Geometry()))
    >>> array.shape, geometry.voxel_size
    ((3, 2, 1), (1.0, 1.0, 1.0))
    """
    plain = _unzipped(data, most) if data[:2] == _GZIP else data
    size = int.from_bytes(plain[:4], "little")
    kind = _HEADER_SIZES.get(size) or _HEADER_SIZES.get(int.from_bytes(plain[:4], "big"))
    if kind is None:
        raise FileFormatError(
            f"got {len(plain)} bytes that are no NIfTI image; expected those of a .nii or "
            ".nii.gz file. Save the image again"
        )
    try:
        image = kind.from_bytes(plain)
        stored = np.dtype(image.get_data_dtype())
        claimed = int(np.prod(image.shape, dtype=object)) * stored.itemsize
        if not 0 < claimed < len(plain):
            # nibabel would first make room for all that a header claims.
            raise ValueError(f"its header says {claimed} bytes of data, there are {len(plain)}")
        array = np.asarray(image.dataobj)
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise FileFormatError(
            f"the image is damaged ({reason}); expected a whole NIfTI file. Save it again"
        ) from None
    if array.dtype.kind not in "biuf" or not np.isfinite(image.affine).all():
        raise FileFormatError(
            f"the image holds {array.dtype} and its affine is {image.affine.tolist()}; expected "
            "real numbers. Save it again"
        )
    return array, geometry_of(image)


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
