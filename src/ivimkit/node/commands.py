"""Commands: the child processes in which studies are looked at and scans are fitted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ivimkit.node.jobs import Job, JobFolder
from ivimkit.node.rules import Rule

__all__ = ["Commands"]

_INSPECT = (
    "import sys; from ivimkit.node.inspection import write_inspection as write; "
    "write(*sys.argv[1:])"
)


def _inspect(folder: Path, out: Path) -> list[str]:
    return [sys.executable, "-c", _INSPECT, str(folder), str(out)]


def _fit(job: Job, rule: Rule, folder: JobFolder, out: Path) -> list[str]:
    words = [sys.executable, "-m", "ivimkit", "dicom", "run", str(folder.input), str(out)]
    words += [f"--as={','.join(rule.write)}", *rule.options()]
    if job.drop_incomplete:
        words.append("--drop-incomplete")
    if rule.keep_result:
        words += [f"--result={folder.result}", "--overwrite"]
    return words


@dataclass(frozen=True)
class Commands:
    """What is run.

    Parameters
    ----------
    inspect : callable
        Called with the folder of a study and a file for the `Inspection`, as JSON.
    fit : callable
        Called with a job, its rule, its folder, and an empty folder for the DICOM files.
    """

    inspect: Callable[[Path, Path], list[str]] = _inspect
    fit: Callable[[Job, Rule, JobFolder, Path], list[str]] = _fit
