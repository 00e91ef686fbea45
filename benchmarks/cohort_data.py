"""Data sets of phantoms in the layout of BIDS, and the command that fits them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import ivimkit as ik

__all__ = ["bids_command", "make_dataset", "results_of"]

_SIMULATED = 5
"""Scans that are simulated; the others are links to them."""


def make_dataset(root: Path, number: int, shape: Sequence[int]) -> Path:
    """Write a data set of a number of scans; return its folder.

    Parameters
    ----------
    root : Path
        The folder.
    number : int
        Number of scans, each of another subject.
    shape : sequence of int
        Size of each, voxels.
    """
    for k in range(number):
        home = root / f"sub-{k:04d}" / "dwi"
        home.mkdir(parents=True)
        scan = home / f"sub-{k:04d}_dwi.nii.gz"
        if k < _SIMULATED:
            ik.io.save_scan(ik.simulate.phantom(shape=shape, seed=k + 1).dwi, scan)
            continue
        like = f"sub-{k % _SIMULATED:04d}"
        for ending in (".nii.gz", ".bval"):
            source = root / like / "dwi" / f"{like}_dwi{ending}"
            (home / f"sub-{k:04d}_dwi{ending}").symlink_to(source)
    described = {"Name": "phantoms", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(described))
    return root


def bids_command(root: Path, out: Path, *options: str) -> list[str]:
    """Return the words that fit all scans of a data set, without reports."""
    words = ["-m", "ivimkit", "bids", str(root), str(out), "participant", "--no-reports"]
    return [sys.executable, *words, "--threads", "1", *options]


def results_of(out: Path) -> dict[str, bytes]:
    """Return the bytes of all files of a result, apart from those that contain times."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not {".ivimkit", "log"} & set(path.parts)
    }
