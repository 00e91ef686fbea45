"""HDF5 files: the data set of a scan, its axes and attributes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ivimkit.errors import FileFormatError, InputError
from ivimkit.io.remote_copies import at_hand
from ivimkit.io.stored_array import INSIDE, StoredArray, chosen_array
from ivimkit.io.untrusted_files import untrusted

__all__ = ["is_hdf5", "of_hdf5", "open_hdf5"]

_ENDINGS = (".h5", ".hdf5")


def is_hdf5(path: Path) -> bool:
    """Return whether a path is an HDF5 file, by its name."""
    return path.name.lower().endswith(_ENDINGS)


def open_hdf5(path: Path, inside: str = "") -> StoredArray:
    """Open the data set of a scan in a file.

    Parameters
    ----------
    path : Path
        The file.
    inside : str
        Path of the data set in it.

    Returns
    -------
    StoredArray
        The file stays open as long as its array is used.

    Raises
    ------
    FileFormatError
        If there is no such file or data set, or it is not clear which.
    InputError
        If h5py is not installed.
    """
    if find_spec("h5py") is None:
        raise InputError(
            f"{path} is an HDF5 file and h5py is not installed; expected the extra hdf5. Install "
            "it with pip install 'ivimkit[hdf5]'"
        )
    import h5py  # type: ignore[import-untyped]

    at_hand(path)
    if not path.is_file():
        raise FileFormatError(f"there is no file {path}; expected an HDF5 file. Check the path")
    with untrusted(
        lambda why: FileFormatError(
            f"{path} is not an HDF5 file, or damaged ({why}); expected one with a data set. Save "
            "it again"
        )
    ):
        return of_hdf5(h5py.File(path, "r"), str(path), inside)


def of_hdf5(node: Any, name: str, inside: str = "") -> StoredArray:
    """Return the data set of a scan that a group of h5py contains, or a data set itself.

    Raises
    ------
    FileFormatError
        If there is no such data set, or it is not clear which.
    """
    if inside:
        name = f"{name}{INSIDE}{inside}"
        if inside not in node:
            raise FileFormatError(
                f"there is no {name}; expected a data set of the file. Check the path in it"
            )
        node = node[inside]
    if not hasattr(node, "shape"):
        arrays: dict[str, Any] = {}

        def remember(path: str, one: Any) -> None:
            if hasattr(one, "shape"):
                arrays[path] = one

        node.visititems(remember)
        path = chosen_array(name, arrays)
        name, node = f"{name}{INSIDE}{path}", node[path]
    group = node.parent
    return StoredArray(
        name,
        node,
        {**dict(group.attrs), **dict(node.attrs)},
        _axes_of(node),
        columns={key: one for key, one in group.items() if len(getattr(one, "shape", ())) == 1},
        bytes_stored=int(node.id.get_storage_size()),
    )


def _axes_of(node: Any) -> tuple[str, ...] | None:
    """Return the names of the axes of a data set, if all have one.

    Not from its `dims`: there a damaged attribute ends the process.
    """
    labels = [
        one.decode() if isinstance(one, bytes) else str(one or "")
        for one in node.attrs.get("DIMENSION_LABELS", ())
    ]
    return tuple(one.lower() for one in labels) if labels and all(labels) else None
