"""Durable files: safe on the disk before anyone relies on them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

__all__ = [
    "OWNER_ONLY",
    "make_folder",
    "read_json",
    "sync_file",
    "sync_folder",
    "write_bytes",
    "write_json",
]

_Form = TypeVar("_Form")

OWNER_ONLY = 0o700
"""Mode of every folder: images of patients are private."""


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def make_folder(folder: Path, *, parents: Path) -> None:
    """Make a folder, and those between it and an existing one, durably.

    Parameters
    ----------
    folder : Path
        The folder; may exist.
    parents : Path
        A folder above it that exists.
    """
    missing = []
    while folder != parents and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(mode=OWNER_ONLY, exist_ok=True)
        sync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, whatever happens to the process or the machine."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def write_json(path: Path, content: msgspec.Struct) -> None:
    """Write a struct as JSON, durably."""
    write_bytes(path, msgspec.json.encode(content))


def read_json(path: Path, form: type[_Form]) -> _Form | None:
    """Return a struct from a JSON file; None if it is missing or not one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=form)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _sync(path: Path, flags: int) -> None:
    number = os.open(path, flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)
