"""Fits by one contender in a separate process: `python -m benchmarks.contender_child FILE NAME`.

Reads one JSON object per line, fits, and answers with one line; arrays go through files. Only
NumPy is imported here: the interpreter may belong to another environment.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contender import Contender, Fit
from benchmarks.contenders import contenders_of

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def main() -> None:
    """Answer until the input ends."""
    # The output of a package must not end up between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    file, name = sys.argv[1:]
    contender = next(one for one in contenders_of(file) if one.name == name)
    fits: dict[tuple[float, ...], Fit] = {}
    for line in sys.stdin:
        task = json.loads(line)
        try:
            told = _fit(contender, fits, Path(task["folder"]), task["bvals"])
        except Exception as fault:  # noqa: BLE001 - told to the parent, which goes on without it
            traceback.print_exc()
            told = {"fault": f"{type(fault).__name__}: {fault}"}
        print(json.dumps(told), file=answers)


def _fit(
    contender: Contender, fits: dict[tuple[float, ...], Fit], folder: Path, bvals: list[float]
) -> dict[str, Any]:
    signal = np.load(folder / "signal.npy")
    if tuple(bvals) not in fits:
        fits[tuple(bvals)] = contender.make(np.array(bvals))
    fit = fits[tuple(bvals)]
    _forget_peak()
    start = time.perf_counter()
    answer = fit(signal)
    seconds = time.perf_counter() - start
    peak = _peak()
    if answer.params.shape != (signal.shape[0], 4):
        raise ValueError(f"{contender.name} gave an array of shape {answer.params.shape}")
    np.save(folder / "params.npy", answer.params)
    flags = (folder / "flagged.npy", answer.flagged)
    if flags[1] is not None:
        np.save(*flags)
    return {
        "seconds": seconds,
        "peak": peak,
        "flags": flags[1] is not None,
        "version": version(contender.package),
    }


def _forget_peak() -> None:
    """Reset the peak memory counter, if the system supports it."""
    if _CLEAR.exists():
        _CLEAR.write_text("5")


def _peak() -> int:
    """Return the peak resident memory in bytes since `_forget_peak`, or since the start."""
    if _CLEAR.exists():
        lines = _STATUS.read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
        return int(kilobytes) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
