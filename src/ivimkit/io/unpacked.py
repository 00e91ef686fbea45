"""unpacked: a large .nii.gz decompressed once to disk, and mapped into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import IvimkitError
from ivimkit.io.nifti import DAMAGE, NiftiFile, damaged, open_nifti
from ivimkit.io.remote_copies import local_path
from ivimkit.writing import ScratchArray, check_scratch, scratch_folder

__all__ = ["MIN_UNPACKED_BYTES", "unpacked", "unpacked_file"]

MIN_UNPACKED_BYTES = 4 << 30
"""Size in memory from which `ivimkit.load` unpacks a compressed scan to disk instead."""

# Some programs align the end of a file.
_MAX_BEHIND_BYTES = 1 << 16


def unpacked(
    path: str | PathLike[str], scratch: str | PathLike[str] | None = None
) -> NDArray[Any]:
    """Decompress a NIfTI file to disk, and return its array, mapped into memory.

    The file on disk has no name, so nothing is left of it when the array is no longer used, or the
    process ends, however it ends.

    Parameters
    ----------
    path : path or address
        ``.nii.gz``; others are decompressed as well.
    scratch : path, optional
        Folder on a disk with enough space, see `ivimkit.writing.scratch_folder`.

    Returns
    -------
    ndarray
        In Fortran order; as stored, or float32 if the file scales its numbers. Read-only.

    Raises
    ------
    FileFormatError
        If the file is missing or damaged, or its content is longer or shorter than its header
        says.
    InputError
        If there is not enough space.

    Examples
    --------
    >>> import tempfile, numpy as np, nibabel as nib
    >>> from pathlib import Path
    >>> from ivimkit.io.unpacked import unpacked
    >>> path = Path(tempfile.mkdtemp()) / "dwi.nii.gz"
    >>> nib.save(nib.Nifti1Image(np.ones((4, 4, 2, 3), "int16"), np.eye(4)), path)
    >>> unpacked(path).shape
    (4, 4, 2, 3)
    """
    return unpacked_file(open_nifti(local_path(path)), scratch)


def unpacked_file(file: NiftiFile, scratch: str | PathLike[str] | None = None) -> NDArray[Any]:
    """Do the same with a file that has been opened."""
    if not file.compressed:
        return file.read()
    home = scratch_folder(scratch)
    volumes, size = file.shape[-1], math.prod(file.shape[:-1])
    check_scratch(home, volumes * size * file.dtype.itemsize, f"the content of {file.path}")
    stored = ScratchArray(file.shape, file.dtype, "F", home)
    try:
        file.decompress(_volumes(stored, volumes, size), most_behind=_MAX_BEHIND_BYTES)
    except IvimkitError:
        # The disk does not take more, which is not a fault of the file.
        raise
    except DAMAGE as error:
        raise damaged(file, error) from None
    return stored.finished()


def _volumes(stored: ScratchArray, n: int, size: int) -> Iterator[NDArray[Any]]:
    """Give out an array to fill `n` times, and write what is in it."""
    buffer = np.empty(size, stored.dtype)
    for _ in range(n):
        yield buffer
        stored.append(buffer)
