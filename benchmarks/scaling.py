"""Scaling: two cores against one, with the volume streamed from disk."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import ivimkit as ik
from benchmarks.clock import on_cores
from benchmarks.command import run_alone
from benchmarks.data import B21
from benchmarks.exp_time import many_exps
from benchmarks.figure import Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import write_image
from benchmarks.machine import usable_cores

_VOXELS = 400_000
_ROUNDS = 5
_SHARE = 0.8


def measure(settings: Settings) -> Findings:
    """Fit a memory-mapped file with one and with two threads, in turn, from disk."""
    voxels = settings.size(_VOXELS)
    side = max(24, int((voxels / 8) ** 0.5))
    phantom = ik.simulate.phantom("brain", shape=(side, side, 16), bvals=B21, snr=40, seed=0)
    n = phantom.dwi.n_voxels
    with TemporaryDirectory(prefix="ivimkit-scaling-") as folder:
        scan = Path(folder) / "dwi.nii"
        write_image(scan, np.rint(phantom.dwi.signal).astype(np.int16), phantom.dwi.affine)
        np.savetxt(scan.with_suffix(".bval"), B21[None], fmt="%g")
        size = scan.stat().st_size / 1e6
        fits = {k: _fit(scan, phantom.dwi.mask, k) for k in (1, 2)}
        _check(fits)
        enough = len(usable_cores()) > 1
        seconds, exps = _rounds(scan, fits) if enough else ([], [])
    ratio = statistics.median(one / two for one, two in seconds) if enough else None
    peak = statistics.median(2.0 * one / two for one, two in exps) if enough else None
    share = ratio / peak if ratio is not None and peak is not None else None
    whole = voxels >= _VOXELS
    rows: list[list[str | float | None]] = [
        ["one thread: load and fit, s", min((s[0] for s in seconds), default=None)],
        ["two threads: load and fit, s", min((s[1] for s in seconds), default=None)],
        ["two threads against one", ratio],
        ["exponentials on two cores against one: what the cores can give", peak],
        ["share of that", share],
    ]
    return Findings(
        conditions={
            "data": f"simulated brain, int16 .nii of {size:.0f} MB, {n} voxels in the mask",
            "threads": "one pinned to one core, two pinned to two",
            "state": f"warm code, the file dropped from the system's cache before each fit; "
            f"medians of {_ROUNDS} rounds, everything in turn",
        },
        checked="The maps of one and two threads are bit-identical.",
        tables=[Table("Scaling to two cores", [Column("what"), Column("value", "{:.2f}")], rows)],
        targets=[
            Target(
                f"≥ {_SHARE:.0%} of peak scaling on 2 cores, streamed from disk",
                "one core only" if share is None else f"{share:.0%}",
                share >= _SHARE if share is not None and whole else None,
            )
        ],
        notes=[
            "Two virtual cores may share the units of one, so the possible gain of two threads is "
            "measured with a pure computation: exponentials in the L1 cache."
        ],
    )


def _fit(scan: Path, mask: np.ndarray, threads: int) -> Callable[[], ik.FitResult]:
    return lambda: ik.fit(ik.load(scan, mask=mask), threads=threads)


def _check(fits: dict[int, Callable[[], ik.FitResult]]) -> None:
    one, two = fits[1](), fits[2]()
    for name in one.maps:
        if not np.array_equal(one.maps[name], two.maps[name], equal_nan=True):
            raise AssertionError(f"{name} of two threads differs from that of one")


def _rounds(
    scan: Path, fits: dict[int, Callable[[], ik.FitResult]]
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return seconds on one core and on two: of the fit, and of (twice as many) exponentials."""
    seconds, exps = [], []
    for _ in range(_ROUNDS):
        pair = []
        for threads, fit in fits.items():
            _forget(scan)
            with on_cores(threads):
                pair.append(_seconds(fit))
        seconds.append((pair[0], pair[1]))
        with on_cores(1):
            alone = _seconds(many_exps)
        with on_cores(2):
            both = _seconds(_two_loops)
        exps.append((alone, both))
    return seconds, exps


def _two_loops() -> None:
    """Compute the exponentials of `many_exps` on each of two cores at once."""
    cores = usable_cores()[:2]

    def loop(core: int) -> None:
        os.sched_setaffinity(0, [core])
        many_exps()

    threads = [threading.Thread(target=loop, args=(core,)) for core in cores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _forget(path: Path) -> None:
    """Ask the system to drop a file from its cache, so that it is read from disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


FIGURE = Figure(
    order=18,
    name="scaling",
    title="Scaling: two cores, streamed from disk",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
