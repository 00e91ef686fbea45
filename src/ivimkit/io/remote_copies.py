"""Files at an address (URL): copied once into a folder of this process, then read like others."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ivimkit.addresses import is_address, public
from ivimkit.errors import FileFormatError
from ivimkit.io.image_stem import stem_of_name
from ivimkit.io.remote_files import content_of, file_system, reached
from ivimkit.io.stored_array import INSIDE
from ivimkit.writing import check_scratch

__all__ = [
    "address_of",
    "at_hand",
    "discard_copies",
    "local_path",
    "named_by_address",
    "neighbour",
    "origin",
    "with_files_beside",
]

_STORES = (".zarr", ".zarr/")
_UNSAFE = re.compile(r"[^\w.@=+,-]")
_BESIDE = (
    *(".bval", ".bvals", ".bvec", ".bvecs", ".json", ".grad", ".b"),
    *("_volumes.tsv", "_volumes.csv"),
)
_BESIDE_DATA = ("bval", "bvals", "bvec", "bvecs")
_REQUESTS_AT_ONCE = 4
_NAME_BYTES = 200


@dataclass
class _Copies:
    """What was asked for by its address, and where its copy is or will be."""

    folder: Path | None = None
    process: int = 0
    addresses: dict[Path, str] = field(default_factory=dict)
    searched: set[Path] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)


# One folder per process: a scan that several functions name is copied once.
_COPIES = _Copies()


def local_path(given: str | PathLike[str]) -> Path:
    """Return the path of a file: of an address, where its copy will be.

    Nothing is copied yet, see `at_hand`.

    Parameters
    ----------
    given : path or address
        ``"dwi.nii.gz"``, ``"https://host/dwi.nii.gz"``, ``"s3://bucket/dwi.nii.gz"`` ...

    Returns
    -------
    Path

    Examples
    --------
    >>> from ivimkit.io.remote_copies import local_path
    >>> local_path("https://host/study/dwi.nii.gz?version=2").name
    'dwi.nii.gz'
    """
    if not isinstance(given, str) or not is_address(given):
        return Path(given)
    if given.lower().startswith("file://"):
        return Path(unquote(urlsplit(given).path))
    address, inside, rest = given.partition(INSIDE)
    with _COPIES.lock:
        if _COPIES.folder is None:
            _COPIES.folder = Path(tempfile.mkdtemp(prefix="ivimkit-copies-"))
            _COPIES.process = os.getpid()
        path = _place(_COPIES.folder, address)
        _COPIES.addresses[path] = address
    return Path(f"{path}{inside}{rest}")


def address_of(path: Path) -> str | None:
    """Return the address that a path stands for; None for a file of this machine."""
    return _COPIES.addresses.get(path)


def origin(path: Path) -> str:
    """Return where a file is from, for provenance: its absolute path, or its public address."""
    address = address_of(path)
    return str(path.resolve()) if address is None else public(address)


def named_by_address(text: str) -> str:
    """Return a message with the addresses of copies instead of their paths."""
    # Longer ones first: dwi.b is the beginning of dwi.bval.
    for path in sorted(_COPIES.addresses, key=lambda path: -len(str(path))):
        text = text.replace(str(path), public(_COPIES.addresses[path]))
    return text


def at_hand(path: Path) -> Path:
    """Copy the file that a path stands for, if it is at an address and not yet here.

    Parameters
    ----------
    path : Path
        From `local_path`.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    FileFormatError
        If it cannot be copied; the message says why. Nothing half-written is left.
    InputError
        If a library for this kind of address is missing.
    """
    address = address_of(path)
    if address is None:
        return path
    with _COPIES.lock:
        if not path.exists() and not address.lower().endswith(_STORES):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name[:_NAME_BYTES]}.part")
            try:
                _copy(address, part)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    return path


def with_files_beside(path: Path) -> Path:
    """Copy what belongs to a scan at an address: b-values, directions, variables, sidecar.

    Those that are not there are not missed.

    Parameters
    ----------
    path : Path
        Of the scan, from `local_path`.

    Returns
    -------
    Path
        The same.
    """
    address = address_of(path)
    if address is None or path in _COPIES.searched:
        return path
    before, mark, query = address.partition("?")
    home, _, name = before.rstrip("/").rpartition("/")
    stem = stem_of_name(name)
    names = [f"{stem}{ending}" for ending in _BESIDE]
    names += _BESIDE_DATA if stem.lower() == "data" else ()
    with reached(address):
        file_system(address)
    path.parent.mkdir(parents=True, exist_ok=True)
    addresses = [f"{home}/{name}{mark}{query}" for name in names]
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        contents = list(pool.map(partial(content_of, scan=address), addresses))
    for name, one, content in zip(names, addresses, contents, strict=True):
        if content is not None:
            path.with_name(name).write_bytes(content)
            _COPIES.addresses[path.with_name(name)] = one
    _COPIES.searched.add(path)
    return path


def neighbour(path: Path, name: str) -> Path:
    """Return the path of a file next to another one, which may be at an address.

    Parameters
    ----------
    path : Path
        From `local_path`.
    name : str
        Name of the file next to it.

    Returns
    -------
    Path
    """
    found, address = path.with_name(name), address_of(path)
    if address is not None:
        before, mark, query = address.partition("?")
        _COPIES.addresses.setdefault(found, f"{before.rpartition('/')[0]}/{name}{mark}{query}")
    return found


def discard_copies() -> None:
    """Remove all copies of this process; they would be copied again."""
    with _COPIES.lock:
        if _COPIES.folder is not None and _COPIES.process == os.getpid():
            shutil.rmtree(_COPIES.folder, ignore_errors=True)
        _COPIES.folder = None
        _COPIES.addresses.clear()
        _COPIES.searched.clear()


atexit.register(discard_copies)


def _place(folder: Path, address: str) -> Path:
    """Return where the copy of an address goes: to folders with the names in the address."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    words = [word for word in parts.path.split("/") if word not in ("", ".", "..")]
    if not words:
        raise FileFormatError(
            f"{public(address)} names no file; expected an address like https://host/dwi.nii.gz. "
            "Check it"
        )
    # What is left out here is in the digest: other addresses never share a place.
    digest = hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    names = [_UNSAFE.sub("_", word)[-_NAME_BYTES:] for word in (host or parts.scheme, *words)]
    return folder.joinpath(digest if len(names) < 2 else f"{digest}-{names[0]}", *names[1:])


def _copy(address: str, part: Path) -> None:
    with reached(address):
        system, inner = file_system(address)
        sizes: list[int] = []

        def note_size(size: int | None, value: int, **_: Any) -> None:
            # Before the first byte is written.
            if size is not None and not sizes:
                sizes.append(size)
                check_scratch(part.parent, size, f"a copy of {public(address)}")

        from fsspec.callbacks import Callback  # type: ignore[import-untyped]

        system.get_file(inner, str(part), callback=Callback(hooks={"size": note_size}))
        if not part.is_file():
            raise IsADirectoryError(address)
        if sizes and part.stat().st_size != sizes[0]:
            raise EOFError
