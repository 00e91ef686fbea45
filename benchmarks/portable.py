"""Portable bits: what it costs to compile for all processors with AVX2 instead of this one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time

import numpy as np

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import B21, simulated
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from ivimkit.portable_bits import VARIABLES, cpu_target

_VOXELS = 20_000
_REPEATS, _ROUNDS = 5, 3
_METHODS = ("varpro", "segmented")
_TARGETS: dict[str, dict[str, str]] = {
    "this processor": {},
    "portable bits": VARIABLES,
    "haswell": {**VARIABLES, "NUMBA_CPU_NAME": "haswell"},
}
_CHILD = "from benchmarks.portable import child; child({!r}, {})"


def measure(settings: Settings) -> Findings:
    """Fit the same voxels in processes that compile for different processors."""
    n = settings.size(_VOXELS)
    rows: list[list[Cell]] = []
    same = True
    for method in _METHODS:
        # In turn, as other programs come and go.
        runs = [
            {name: _run(method, n, own) for name, own in _TARGETS.items()} for _ in range(_ROUNDS)
        ]
        best = {name: min(float(one[name]["seconds"]) for one in runs) for name in _TARGETS}
        bits = {name: runs[0][name]["sha256"] for name in _TARGETS}
        same &= bits["portable bits"] == bits["haswell"]
        for name in _TARGETS:
            shown = runs[0][name]["target"]
            title = name if name == shown else f"{name} ({shown})"
            agrees = bits[name] == bits["portable bits"]
            speed = best["this processor"] / best[name]
            rows.append([f"{method}, {title}", n / best[name], speed, agrees])
    return Findings(
        conditions={
            "data": f"{n} voxels of b21, SNR 20, one thread, compiled code in the cache",
            "time": f"CPU time, the best of {_REPEATS} fits in each of {_ROUNDS} processes",
        },
        checked="every process fitted the same signals.",
        tables=[
            Table(
                "Compiled for",
                [
                    Column("method, processor"),
                    Column("voxels/s", "{:.0f}"),
                    Column("speed, this processor = 1", "{:.2f}"),
                    Column("bits of portable bits"),
                ],
                rows,
            )
        ],
        targets=[
            Target(
                "The same bits for two kinds of processor", "yes" if same else "they differ", same
            )
        ],
        notes=[
            "What portable bits cost is what a processor can do beyond AVX2: nothing on one "
            "without AVX-512."
        ],
    )


def child(method: str, n: int) -> None:
    """Fit, and print how long it took and a checksum of the maps."""
    signal = simulated("b21", 20, n).signal
    times = []
    for _ in range(1 + _REPEATS):
        start = time.process_time()
        result = ik.fit(signal, B21, method=method, threads=1)
        times.append(time.process_time() - start)
    maps = b"".join(np.ascontiguousarray(result.maps[one]).tobytes() for one in result.maps)
    told = {
        "seconds": min(times[1:]),
        "sha256": hashlib.sha256(maps).hexdigest(),
        "target": cpu_target(),
    }
    sys.stdout.write(json.dumps(told))


def _run(method: str, n: int, variables: dict[str, str]) -> dict[str, float | str]:
    clean = {name: text for name, text in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD.format(method, n)],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, float | str] = json.loads(done.stdout)
    return told


FIGURE = Figure(
    order=33,
    name="portable",
    title="Portable bits: the cost of compiling for all processors with AVX2",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
