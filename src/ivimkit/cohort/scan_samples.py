"""The samples of scans that the prior of a cohort is learned from, one file each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ivimkit.cohort.ledger import DONE, FOLDER, Ledger
from ivimkit.cohort.protocol import Protocol
from ivimkit.cohort.subject_scan import SubjectScan
from ivimkit.cohort.task import SAMPLES, Task
from ivimkit.fitting.pooled_prior import ScanSample, scan_sample
from ivimkit.writing import told_as_input

__all__ = ["SampleFile", "read_samples", "write_sample"]

_SIGNALS = "signals "


class _About(msgspec.Struct, frozen=True):
    """What a file of a sample says in words."""

    protocol: Protocol
    floor: float
    is_noise_given: bool


@dataclass(frozen=True, eq=False)
class SampleFile:
    """What a scan gave.

    Parameters
    ----------
    name : str
        The scan.
    protocol : Protocol
        How it was acquired.
    sample : ScanSample
        Its signals.
    """

    name: str
    protocol: Protocol
    sample: ScanSample


def write_sample(task: Task, scan: SubjectScan) -> dict[str, Any]:
    """Draw the sample of a scan and write it by renaming.

    Returns
    -------
    dict
        What the ledger keeps of it: its file, protocol and number of voxels.
    """
    settings = scan.settings
    sample = scan_sample(
        scan.dwi,
        settings,
        sigma=task.recipe.noise(task.subject, scan.dwi),
        labels=scan.learning_labels(),
        threads=task.threads,
    )
    protocol = Protocol.of(scan, settings.model, sample.x)
    about = msgspec.json.encode(_About(protocol, sample.floor, sample.is_noise_given))
    arrays: dict[str, Any] = {f"{_SIGNALS}{name}": rows for name, rows in sample.signals.items()}
    path = _path(task.out, task.subject.name)
    part = path.with_suffix(".part.npz")
    with told_as_input(task.out):
        np.savez(part, about=about.decode(), x=sample.x, weight=sample.weight, **arrays)
        part.replace(path)
    n_voxels = sum(map(len, sample.signals.values()))
    return {
        "files": (path.relative_to(task.out).as_posix(),),
        "protocol": protocol.title,
        "n_voxels": n_voxels,
    }


def read_samples(out: Path, names: Sequence[str]) -> Iterator[SampleFile]:
    """Yield the samples of scans, in the order of their names; of some there may be none."""
    ledger = Ledger(out, SAMPLES)
    for name in sorted(names):
        entry = ledger.read(name)
        if entry is None or entry.state != DONE:
            continue
        with np.load(_path(out, name)) as file:
            about = msgspec.json.decode(str(file["about"][()]), type=_About)
            signals = {
                key.removeprefix(_SIGNALS): file[key]
                for key in file.files
                if key.startswith(_SIGNALS)
            }
            sample = ScanSample(
                file["x"], file["weight"], about.floor, about.is_noise_given, signals
            )
        yield SampleFile(name, about.protocol, sample)


def _path(out: Path, name: str) -> Path:
    return out / FOLDER / SAMPLES / f"{name}.npz"
