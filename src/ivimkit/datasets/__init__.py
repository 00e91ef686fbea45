"""Public scans by name, one file each. A file here with a constant DATA_SET is a data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ivimkit.datasets._fetching import Fetched, Progress, fetched, no_progress
from ivimkit.errors import OptionError
from ivimkit.extend.data_set import DataSet, Download
from ivimkit.extend.plugin import PluginFolder

if TYPE_CHECKING:
    from ivimkit.scan.dwi import DWI

__all__ = [
    "DataSet",
    "Download",
    "Fetched",
    "fetch",
    "get",
    "load",
    "names",
    "register",
    "unregister",
]

_FOLDER: PluginFolder[DataSet] = PluginFolder(__name__, __path__, "DATA_SET", DataSet, "data set")


def names() -> tuple[str, ...]:
    """Return the names of all data sets.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.datasets.names()
    ('dipy-ivim', 'osipi-abdomen', 'osipi-brain')
    """
    return tuple(sorted(_files()))


def get(name: str) -> DataSet:
    """Return what is known about a data set: title, licence, citation, size and files.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    DataSet

    Raises
    ------
    OptionError
        For an unknown name; the message lists the available ones.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.datasets.get("dipy-ivim").licence
    'CC0 1.0'
    """
    found = _files().get(str(name))
    if found is None:
        raise OptionError(f"unknown data set {name!r}; there are {', '.join(names())}")
    data_set: DataSet = _FOLDER.load(found)
    return data_set


def fetch(
    name: str,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Fetched:
    """Download a data set, or find it where an earlier call has put it.

    Each file is checked by its SHA-256 checksum, also when it is there already. All files of a
    data set appear together once they are complete, with a record of where they come from
    (``dataset.json``); whatever goes wrong, nothing is half-written.

    Parameters
    ----------
    name : str
        One of `names`.
    out : path-like, optional
        Folder for the files. By default a folder of the user's cache, such as
        ``~/.cache/ivimkit/datasets/dipy-ivim``.
    overwrite : bool
        Replace files in ``out`` that are not those of the data set.
    progress : callable, optional
        Called with the bytes of a file that have come and its size.

    Returns
    -------
    Fetched
        Paths of the files.

    Raises
    ------
    OptionError
        For an unknown name; the message lists the available ones.
    OutputExistsError
        If ``out`` contains other files of these names and overwriting was not requested.
    InputError
        If pooch is not installed (``pip install 'ivimkit[datasets]'``), the files cannot be
        downloaded, or what comes is not what it should be.

    Examples
    --------
    >>> import ivimkit as ik
    >>> scan = ik.datasets.fetch("dipy-ivim").scan  # doctest: +SKIP
    """
    return fetched(get(name), None if out is None else Path(out), overwrite, progress)


def load(name: str, *, mask: str | os.PathLike[str] | None = None) -> DWI:
    """Load the scan of a data set, which is downloaded first if it is not there.

    Parameters
    ----------
    name : str
        One of `names`.
    mask : path-like, optional
        As in `ivimkit.load`. By default that of the data set, if it has one.

    Returns
    -------
    DWI

    Raises
    ------
    InputError
        As `fetch`.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.datasets.load("dipy-ivim", mask="auto")  # doctest: +SKIP
    """
    from ivimkit import io

    found = fetch(name)
    return io.load(found.scan, mask=found.mask if mask is None else mask)


def register(data_set: DataSet) -> None:
    """Add a data set of your own for the rest of the session.

    Packages add theirs by an entry point in the group ``ivimkit.datasets``.

    Parameters
    ----------
    data_set : DataSet
        With a name that is not in use.

    Raises
    ------
    OptionError
        If the name is in use.
    """
    if data_set.name in _files():
        raise OptionError(
            f"there is another data set {data_set.name!r}; expected a new name. Names in use: "
            f"{', '.join(names())}"
        )
    _FOLDER.register(data_set)


def unregister(name: str) -> None:
    """Remove a data set that `register` added.

    Raises
    ------
    OptionError
        If it was not registered.
    """
    _FOLDER.unregister(name)


def _files() -> dict[str, str]:
    """Return the names of data sets with those of their files, which have no hyphens."""
    return {name.replace("_", "-"): name for name in _FOLDER.names()}
