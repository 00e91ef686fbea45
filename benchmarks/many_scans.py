"""Many scans: memory of the command, one corrupt scan among them, and what a cohort costs."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import ivimkit as ik
from benchmarks.cohort_data import bids_command, make_dataset
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.process_tree import run_tree

_SCANS, _FULL_SCANS = 100, 1000
_TINY = (8, 8, 2)
_SIZES = ((24, 20, 4), (64, 42, 4), (96, 62, 8))
"""Scans of three sizes: the model is made from the first and last, and checked by the middle."""
_FEW, _MORE = 4, 16
_MAX_GROWTH_MB = 20.0
_COHORT = 10_000
_COHORT_VOXELS = 100_000
_CORES = (1, 16, 100)
_S_PER_HOUR = 3600.0


@dataclass(frozen=True)
class _Cost:
    """What a scan of one size costs, without what a start costs."""

    voxels: int
    cpu_seconds: float
    megabytes: float


def measure(settings: Settings) -> Findings:
    """Watch a run of many scans, and measure the cost of some of three sizes."""
    number = _FULL_SCANS if settings.full else _SCANS
    with TemporaryDirectory(prefix="ivimkit-many-") as folder:
        memory, seconds, failures = _watched(Path(folder), number)
        costs = [_cost(Path(folder) / f"{size[0]}", size) for size in _SIZES]
    outer = [costs[0], costs[-1]]
    voxels = [one.voxels for one in outer]
    slope, own = np.polyfit(voxels, [one.cpu_seconds for one in outer], 1)
    size_slope, size_own = np.polyfit(voxels, [one.megabytes for one in outer], 1)
    cpu = own + slope * _COHORT_VOXELS
    middle = own + slope * costs[1].voxels
    growth = memory[-1][1] - memory[len(memory) // 4][1]
    hours = _COHORT * cpu / _S_PER_HOUR
    return Findings(
        conditions={
            "data": f"{number} scans of {' × '.join(map(str, _TINY))} voxels, one of them cut "
            f"off; for the cost {_MORE - _FEW} scans of each size; 13 b-values, method varpro, no "
            "reports",
            "time": "CPU time of all processes; for the cost less that of fewer scans, so that "
            "starts and imports are not in it",
        },
        checked=f"{number - 1} scans were fitted, and the corrupt one is one line of the output.",
        tables=[
            Table(
                "Memory of the command during the run",
                [Column("scans done"), Column("resident memory, MB", "{:.0f}")],
                [[str(done), megabytes] for done, megabytes in memory],
            ),
            Table(
                "A page and tables of all",
                [Column("command"), Column("CPU, s", "{:.1f}"), Column("size, kB", "{:.0f}")],
                [[name, cpu_s, kilobytes] for name, cpu_s, kilobytes in seconds],
            ),
            Table(
                "Cost of a scan",
                [
                    Column("voxels"),
                    Column("CPU, ms", "{:.0f}"),
                    Column("disk, MB", "{:.2f}"),
                    Column("CPU of the model, ms", "{:.0f}"),
                ],
                [
                    [
                        f"{one.voxels}",
                        1000 * one.cpu_seconds,
                        one.megabytes,
                        1000 * (own + slope * one.voxels),
                    ]
                    for one in costs
                ],
            ),
            Table(
                f"The model for {_COHORT} scans of {_COHORT_VOXELS} voxels: "
                f"{1000 * own:.0f} ms and {1e6 * slope:.1f} µs per voxel of CPU",
                [Column("cores"), Column("time, hours", "{:.2f}"), Column("disk, GB", "{:.0f}")],
                [
                    [
                        str(cores),
                        hours / cores,
                        _COHORT * (size_own + size_slope * _COHORT_VOXELS) / 1000,
                    ]
                    for cores in _CORES
                ],
            ),
        ],
        targets=[
            Target(
                "The memory of the command is constant: growth after the first quarter below "
                f"{_MAX_GROWTH_MB:g} MB",
                f"{growth:.1f} MB",
                growth < _MAX_GROWTH_MB,
            ),
            Target("One corrupt scan is one line", f"{failures} lines", failures == 1),
            Target(
                "The model at the middle size, of the measured CPU time",
                f"{middle / costs[1].cpu_seconds:.0%}",
                None,
            ),
        ],
        notes=[
            "A voxel does not cost the same in scans of all sizes: the hours are as far "
            "off as the model is at the middle size."
        ],
    )


def _watched(folder: Path, number: int) -> tuple[list[tuple[int, float]], list[list[Cell]], int]:
    """Run many scans and look at the memory of the command; then make the group."""
    print(f"many_scans: {number} scans ...", flush=True)
    root, out = make_dataset(folder / "raw", number, _TINY), folder / "out"
    broken = f"sub-{number // 2:04d}"
    path = root / broken / "dwi" / f"{broken}_dwi.nii.gz"
    content = path.read_bytes()[:300]
    path.unlink()
    path.write_bytes(content)
    ledger = ik.cohort.Ledger(out)
    with (folder / "log").open("w") as log:
        run = subprocess.Popen(
            bids_command(root, out, "--n-procs", "2"), stdout=log, stderr=subprocess.STDOUT
        )
        seen: list[tuple[int, float]] = []
        while run.poll() is None:
            done = sum(1 for _ in ledger.folder.glob("*.json")) if ledger.folder.is_dir() else 0
            memory = _resident_mb(run.pid)
            if done and memory and (not seen or done > seen[-1][0] + number // 100):
                seen.append((done, memory))
            time.sleep(0.1)
    told = (folder / "log").read_text().splitlines()
    failures = sum(line.startswith("failed: ") and " of " in line for line in told)
    states = [entry.state for entry in ledger.entries()]
    if (states.count("done"), states.count("failed")) != (number - 1, 1):
        raise AssertionError(f"{states.count('done')} of {number} scans were fitted: {told[-3:]}")
    group = run_tree([sys.executable, "-m", "ivimkit", "bids", str(root), str(out), "group"])
    again = run_tree(bids_command(root, out, "--n-procs", "2"), codes=(1,))
    pages = {name: (out / name).stat().st_size / 1000 for name in ("group.html", "index.html")}
    shown = [seen[round(k)] for k in np.linspace(0, len(seen) - 1, 8)]
    rows: list[list[Cell]] = [
        ["group: tables and group.html", group.cpu_seconds, pages["group.html"]],
        ["again: one scan is tried, index.html", again.cpu_seconds, pages["index.html"]],
    ]
    return shown, rows, failures


def _cost(folder: Path, shape: tuple[int, ...]) -> _Cost:
    print(f"many_scans: scans of {shape} ...", flush=True)
    root = make_dataset(folder / "raw", _MORE, shape)
    cpu = {}
    for number in (_FEW, _MORE):
        chosen = ",".join(f"{k:04d}" for k in range(number))
        options = ("--participant-label", chosen, "--n-procs", "2")
        cpu[number] = run_tree(bids_command(root, folder / f"out{number}", *options)).cpu_seconds
    out = folder / f"out{_MORE}"
    size = sum(path.stat().st_size for path in out.rglob("sub-*/**/*") if path.is_file())
    seconds = (cpu[_MORE] - cpu[_FEW]) / (_MORE - _FEW)
    return _Cost(prod(shape), seconds, size / _MORE / 1e6)


def _resident_mb(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS")), 0.0)


FIGURE = Figure(
    order=32,
    name="many_scans",
    title="Many scans: memory of the command, and what a cohort costs",
    measure=measure,
    full_takes="5 minutes",
)

if __name__ == "__main__":
    run_alone(FIGURE)
