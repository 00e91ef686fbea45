"""A scan after preprocessing as files: alone in a folder, or with the result of its fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ivimkit.errors import OutputExistsError
from ivimkit.io.checksum import sha256
from ivimkit.io.map_files import SCAN_ENDINGS, save_map, scan_output
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.io.scan_files import AnyPath
from ivimkit.scan.dwi import DWI
from ivimkit.scan.source import Source
from ivimkit.writing import Files, write_files

__all__ = [
    "MASK",
    "PREPROCESSED",
    "SCAN",
    "SCAN_FILES",
    "Staged",
    "check_preprocessed",
    "save_preprocessed",
    "staged",
]

PREPROCESSED = "preprocessed"
"""Name of the folder of the scan in the folder of a result."""

SCAN = "dwi.nii.gz"
"""Name of the scan."""

MASK = "mask.nii.gz"
"""Name of its mask, if it has one."""

SCAN_FILES = (SCAN, *(f"dwi{ending}" for ending in SCAN_ENDINGS.values()), MASK)
"""The names of all files that a scan may have."""


def check_preprocessed(
    folder: AnyPath, *, overwrite: bool = False, acquired: Iterable[AnyPath] = ()
) -> None:
    """Refuse a folder that contains a scan, before the work of the steps.

    Parameters
    ----------
    folder : path
        Where the scan will be saved.
    overwrite : bool
        Whether an earlier scan may be replaced.
    acquired : iterable of path
        The files that the steps begin with, which are never replaced.

    Raises
    ------
    OutputExistsError
        If there is one, or the folder is a file.
    """
    home = absolute(folder)
    written = {(home / name).resolve() for name in SCAN_FILES}
    for file in acquired:
        if Path(file).resolve() in written:
            raise OutputExistsError(
                f"{file} would be replaced by what the steps make of it; expected the scan as "
                "acquired to remain. Choose another folder"
            )
    check_free(home, SCAN_FILES, overwrite=overwrite)


def save_preprocessed(dwi: DWI, folder: AnyPath, *further: Files, overwrite: bool = False) -> None:
    """Save a scan as ``dwi.nii.gz`` in a folder, with all that belongs to it and its mask.

    Parameters
    ----------
    dwi : DWI
        The scan, e.g. of `ivimkit.preprocess`.
    folder : path
        Output folder; created if needed.
    *further : Files
        Files that appear together with these, such as figures.
    overwrite : bool
        Whether an earlier scan may be replaced.

    Raises
    ------
    OutputExistsError
        If there is one and overwriting was not asked for, or the files are those that the steps
        began with.
    InputError
        If the files cannot be written.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> made = ik.preprocess(ik.simulate.phantom(shape=(48, 36, 2)).dwi, "mask:kind=body")
    >>> folder = Path(tempfile.mkdtemp()) / "out"
    >>> ik.io.save_preprocessed(made.dwi, folder)
    >>> ik.load(folder / "dwi.nii.gz", mask=folder / "mask.nii.gz").history.names
    ('mask',)
    """
    begun = [source.path for source in (*dwi.history.sources, *dwi.sources)]
    check_preprocessed(folder, overwrite=overwrite, acquired=begun)
    write_files(absolute(folder), *further, _files(dwi, ""))


def _files(dwi: DWI, within: str) -> Files:
    """Return the files of a scan and of its mask, if it has one."""
    scan = scan_output(dwi, SCAN, within)
    if dwi.mask.all():
        return Files(scan.names, scan.write, [*scan.outdated, f"{within}{MASK}"])

    def write(stage: Path) -> None:
        scan.write(stage)
        save_map(dwi.mask.astype(np.uint8), stage / within / MASK, dwi.geometry)

    # The scan comes last: a folder with it is complete.
    return Files([f"{within}{MASK}", *reversed(scan.names)], write, scan.outdated)


@dataclass(frozen=True, eq=False)
class Staged:
    """A scan whose files are ready, but not where they will be.

    Parameters
    ----------
    dwi : DWI
        The scan, whose sources are its files as they will be.
    files : Files
        What to write to the folder of the result.
    """

    dwi: DWI
    files: Files


@contextmanager
def staged(dwi: DWI, folder: AnyPath) -> Iterator[Staged]:
    """Prepare the files of a scan that is saved with the result of its fit.

    The result names them with their checksums, so they are made before it, next to each other in
    a temporary folder that is gone after the block.

    Parameters
    ----------
    dwi : DWI
        The scan.
    folder : path
        The folder of the result.

    Yields
    ------
    Staged
    """
    target = absolute(folder) / PREPROCESSED
    with TemporaryDirectory(prefix="ivimkit-") as place:
        stage = Path(place)
        made = _files(dwi, "")
        made.write(stage)
        roles = {SCAN: "scan"} | {f"dwi{end}": role for role, end in SCAN_ENDINGS.items()}
        masks = [source for source in dwi.sources if source.role == "mask"]
        sources = [
            Source(role, str(target / name), sha256(stage / name))
            for name, role in roles.items()
            if name in made.names
        ]

        def write(final: Path) -> None:
            for name in made.names:
                shutil.copyfile(stage / name, final / PREPROCESSED / name)

        names, outdated = (
            [f"{PREPROCESSED}/{name}" for name in some] for some in (made.names, made.outdated)
        )
        yield Staged(dwi.with_sources([*sources, *masks]), Files(names, write, outdated))
