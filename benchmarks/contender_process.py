"""Contenders in separate processes: one core, no threads, any environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clock import on_cores
from benchmarks.contender import Answer, Contender
from benchmarks.machine import REPOSITORY

__all__ = ["ContenderProcess", "Timed", "absence", "interpreter"]

_ENVIRONMENTS = REPOSITORY / "build" / "contenders"
# Every library under NumPy that may start threads.
_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
)


@dataclass(frozen=True)
class Timed:
    """A fit with its time and memory.

    Parameters
    ----------
    answer : Answer
        The answer of the package.
    seconds : float
        Time of the call; the first includes the start of the process and all imports.
    peak : int
        Peak resident memory of the process during the call, bytes.
    version : str
        Version of the package that answered.
    """

    answer: Answer
    seconds: float
    peak: int
    version: str


def interpreter(contender: Contender) -> Path | None:
    """Return the Python that has the package; None if there is none.

    An environment in ``build/contenders/PACKAGE`` takes precedence over the current one.
    """
    own = _ENVIRONMENTS / contender.package / "bin" / "python"
    if own.exists():
        return own
    there = all(find_spec(name) for name in (contender.module, *contender.needs))
    return Path(sys.executable) if there else None


def absence(contender: Contender) -> str:
    """Return the message about a contender that is not installed."""
    packages = " or ".join((contender.package, *contender.needs))
    return (
        f"{contender.label} is left out: {packages} is not installed. "
        f"To install it: {contender.install}"
    )


class ContenderProcess:
    """A process that fits with one contender, on the first core, until it is closed.

    Parameters
    ----------
    file : str
        File of the contender in ``benchmarks/contenders``, without ``.py``.
    contender : Contender
        The contender.
    compiled : Path, optional
        Cache folder of compiled code; by default new and empty, so that the first fit is as slow
        as a user's first.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed.
    """

    def __init__(self, file: str, contender: Contender, *, compiled: Path | None = None) -> None:
        python = interpreter(contender)
        if python is None:
            raise ModuleNotFoundError(absence(contender))
        self._contender = contender
        self._folder = TemporaryDirectory(prefix="ivimkit-contender-")
        cache = compiled or Path(self._folder.name) / "compiled"
        self._log = Path(self._folder.name) / "log.txt"
        words = [str(python), "-W", "ignore", "-m", "benchmarks.contender_child"]
        self._started = time.perf_counter()
        self._first = True
        # The core is inherited. A pipe for the output could fill up and block.
        with on_cores(1), self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*words, file, contender.name],
                cwd=REPOSITORY,
                env={**os.environ, **_ONE_THREAD, "NUMBA_CACHE_DIR": str(cache)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def fit(self, signal: NDArray[np.float64], bvals: NDArray[np.float64]) -> Timed:
        """Fit signals, shape (n_voxels, n_b).

        Raises
        ------
        RuntimeError
            If it stopped, with the output of the package.
        """
        folder = Path(self._folder.name)
        np.save(folder / "signal.npy", np.ascontiguousarray(signal))
        task = {"folder": str(folder), "bvals": [float(b) for b in bvals]}
        told = self._ask(json.dumps(task))
        since_start = time.perf_counter() - self._started
        if "fault" in told:
            raise RuntimeError(f"{self._contender.label} stopped: {told['fault']}")
        seconds = since_start if self._first else told["seconds"]
        self._first = False
        flagged = np.load(folder / "flagged.npy") if told["flags"] else None
        params = np.load(folder / "params.npy")
        return Timed(Answer(params, flagged), seconds, told["peak"], told["version"])

    def _ask(self, line: str) -> dict[str, Any]:
        streams = self._process.stdin, self._process.stdout
        assert streams[0] is not None
        assert streams[1] is not None
        try:
            streams[0].write(line + "\n")
            streams[0].flush()
            told = streams[1].readline()
        except BrokenPipeError:
            told = ""
        if not told:
            last = self._log.read_text().strip()[-500:]
            raise RuntimeError(f"{self._contender.label} stopped: {last}")
        answer: dict[str, Any] = json.loads(told)
        return answer

    def close(self) -> None:
        """Stop the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> ContenderProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
