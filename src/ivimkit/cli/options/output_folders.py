"""Where the result of each scan of a call goes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ivimkit.errors import InputError, OptionError, OutputExistsError
from ivimkit.io.image_stem import stem_of_name
from ivimkit.io.remote_copies import address_of
from ivimkit.io.result_folder import absolute
from ivimkit.io.stored_array import split_inside
from ivimkit.letters import readable

__all__ = ["check_writable", "names_apart", "output_folders", "shown_names", "stem"]

_ZIP = re.compile(r"\.zip$", re.IGNORECASE)


def stem(scan: Path) -> str:
    """Return the name of a scan without ``.nii.gz`` or ``.zip``."""
    name = split_inside(scan)[0].name
    return _ZIP.sub("", stem_of_name(name)) or name


def output_folders(scans: Sequence[Path], out: Path | None, *, ending: str = "ivim") -> list[Path]:
    """Choose a folder for each scan.

    Parameters
    ----------
    scans : sequence of Path
        The scans of one call.
    out : Path, optional
        The folder given by the user: that of the only scan, or the parent of all folders.
    ending : str
        Ending of the names of default folders.

    Returns
    -------
    list of Path
        ``dwi_ivim`` next to ``dwi.nii.gz`` without `out`, in the working directory for a scan at
        an address; with `out` and several scans, folders
        named after the scans, preceded by as many of their parents as make them distinct.

    Raises
    ------
    OptionError
        If two results would go to the same folder.
    """
    if out is not None:
        folders = [out] if len(scans) == 1 else [out / name for name in names_apart(scans)]
    else:
        folders = [_home(scan) / f"{stem(scan)}_{ending}" for scan in map(_named, scans)]
    for folder, count in Counter(folder.resolve() for folder in folders).items():
        if count > 1:
            same = [str(s) for s, f in zip(scans, folders, strict=True) if f.resolve() == folder]
            raise OptionError(
                f"{' and '.join(same)} would both be written to {folder}; expected scans with "
                "different names. Fit them one by one with --out"
            )
    return folders


def _home(scan: Path) -> Path:
    """Return the folder that a scan is in."""
    file, _ = split_inside(scan)
    return Path() if address_of(file) is not None else file.parent


def _named(scan: Path) -> Path:
    """Return a path that ends in a name, which that of the current folder does not."""
    return scan.resolve() if scan.name in ("", "..") else scan


def check_writable(folder: Path) -> None:
    """Refuse a folder that nothing can be written to, before the work.

    Parameters
    ----------
    folder : Path
        Output folder, which need not exist; nothing is left there.

    Raises
    ------
    InputError
        If it, or the nearest folder above it that exists, is a file or cannot be written to.
    """
    target = absolute(folder)
    try:
        home = next(path for path in (target, *target.parents) if path.exists())
        if not home.is_dir():
            raise OutputExistsError(
                f"cannot write to {folder}: {home} is a file; expected a folder. Choose another "
                "name"
            )
        # Rights alone are not enough: the disk may be read-only, or may not accept files.
        with TemporaryDirectory(prefix=".ivimkit-", dir=home):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to {folder}: {error.strerror or error}; expected a folder with enough "
            "space and the right to write. Choose another one"
        ) from None


def names_apart(paths: Sequence[Path]) -> list[str]:
    """Return names with the fewest parent folders that make all of them different."""
    files = [split_inside(path)[0].resolve() for path in paths]
    parts = [(*file.parent.parts[1:], stem(file)) for file in files]
    names: list[str] = []
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["_".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names


def shown_names(paths: Sequence[Path]) -> list[str]:
    """Return the same for pictures and pages: printable names, all different."""
    names = [readable(name) for name in names_apart(paths)]
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [
        f"{name} ({number})" if name in twice else name for number, name in enumerate(names, 1)
    ]
