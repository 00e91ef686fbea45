"""Cohort: what the ledger, the processes and the BIDS files cost, against a plain loop."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import ivimkit as ik
from benchmarks.cohort_data import bids_command, make_dataset
from benchmarks.command import run_alone
from benchmarks.figure import Column, Figure, Findings, Settings, Table, Target
from benchmarks.machine import usable_cores
from benchmarks.process_tree import run_tree

_SCANS, _FULL_SCANS = 50, 200
_SHAPE = (64, 42, 4)
_MAX_RATIO = 1.4

_LOOP = """
import sys, warnings
from pathlib import Path
import ivimkit as ik
warnings.simplefilter("ignore")
root, out, number = *map(Path, sys.argv[1:3]), int(sys.argv[3])
for scan in sorted(root.glob("sub-*/dwi/*_dwi.nii.gz"))[:number]:
    ik.save(ik.fit(ik.load(scan), threads=1), out / scan.parts[-3])
"""


def measure(settings: Settings) -> Findings:
    """Fit a data set in a loop and by ivimkit bids, and start the latter again."""
    number = _FULL_SCANS if settings.full else _SCANS
    print(f"cohort: {number} scans ...", flush=True)
    with TemporaryDirectory(prefix="ivimkit-cohort-") as folder:
        root, out = Path(folder) / "raw", Path(folder) / "out"
        make_dataset(root, number, _SHAPE)
        bids = bids_command(root, out, "--quiet", "--n-procs", "2")
        loop = [sys.executable, "-c", _LOOP, str(root)]
        # The first run compiles.
        run_tree([*loop, str(Path(folder) / "warm"), "1"])
        runs = {
            "plain loop: load, fit, save": run_tree(
                [*loop, str(Path(folder) / "loop"), str(number)]
            ),
            "ivimkit bids, 2 processes": run_tree(bids),
            "ivimkit bids again: all is done": run_tree(bids),
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


FIGURE = Figure(
    order=29,
    name="cohort",
    title="Cohort: the cost of processes, ledger and BIDS files",
    measure=measure,
    full_takes="2 minutes",
)

if __name__ == "__main__":
    run_alone(FIGURE)
