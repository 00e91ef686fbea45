"""Fetched: the files of a data set on this machine, each checked by its checksum."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ivimkit.datasets._transfer import Progress, cache_folder, no_progress, transfer
from ivimkit.errors import FileFormatError, OutputExistsError
from ivimkit.extend.data_set import DataSet, Download
from ivimkit.io.checksum import sha256
from ivimkit.io.json_text import read_json, write_json
from ivimkit.writing import full_path, told_as_input, write_folder

__all__ = ["RECORD", "Fetched", "Progress", "fetched", "no_progress"]

RECORD = "dataset.json"
"""Name of the record of where files come from, next to them."""


@dataclass(frozen=True)
class Fetched:
    """The files of a data set on this machine.

    Parameters
    ----------
    data_set : DataSet
        What they are, with licence and citation.
    folder : Path
        Where they are.
    """

    data_set: DataSet
    folder: Path

    @property
    def paths(self) -> dict[str, Path]:
        """Path of each file, by its name."""
        return {name: self.folder / name for name in self.data_set.files}

    @property
    def scan(self) -> Path:
        """Path of the scan; its b-values are next to it."""
        return self.folder / self.data_set.scan

    @property
    def mask(self) -> Path | None:
        """Path of the usual mask, if the data set has one."""
        return self.folder / self.data_set.mask if self.data_set.mask else None


def fetched(data_set: DataSet, out: Path | None, overwrite: bool, progress: Progress) -> Fetched:
    """Return the files of a data set, downloaded if they are not there and complete."""
    folder = cache_folder("datasets", data_set.name) if out is None else full_path(out)
    found = Fetched(data_set, folder)
    if _is_complete(found):
        return found
    there = [name for name in (*data_set.files, RECORD) if (folder / name).exists()]
    if there and out is not None and not overwrite:
        raise OutputExistsError(
            f"{folder / there[0]} exists already and is not the file of {data_set.name}, or the "
            "data set is not complete; expected an empty folder. Choose another folder, or ask "
            "to overwrite it (--overwrite)",
            python="Pass overwrite=True",
        )

    def write(stage: Path) -> None:
        for download in data_set.downloads:
            _put(download, stage, data_set, progress)
        sums = {name: sha256(stage / name) for name in data_set.files}
        write_json(stage / RECORD, _record(data_set, sums))

    write_folder(folder, [*data_set.files, RECORD], write)
    return found


def _put(download: Download, stage: Path, data_set: DataSet, progress: Progress) -> None:
    """Put the files of a download into a folder."""
    if not download.members:
        transfer(download, stage, data_set, progress)
        return
    # Kept: other data sets are in the same archive.
    archive = transfer(download, cache_folder("archives"), data_set, progress)
    with told_as_input(stage), zipfile.ZipFile(archive) as opened:
        for member, name in download.members.items():
            try:
                source = opened.open(member)
            except KeyError:
                raise FileFormatError(
                    f"{archive} has no {member}; expected the archive of {data_set.name}. Please "
                    "report it"
                ) from None
            with source, (stage / name).open("wb") as target:
                shutil.copyfileobj(source, target)


def _is_complete(found: Fetched) -> bool:
    """Return whether all files are there with their checksums."""
    expected = {
        download.name: download.sha256
        for download in found.data_set.downloads
        if not download.members
    }
    unpacked = [name for name in found.data_set.files if name not in expected]
    if unpacked:
        # The registry knows the checksum of the archive; its members were noted when unpacked.
        expected |= _noted(found, unpacked)
    if set(expected) != set(found.data_set.files):
        return False
    return all(
        path.is_file() and sha256(path) == expected[name] for name, path in found.paths.items()
    )


def _noted(found: Fetched, names: list[str]) -> dict[str, str]:
    """Return checksums from the record of an earlier fetch, if it is of the same archives."""
    try:
        record = read_json(found.folder / RECORD)
    except FileFormatError:
        return {}
    sums = record.get("sha256")
    same = record.get("downloads") == _record(found.data_set, {})["downloads"]
    if not same or not isinstance(sums, Mapping):
        return {}
    return {name: str(sums[name]) for name in names if name in sums}


def _record(data_set: DataSet, sums: Mapping[str, str]) -> dict[str, object]:
    return {
        "name": data_set.name,
        "title": data_set.title,
        "licence": data_set.licence,
        "licence_url": data_set.licence_url,
        "citation": data_set.citation,
        "downloads": [
            {"url": download.urls[0], "sha256": download.sha256} for download in data_set.downloads
        ],
        "sha256": dict(sums),
    }
