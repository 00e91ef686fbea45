"""Addresses (URLs) on the command line: each stands for the path of its copy."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ivimkit.addresses import find_address, is_address
from ivimkit.errors import OptionError

__all__ = ["copy_files", "discard", "named_by_address", "with_paths"]

_SCANS = ("scans", "scan")
_FILES = (
    "mask",
    "bval",
    "bvec",
    "variables",
    "weights",
    "labels",
    "names",
    "sigma",
    "fix",
    "prior",
)
_WRITTEN = ("out", "figure", "work_dir", "log")
_HERE = (
    "dataset", "derivatives", "result", "results", "like", "like_result", "also", "folders",
    "source", "template", "settings", "config", "bids_filter_file",
)  # fmt: skip
_COPIES = "ivimkit.io.remote_copies"


def with_paths(values: Mapping[str, Any], found: list[Any]) -> dict[str, Any]:
    """Return the values of options with paths instead of addresses of files to read.

    An address would lose a slash as a path.

    Parameters
    ----------
    values : mapping of str to object
        Texts, or lists of texts, by the names of arguments and options.
    found : list
        The paths of files other than scans are added to it; see `copy_files`.

    Raises
    ------
    OptionError
        If something is to be written to an address, or what is not a scan or a file that belongs
        to one is to be read there.
    """
    for name in _WRITTEN:
        if is_address(values.get(name)):
            raise OptionError(
                f"{values[name]} is an address, and results are written to this machine; expected "
                "a path. Copy them there afterwards"
            )
    for name in _HERE:
        given = values.get(name)
        for one in given if isinstance(given, (list, tuple)) else (given,):
            if is_address(one):
                raise OptionError(
                    f"{one} is an address, and only scans and the files that belong to them are "
                    "read from there; expected a path. Copy it to this machine first"
                )
    return {
        name: _mapped(value, found if name in _FILES else [])
        if name in (*_SCANS, *_FILES)
        else value
        for name, value in values.items()
    }


def copy_files(paths: list[Any]) -> None:
    """Copy files other than scans before a command begins; it checks whether they exist."""
    if paths:
        from ivimkit.io.remote_copies import at_hand

        for path in paths:
            at_hand(path)


def named_by_address(text: str) -> str:
    """Return a message with addresses instead of the paths of their copies."""
    module = sys.modules.get(_COPIES)
    named: str = text if module is None else module.named_by_address(text)
    return named


def discard() -> None:
    """Remove all copies, before the process ends in a way that skips its own cleaning."""
    module = sys.modules.get(_COPIES)
    if module is not None:
        module.discard_copies()


def _mapped(value: Any, found: list[Any]) -> Any:
    if isinstance(value, (list, tuple)):
        return [_mapped(one, found) for one in value]
    before, address = find_address(value) if isinstance(value, str) else ("", "")
    if not address:
        return value
    # Here and not above: --help must not wait for nibabel.
    from ivimkit.io.region_masks import RegionChoice
    from ivimkit.io.remote_copies import local_path

    regions = RegionChoice.of(address)
    path = local_path(address if regions is None else regions.file)
    found.append(path)
    return before + (str(path) if regions is None else regions.in_file(path))
