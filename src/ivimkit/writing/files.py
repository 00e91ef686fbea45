"""Files: a group of files in a folder, and the function that writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Files"]


@dataclass(frozen=True)
class Files:
    """Files that belong together.

    Parameters
    ----------
    names : sequence of str
        Their names, ``figures/maps.png`` for one in a subfolder; some may be folders.
    write : callable
        Called with the path of an empty folder with the needed subfolders; writes the files.
    outdated : sequence of str
        Earlier files that are removed when these are written.
    folders : sequence of str
        Which of the names are folders. They come and go as a whole, and may replace folders.
    """

    names: Sequence[str]
    write: Callable[[Path], None]
    outdated: Sequence[str] = ()
    folders: Sequence[str] = ()
