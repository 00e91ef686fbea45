"""Files: some files of a folder, and how they are written."""

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
        Their names, ``figures/maps.png`` for one in a subfolder.
    write : callable
        Called with the path of an empty folder, which has the subfolders; writes the files.
    outdated : sequence of str
        Files of earlier ones that go when these come.
    """

    names: Sequence[str]
    write: Callable[[Path], None]
    outdated: Sequence[str] = ()
