"""DicomListing: what a folder of DICOM contains; the work behind ``ivimkit dicom list``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ivimkit import io
from ivimkit.cli.screen.dicom_tables import contents_shown
from ivimkit.cli.screen.terminal import Screen

__all__ = ["DicomListing"]


@dataclass(frozen=True)
class DicomListing:
    """How to list.

    Parameters
    ----------
    as_json : bool
        Print JSON instead of tables.
    screen : Screen
        Where to print.
    """

    as_json: bool = False
    screen: Screen = field(default_factory=Screen)

    def run(self, folders: Sequence[Path]) -> None:
        """Read the headers of all files and print what they are."""
        contents = io.list_dicom(folders[0] if len(folders) == 1 else folders)
        if self.as_json:
            self.screen.show(json.dumps(contents.to_dict(), indent=2, ensure_ascii=False))
            return
        self.screen.show(*contents_shown(contents, shlex.join(map(str, folders))))
