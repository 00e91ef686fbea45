"""Dropped result: the files of a result folder, as the page sends them."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import msgspec
import numpy as np

from ivimkit import io
from ivimkit.errors import FileFormatError, OptionError
from ivimkit.fitting.result import FitResult
from ivimkit.viewer.json_numbers import from_json
from ivimkit.viewer.request_form import Position, checked

__all__ = ["dropped_result"]

_MAX_FILES = 1000


class _Listing(msgspec.Struct, forbid_unknown_fields=True):
    """What stands before the contents: the name of the folder, and the size of each file."""

    name: str
    files: dict[str, Position]


def dropped_result(body: bytes) -> tuple[str, FitResult]:
    """Return a result, and the name of its folder, from the files of the folder.

    Parameters
    ----------
    body : bytes
        A line of JSON with the ``name`` of the folder and its ``files``, their names and numbers
        of bytes; then their contents, one after the other.

    Returns
    -------
    tuple of str and FitResult
        Its maps are in memory: nothing of it is left on the disk.

    Raises
    ------
    InputError
        If the listing is damaged, or the files are not a result, or not all of one.
    """
    head, _, contents = body.partition(b"\n")
    listing = checked(from_json(head), _Listing, "the list of files")
    _check(listing.files, len(contents))
    # A folder that is still open somewhere cannot be removed by every system.
    with tempfile.TemporaryDirectory(prefix="ivimkit-", ignore_cleanup_errors=True) as name:
        home, begin = Path(name), 0
        for file, size in listing.files.items():
            (home / file).write_bytes(contents[begin : begin + size])
            begin += size
        try:
            loaded = io.load_result(home)
        except FileFormatError as error:
            # Nobody knows the folder for temporary files.
            raise FileFormatError(str(error).replace(f"{home}", listing.name)) from None
        maps = {key: np.array(values) for key, values in loaded.maps.items()}
        result = dataclasses.replace(
            loaded, maps=MappingProxyType(maps), status=np.array(loaded.status)
        )
    return listing.name, result


def _check(files: Mapping[str, int], n_bytes: int) -> None:
    """Refuse what is not a list of plain file names with the sizes of what was sent."""
    for name in files:
        plain = PurePosixPath(name).name == name != ".."
        if not plain or not set(name).isdisjoint("\\\0"):
            raise OptionError(f"a file is named {name[:50]!r}; expected names without folders")
    told = sum(files.values())
    if told != n_bytes or len(files) > _MAX_FILES:
        raise OptionError(
            f"got {n_bytes} bytes in {len(files)} files that have {told}; expected all of them, "
            f"and up to {_MAX_FILES} files. Drop the folder of one result"
        )
