"""read_images: the maps of a saved result from its NIfTI files."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError
from ivimkit.fitting.result_forms import STATUS
from ivimkit.fitting.scratch_maps import ScratchMaps
from ivimkit.io.map_folder import image_name
from ivimkit.io.nifti import NiftiFile, open_nifti
from ivimkit.io.stored_result import StoredResult, scratch_of
from ivimkit.writing import ScratchArray, check_scratch, located

__all__ = ["image_of_shape", "read_image", "read_images"]

# For compression, the slow part of reading.
_THREADS = min(4, os.cpu_count() or 1)


def read_images(
    home: Path,
    names: Sequence[str],
    shape: tuple[int, ...],
    flags: type[np.signedinteger[Any]],
) -> StoredResult:
    """Read maps and status of a result.

    Parameters
    ----------
    home : Path
        The folder of the result.
    names : sequence of str
        The maps.
    shape : tuple of int
        Spatial shape of the result.
    flags : type
        Type of the status.

    Raises
    ------
    FileFormatError
        If a file is missing, damaged or of another shape.
    InputError
        If there is no room for maps that do not fit into memory.
    """
    # Before room is looked for: a record may claim any size.
    header = _opened(located(home, image_name(STATUS)), shape).geometry.header
    read = partial(read_image, home, shape=shape)
    scratch = scratch_of(len(names), shape)
    if scratch is not None:
        n_bytes = (len(names) + 2) * math.prod(shape) * np.dtype(np.float32).itemsize
        check_scratch(scratch, n_bytes)
        maps, status = _on_disk(read, names, shape, flags, scratch)
        return StoredResult(maps, status, header)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(names, pool.map(read, names), strict=True))
    return StoredResult(found, read(STATUS, dtype=flags), header)


def read_image(
    home: Path, name: str, shape: tuple[int, ...], dtype: type[Any] = np.float64
) -> NDArray[Any]:
    """Read one map of a result; one of integers has sums of flags.

    Raises
    ------
    FileFormatError
        If its file is missing, damaged or of another shape, or its numbers are not sums of flags.
    """
    path = located(home, image_name(name))
    array = image_of_shape(path, shape)
    if np.issubdtype(dtype, np.integer) and not _are_flags(array, dtype):
        raise FileFormatError(
            f"{path} contains numbers that are not sums of flags; expected whole numbers >= 0. "
            "Fit again"
        )
    return array.reshape(shape).astype(dtype, copy=False)


def image_of_shape(path: Path, shape: tuple[int, ...], *, volumes: bool = False) -> NDArray[Any]:
    """Return the array of a file of a result, which has the shape that its record says.

    Volumes, bins of spectra for instance, are on its last axis.

    Raises
    ------
    FileFormatError
        If it is missing, damaged or of another shape.
    """
    return _opened(path, shape, volumes=volumes).read()


def _on_disk(
    read: Callable[..., NDArray[Any]],
    names: Sequence[str],
    shape: tuple[int, ...],
    flags: type[np.signedinteger[Any]],
    folder: Path,
) -> tuple[ScratchMaps, NDArray[Any]]:
    """Return maps and status that do not fit into memory: unpacked to disk, one by one."""

    def unpacked(name: str, dtype: type[Any]) -> NDArray[Any]:
        scratch = ScratchArray(shape, dtype, "F", folder)
        scratch.append(read(name, dtype=dtype).ravel(order="F"))
        return scratch.finished()

    maps = ScratchMaps({name: unpacked(name, np.float32) for name in names})
    return maps, unpacked(STATUS, flags)


def _opened(path: Path, shape: tuple[int, ...], *, volumes: bool = False) -> NiftiFile:
    """Open such a file. Its shape is compared before it is read: a header may claim any size."""
    file = open_nifti(path)
    if math.prod(file.shape) != math.prod(shape) or (volumes and file.shape[-1] != shape[-1]):
        raise FileFormatError(
            f"{path} has shape {file.shape}; expected {shape}, as fit.json says. Fit again"
        )
    return file


def _are_flags(array: NDArray[Any], dtype: type[Any]) -> bool:
    whole = array.dtype.kind in "biu" or bool(np.all(array == np.rint(array)))
    return whole and bool(np.all((array >= 0) & (array <= np.iinfo(dtype).max)))
