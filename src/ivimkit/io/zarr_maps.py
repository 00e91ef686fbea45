"""MapStore: the Zarr store with the maps of a saved result, which are read where they are used."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError
from ivimkit.fitting.map_names import StoredMaps
from ivimkit.fitting.result_forms import STATUS
from ivimkit.io.map_chunks import Box, chunk_boxes
from ivimkit.io.untrusted_files import untrusted
from ivimkit.io.zarr_writing import HEADER, require_zarr
from ivimkit.writing import ScratchArray, check_scratch

__all__ = ["MapStore", "ZarrMaps"]

_MAX_CHUNK_BYTES = 1 << 26
_CODECS = ["bytes", "blosc", "crc32c"]
# What blosc has compressed begins with 16 bytes; these are the number of bytes that it becomes.
_BLOSC_SIZE = slice(4, 8)


class ZarrMaps(StoredMaps):
    """Maps in a store, of which that is read which is looked at.

    Parameters
    ----------
    stored : mapping of str to array of zarr, shape (...)
        The maps.
    read : callable
        Reads part of a map: called with its name and a box of voxels.
    whole : callable
        Reads all of a map, by its name; what it returns is kept.
    """

    def __init__(
        self,
        stored: Mapping[str, Any],
        read: Callable[[str, Box], NDArray[np.float32]],
        whole: Callable[[str], NDArray[Any]],
    ) -> None:
        super().__init__(stored)
        self._read, self._whole = read, whole
        self._known: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        self._of(name)
        if name not in self._known:
            self._known[name] = self._whole(name)
        return self._known[name]

    def at(self, voxel: tuple[int, ...]) -> dict[str, float]:
        """Return the value of each map at one voxel, without reading all of any."""
        box = tuple(slice(index, index + 1) for index in voxel)
        return {name: float(part.item()) for name, part in self.within(box).items()}

    def within(self, box: Box) -> dict[str, NDArray[Any]]:
        """Return the maps inside a box of voxels, without reading all of any."""
        known = self._known
        return {
            name: known[name][box] if name in known else self._read(name, box) for name in self
        }


class MapStore:
    """Maps and status of a saved result, whose store was checked, but not read.

    Parameters
    ----------
    path : Path
        The store.
    names : sequence of str
        The maps.
    shape : tuple of int
        Spatial shape of the result.

    Raises
    ------
    FileFormatError
        If the store is missing, incomplete or damaged, or has other arrays.
    OptionError
        If zarr is not installed.
    """

    def __init__(self, path: Path, names: Sequence[str], shape: tuple[int, ...]) -> None:
        require_zarr()
        import zarr

        self._path, self._shape = path, shape
        if not path.is_dir():
            raise FileFormatError(
                f"there is no folder {path}; expected the maps of a result. Fit again"
            )
        with self._told():
            group = zarr.open_group(str(path), mode="r")
            self.header = base64.b64decode(str(group.attrs.get(HEADER, "")), validate=True)
            self._arrays: dict[str, Any] = {name: group[name] for name in (*names, STATUS)}
            for name, array in self._arrays.items():
                self._check(name, array)

    def maps(self, scratch: Path | None = None) -> ZarrMaps:
        """Return the maps.

        Parameters
        ----------
        scratch : Path, optional
            Folder that maps are unpacked to when all of one is used; into memory by default.
        """
        own = {name: one for name, one in self._arrays.items() if name != STATUS}
        dtype = np.float64 if scratch is None else np.float32
        return ZarrMaps(own, self._read, partial(self._whole, dtype=dtype, scratch=scratch))

    def status(
        self, flags: type[np.signedinteger[Any]], scratch: Path | None = None
    ) -> NDArray[Any]:
        """Return the status.

        Parameters
        ----------
        flags : type
            One that has room for all flags.
        scratch : Path, optional
            Folder that it is unpacked to; into memory by default.

        Raises
        ------
        FileFormatError
            If its numbers are not sums of flags.
        """
        return self._whole(STATUS, flags, scratch)

    def _whole(self, name: str, dtype: type[Any], scratch: Path | None) -> NDArray[Any]:
        read = partial(self._flags, most=np.iinfo(dtype).max) if name == STATUS else self._read
        if scratch is None:
            whole = np.empty(self._shape, dtype, order="F")
            for box in chunk_boxes(self._shape):
                whole[box] = read(name, box)
            return whole
        check_scratch(scratch, math.prod(self._shape) * np.dtype(dtype).itemsize)
        stored = ScratchArray(self._shape, dtype, "F", scratch)
        for box in chunk_boxes(self._shape):
            stored.append(read(name, box).ravel(order="F"))
        return stored.finished()

    def _read(self, name: str, box: Box) -> NDArray[Any]:
        with self._told():
            return np.asarray(self._arrays[name][box])

    def _flags(self, name: str, box: Box, most: int) -> NDArray[Any]:
        part = self._read(name, box)
        if part.size and not 0 <= part.min() <= part.max() <= most:
            raise FileFormatError(
                f"{self._path / name} contains numbers that are not sums of flags; expected whole "
                "numbers >= 0. Fit again"
            )
        return part

    def _check(self, name: str, array: Any) -> None:
        """Refuse an array that is not what was written, before anything of it is read."""
        if tuple(array.shape) != self._shape:
            raise FileFormatError(
                f"{self._path / name} has shape {tuple(array.shape)}; expected {self._shape}, as "
                "fit.json says. Fit again"
            )
        dtype = np.dtype(array.dtype)
        if not (dtype.kind in "iu" if name == STATUS else dtype == np.float32):
            raise ValueError(f"the numbers of {name} are of type {dtype}")
        codecs = [str(codec.to_dict()["name"]) for codec in array.metadata.codecs]
        if codecs != _CODECS:
            raise ValueError(f"the numbers of {name} are compressed by {', '.join(codecs)[:60]}")
        size = math.prod(array.chunks) * dtype.itemsize
        if size > _MAX_CHUNK_BYTES:
            raise ValueError(f"a chunk of {name} has {size} bytes")
        # Zarr takes chunks that are missing for empty ones, and allocates what a chunk claims.
        counts = (-(-n // step) for n, step in zip(array.shape, array.chunks, strict=True))
        for place in product(*map(range, counts)):
            key = array.metadata.encode_chunk_key(place)
            if _size_in(self._path / name / key) != size:
                raise ValueError(f"the chunk {name}/{key} is missing or of another size")

    def _told(self) -> AbstractContextManager[None]:
        return untrusted(
            lambda why: FileFormatError(
                f"{self._path} is damaged ({why}); expected the maps of a result as ivimkit wrote "
                "them. Fit again"
            )
        )


def _size_in(path: Path) -> int:
    """Return the number of bytes that a compressed chunk becomes; 0 if it is missing."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return int.from_bytes(file.read(_BLOSC_SIZE.stop)[_BLOSC_SIZE], "little")
