"""files_for: a file that is named once for several scans, and lies next to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError

__all__ = ["files_for"]

_AS_TOLD = ("/", "./", "../", "~")


def files_for(name: str, option: str, scans: Sequence[Path], screen: Screen) -> list[Path]:
    """Find a file for each scan: next to it, or one in the working directory for all.

    Parameters
    ----------
    name : str
        What was given. A name that begins with ``/``, ``./``, ``../`` or ``~`` is that one file.
    option : str
        The option, for messages.
    scans : sequence of Path
        The scans.
    screen : Screen
        Where to say that there are two files of this name.

    Returns
    -------
    list of Path
        One per scan. All of them exist.

    Raises
    ------
    OptionError
        If there is no such file, or it is next to only some of the scans.
    """
    alone = Path(name).expanduser()
    if alone.is_absolute() or name.startswith(_AS_TOLD):
        if not _is_there(alone):
            raise OptionError(f"there is no file {name} ({option}); expected one. Check the path")
        return [alone] * len(scans)
    beside = [scan.parent / name for scan in scans]
    missing = [scan for scan, file in zip(scans, beside, strict=True) if not _is_there(file)]
    if not missing:
        if _is_there(alone) and not any(_is_same(alone, file) for file in beside):
            screen.warn(
                f"{name} ({option}) is next to the scan and in the working directory; the one "
                f"next to the scan is used. The other one is ./{name}"
            )
        return beside
    if len(missing) < len(scans):
        shown = ", ".join(map(str, missing[:3])) + (", ..." if len(missing) > 3 else "")
        raise OptionError(
            f"{name} ({option}) is next to {len(scans) - len(missing)} of {len(scans)} scans, and "
            f"not next to {shown}; expected it next to each of them. Copy it there, or name one "
            f"file for all (./{name}, or its full path)"
        )
    if not _is_there(alone):
        where = "the scan" if len(scans) == 1 else "any of the scans"
        raise OptionError(
            f"there is no file {name} ({option}), neither next to {where} nor in the working "
            "directory; expected one. Check the path"
        )
    return [alone] * len(scans)


def _is_there(path: Path) -> bool:
    try:
        # A broken link raises a separate error when it is opened.
        return path.exists() or path.is_symlink()
    except OSError:
        return False


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
