"""dciodvfy, the checker of DICOM objects of dicom3tools (Debian: apt-get install dicom3tools)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest


def errors_of(files: Iterable[Path]) -> list[str]:
    """Return the errors that the checker finds in files; skip the test where it is missing."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed; it comes with dicom3tools")
    found = []
    for file in files:
        done = subprocess.run(["dciodvfy", file], capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        assert lines, "dciodvfy names the class of each object"
        found += [f"{file.name}: {line}" for line in lines if line.startswith("Error")]
    return found
