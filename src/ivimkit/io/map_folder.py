"""MapFolder: writes maps, their sidecars and their record as a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError, OptionError, OutputExistsError
from ivimkit.fitting.result import FitResult
from ivimkit.io.json_form import converted
from ivimkit.io.json_text import read_json, write_json
from ivimkit.io.map_files import save_map, write_image
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.io.scan_files import AnyPath
from ivimkit.parameter import Parameter
from ivimkit.scan.geometry import Geometry
from ivimkit.writing import Files, told_as_input, write_files

__all__ = [
    "MAP_STORE",
    "MASK",
    "MapFolder",
    "SavedMap",
    "check_folders_free",
    "check_mask_free",
    "files_of",
    "found_mask",
    "image_name",
]

MAP_STORE = "maps.zarr"
"""Name of the store with the maps of a result as Zarr."""

MASK = "mask.nii.gz"
"""Name of the mask that is saved with a result, if ivimkit found it in the scan."""

# For compression, the slow part of writing.
_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, eq=False)
class SavedMap:
    """A map as it is saved.

    Parameters
    ----------
    name : str
        Name of the file, without its extension.
    values : callable
        Makes the map; called when it is written, so that few of them are in memory at a time.
    shown : Parameter
        Its description in the header of the file.
    sidecar : mapping, optional
        Content of the JSON file of the same name.
    """

    name: str
    values: Callable[[], NDArray[Any]]
    shown: Parameter
    sidecar: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class MapFolder:
    """The content of a folder: maps, sidecars, optionally a mask and other files, and a record.

    Parameters
    ----------
    record : str
        Name of the file that makes the folder valid, and lists its files.
    maps : sequence of SavedMap
        The maps.
    geometry : Geometry
        Where their voxels are.
    make_record : callable
        Makes the content of `record` from the names of all files.
    mask : ndarray of bool, optional
        The mask, if ivimkit found it in the scan, so that there is no other copy.
    others : mapping of str to callable
        Other files by name, each with a function that writes it to a path.
    folders : sequence of str
        Names among them that are folders.
    outdated : callable
        Names the other files in a folder that are removed with its earlier content: they would
        be mistaken for those of this one.
    kept : sequence of str
        Full paths of files that are kept, whatever an earlier record lists.
    inner : mapping of str to MapFolder
        Folders in this one, by name, whose files appear together with its own.
    """

    record: str
    maps: Sequence[SavedMap]
    geometry: Geometry
    make_record: Callable[[list[str]], msgspec.Struct]
    mask: NDArray[np.bool_] | None = None
    others: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    folders: Sequence[str] = ()
    outdated: Callable[[Path], Sequence[str]] = lambda _: ()
    kept: Sequence[str] = ()
    inner: Mapping[str, MapFolder] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The files, the one that makes the folder valid last."""
        sidecars = [f"{one.name}.json" for one in self.maps if one.sidecar is not None]
        masks = [] if self.mask is None else [MASK]
        images = [image_name(one.name) for one in self.maps]
        return [*images, *sidecars, *masks, *self.others, self.record]

    def save(self, folder: AnyPath, *further: Files, overwrite: bool = False) -> None:
        """Save everything at once, complete, or nothing.

        Parameters
        ----------
        folder : path
            Output folder; created if needed.
        *further : Files
            Files that appear together with these: figures, a table.
        overwrite : bool
            Whether what an earlier record lists may be replaced.

        Raises
        ------
        OutputExistsError
            If one of the files exists and overwriting was not asked for.
        InputError
            If the files cannot be written.
        """
        target = absolute(folder)
        parts = [
            one._files(target, f"{name}/", overwrite=overwrite) for name, one in self.inner.items()
        ]
        write_files(target, *further, *parts, self._files(target, "", overwrite=overwrite))

    def _files(self, target: Path, within: str, *, overwrite: bool) -> Files:
        """Return what to write to a folder, or within it, after checking that it is free."""
        home = target / within
        check_free(home, self.names, overwrite=overwrite)
        check_folders_free(home, self.record, self.folders)
        if self.mask is not None:
            check_mask_free(home, self.record)
        with told_as_input(home):
            old = [*files_of(home, self.record), *self.outdated(home)]
        old = [name for name in old if str(home / name) not in self.kept]
        names, old, folders = (
            [f"{within}{name}" for name in some] for some in (self.names, old, self.folders)
        )
        return Files(names, lambda stage: self._write(stage / within), old, folders)

    def _write(self, folder: Path) -> None:
        """Write all files; compression, the slow part, runs in threads."""
        jobs: list[Callable[[], None]] = [
            partial(self._write_map, folder, one) for one in self.maps
        ]
        if self.mask is not None:
            inside = self.mask.astype(np.uint8)
            jobs.append(partial(save_map, inside, folder / MASK, self.geometry))
        for one in self.maps:
            if one.sidecar is not None:
                write_json(folder / f"{one.name}.json", one.sidecar)
        for name, write in self.others.items():
            write(folder / name)
        with ThreadPoolExecutor(_THREADS) as pool:
            for job in [pool.submit(job) for job in jobs]:
                job.result()
        write_json(folder / self.record, _checked(self.make_record(self.names)))

    def _write_map(self, folder: Path, one: SavedMap) -> None:
        write_image(folder / image_name(one.name), one.values(), self.geometry, one.shown)


def _checked(record: msgspec.Struct) -> dict[str, Any]:
    """Return the content of a record, which must match its reader and its schema."""
    try:
        whole = converted(msgspec.to_builtins(record), type(record))
    except ValueError as error:
        raise OptionError(
            f"the record cannot be written ({error}); expected a valid one. Change what "
            "is named there, and fit again"
        ) from None
    content: dict[str, Any] = msgspec.to_builtins(whole)
    return content


def image_name(name: str) -> str:
    """Return the name of the file of a map."""
    return f"{name}.nii.gz"


def found_mask(result: FitResult) -> NDArray[np.bool_] | None:
    """Return the mask of a fit if ivimkit made it; None for a mask that was given."""
    return result.mask if result.settings.mask_origin else None


def check_mask_free(folder: Path, record: str) -> None:
    """Refuse to replace a mask that ivimkit did not write, even when overwriting.

    Parameters
    ----------
    folder : Path
        Where the mask is to be saved.
    record : str
        Name of the file in it that lists the files written by ivimkit.

    Raises
    ------
    OutputExistsError
        If there is such a mask.
    """
    if (folder / MASK).exists() and MASK not in files_of(folder, record):
        raise OutputExistsError(
            f"{folder / MASK} exists already, and is not part of an earlier result; expected no "
            "such file, as the mask that is found would replace it. Choose another folder, or "
            "give that file as the mask"
        )


def check_folders_free(folder: Path, record: str, names: Sequence[str]) -> None:
    """Refuse to replace a folder that ivimkit did not write, even when overwriting.

    Parameters
    ----------
    folder : Path
        Where folders are to be saved.
    record : str
        Name of the file in it that lists what was written by ivimkit.
    names : sequence of str
        Names of the folders.

    Raises
    ------
    OutputExistsError
        If there is such a folder.
    """
    own = files_of(folder, record)
    for name in names:
        if (folder / name).is_dir() and name not in own:
            raise OutputExistsError(
                f"{folder / name} exists already, and is not part of an earlier result; expected "
                "no such folder. Choose another place for the result"
            )


def files_of(folder: Path, record: str) -> list[str]:
    """Return the files that the record in a folder lists, if there is a readable one."""
    if not (folder / record).is_file():
        return []
    try:
        names = read_json(folder / record).get("files", [])
    except FileFormatError:
        return []
    if not isinstance(names, list):
        return []
    # Only plain file names: an untrusted record must not reach outside the folder, nor remove
    # other folders in it than those that results have.
    return [
        name
        for name in names
        if isinstance(name, str)
        and Path(name).name == name
        and (name == MAP_STORE or not (folder / name).is_dir())
    ]
