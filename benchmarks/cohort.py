"""Cohort: what the ledger, the processes and the BIDS files cost, against a plain loop."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.figure import Column, Figure, Findings, Settings, Table, Target
from benchmarks.machine import usable_cores

_SCANS, _FULL_SCANS = 50, 200
_SHAPE = (64, 42, 4)
_MAX_RATIO = 1.4
_LIKE = 5
"""Scans that are simulated; the others are links to them."""

_LOOP = """
import sys, warnings
from pathlib import Path
import ivimkit as ik
warnings.simplefilter("ignore")
root, out, number = *map(Path, sys.argv[1:3]), int(sys.argv[3])
for scan in sorted(root.glob("sub-*/dwi/*_dwi.nii.gz"))[:number]:
    ik.save(ik.fit(ik.load(scan), threads=1), out / scan.parts[-3])
"""
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: who becomes the parent of processes whose parent has ended."""


@dataclass(frozen=True)
class _Run:
    """What a command took."""

    cpu_seconds: float
    seconds: float


def measure(settings: Settings) -> Findings:
    """Fit a data set in a loop and by ivimkit bids, and start the latter again."""
    number = _FULL_SCANS if settings.full else _SCANS
    print(f"cohort: {number} scans ...", flush=True)
    with TemporaryDirectory(prefix="ivimkit-cohort-") as folder:
        root, out = Path(folder) / "raw", Path(folder) / "out"
        _make(root, number)
        bids = [sys.executable, "-m", "ivimkit", "bids", str(root), str(out), "participant"]
        bids += ["--no-reports", "--quiet", "--threads", "1"]
        loop = [sys.executable, "-c", _LOOP, str(root)]
        # The first run compiles.
        _run([*loop, str(Path(folder) / "warm"), "1"])
        runs = {
            "plain loop: load, fit, save": _run([*loop, str(Path(folder) / "loop"), str(number)]),
            "ivimkit bids, 2 processes": _run([*bids, "--n-procs", "2"]),
            "ivimkit bids again: all is done": _run([*bids, "--n-procs", "2"]),
        }
        entries = list(ik.cohort.Ledger(out).entries())
        done = [entry for entry in entries if entry.state == "done"]
        if len(done) != number:
            raise AssertionError(f"{len(done)} scans were fitted; expected {number}")
    loop_run, bids_run, again = runs.values()
    ratio = bids_run.cpu_seconds / loop_run.cpu_seconds
    return Findings(
        conditions={
            "data": f"{number} scans of {' × '.join(map(str, _SHAPE))} voxels at 13 b-values, "
            "`.nii.gz`, method varpro, no reports",
            "written": "by both all maps and sidecars as `.nii.gz` and JSON; by ivimkit bids also "
            "a table of regions, checksums of the inputs and the ledger",
            "time": "CPU time of all processes, starts and imports among it",
        },
        checked="every scan was fitted once.",
        tables=[
            Table(
                f"{number} scans, {len(usable_cores())} cores",
                [
                    Column("way"),
                    Column("CPU, s", "{:.1f}"),
                    Column("CPU per scan, ms", "{:.0f}"),
                    Column("time, s", "{:.1f}"),
                ],
                [
                    [name, run.cpu_seconds, 1000 * run.cpu_seconds / number, run.seconds]
                    for name, run in runs.items()
                ],
            )
        ],
        targets=[
            Target(
                f"At most {_MAX_RATIO:g} times the CPU time of a plain loop",
                f"{ratio:.2f}",
                ratio <= _MAX_RATIO if settings.full else None,
            ),
            Target("CPU time to find that all is done", f"{again.cpu_seconds:.1f} s", None),
        ],
    )


def _make(root: Path, number: int) -> None:
    for k in range(number):
        home = root / f"sub-{k:04d}" / "dwi"
        home.mkdir(parents=True)
        scan = home / f"sub-{k:04d}_dwi.nii.gz"
        if k < _LIKE:
            ik.io.save_scan(ik.simulate.phantom(shape=_SHAPE, seed=k + 1).dwi, scan)
            continue
        for ending in (".nii.gz", ".bval"):
            like = root / f"sub-{k % _LIKE:04d}" / "dwi" / f"sub-{k % _LIKE:04d}_dwi{ending}"
            (home / f"sub-{k:04d}_dwi{ending}").symlink_to(like)
    described = {"Name": "phantoms", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(described))


def _run(command: list[str]) -> _Run:
    """Run a command; count the time of all processes that it starts."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - start
    # Those that outlive the command are children of this process now.
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    after = os.times()
    cpu = sum(
        getattr(after, name) - getattr(before, name)
        for name in ("children_user", "children_system")
    )
    return _Run(cpu, seconds)


FIGURE = Figure(
    order=29,
    name="cohort",
    title="Cohort: the cost of processes, ledger and BIDS files",
    measure=measure,
    full_takes="2 minutes",
)

if __name__ == "__main__":
    run_alone(FIGURE)
