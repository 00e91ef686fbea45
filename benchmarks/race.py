"""Race: contenders take turns on the same voxels, so that disturbances affect all."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Contender
from benchmarks.contender_process import ContenderProcess
from benchmarks.data import DataSet
from benchmarks.recovery import recovery_error, whole_rates

__all__ = ["ROUNDS", "Entry", "Lap", "entered", "first_fit", "race", "voxels_per_round"]

ROUNDS = 3
"""Number of rounds; each uses the next voxels, if there are any left."""


@dataclass
class Entry:
    """A contender in its process, with its results so far.

    Parameters
    ----------
    file : str
        File of the contender.
    contender : Contender
        The contender.
    process : ContenderProcess
        Its process.
    version : str
        Version of its package.
    cold : float
        Seconds of its first fit, with start of the process, imports and compilation.
    recovered : dict
        `recovery_error` by b-values.
    """

    file: str
    contender: Contender
    process: ContenderProcess
    version: str
    cold: float
    recovered: dict[tuple[float, ...], float] = field(default_factory=dict)

    def is_valid(self, bvals: NDArray[np.float64]) -> bool:
        """Return whether it recovered the parameters of noise-free signals at these b-values."""
        return self.recovered.get(tuple(bvals), np.inf) <= self.contender.tolerance


@dataclass(frozen=True)
class Lap:
    """The results of a contender on one set, with time and memory.

    Parameters
    ----------
    params : ndarray, shape (n_voxels, 4)
        S0, f, D* and D, D* as defined by ivimkit.
    flagged : ndarray of bool, shape (n_voxels,)
        Where it warned.
    speed : float
        Voxels per second, the median of the rounds.
    peak : int
        Peak resident memory of its process, bytes.
    """

    params: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    speed: float
    peak: int


def voxels_per_round(contender: Contender, data: DataSet, seconds: float) -> int:
    """Return the number of voxels for a contender: that many seconds' worth, if available."""
    return min(data.signal.shape[0], max(2, int(contender.pace * seconds)))


def first_fit(file: str, contender: Contender, data: DataSet, seconds: float) -> float:
    """Return the seconds of a first fit in a fresh process with nothing compiled."""
    n = voxels_per_round(contender, data, seconds)
    with ContenderProcess(file, contender) as process:
        return process.fit(data.signal[:n], data.bvals).seconds


@contextmanager
def entered(
    contenders: Sequence[tuple[str, Contender]],
    data: DataSet,
    seconds: float,
    notes: list[str],
) -> Iterator[list[Entry]]:
    """Start contenders one after another, each with a first fit; stop them afterwards.

    Parameters
    ----------
    contenders : sequence of tuple
        File and contender.
    data : DataSet
        Voxels of the first fits.
    seconds : float
        Maximum duration of a round, see `voxels_per_round`.
    notes : list of str
        Collects a sentence about each that does not start.
    """
    with ExitStack() as stack:
        entries = []
        for file, contender in contenders:
            process = stack.enter_context(ContenderProcess(file, contender))
            n = voxels_per_round(contender, data, seconds)
            try:
                timed = process.fit(data.signal[:n], data.bvals)
            except RuntimeError as fault:
                notes.append(f"{fault}; it is left out.")
                continue
            print(f"{contender.label}: first fit {timed.seconds:.1f} s", flush=True)
            entries.append(Entry(file, contender, process, timed.version, timed.seconds))
        yield entries


def race(
    data: DataSet, entries: Sequence[Entry], seconds: float, notes: list[str]
) -> dict[str, Lap]:
    """Let all contenders fit a set, in turn, after checking each at the b-values of the set.

    Parameters
    ----------
    data : DataSet
        The voxels.
    entries : sequence of Entry
        The contenders.
    seconds : float
        Maximum duration of a round, see `voxels_per_round`.
    notes : list of str
        Collects a sentence about each that stops or does not recover noise-free parameters.

    Returns
    -------
    dict of str to Lap
        By the names of the contenders; those that stopped are not in it.
    """
    runs = {entry.contender.name: _Run(entry, data, seconds) for entry in entries}
    for number in range(-1, ROUNDS):
        for name, run in list(runs.items()):
            try:
                if number < 0:
                    _check(run.entry, data, notes)
                else:
                    run.fit(number)
            except RuntimeError as fault:
                notes.append(f"{data.name}: {fault}.")
                del runs[name]
    return {name: run.lap() for name, run in runs.items()}


def _check(entry: Entry, data: DataSet, notes: list[str]) -> None:
    key = tuple(data.bvals)
    if key in entry.recovered:
        return
    error = recovery_error(
        entry.contender, lambda signal: entry.process.fit(signal, data.bvals).answer, data.bvals
    )
    entry.recovered[key] = error
    if not entry.is_valid(data.bvals):
        notes.append(
            f"{entry.contender.label}: noise-free fits at the b-values of {data.name} are off "
            f"by {error:.2g} in the median, more than {entry.contender.tolerance:g}: its times "
            "there do not count."
        )


class _Run:
    """The rounds of one contender on one set."""

    def __init__(self, entry: Entry, data: DataSet, seconds: float) -> None:
        self.entry = entry
        self._data = data
        self._n = voxels_per_round(entry.contender, data, seconds)
        self._end = 0
        self._params = np.full((data.signal.shape[0], 4), np.nan)
        self._flagged = np.zeros(data.signal.shape[0], dtype=bool)
        self._speeds: list[float] = []
        self._peaks: list[int] = []

    def fit(self, number: int) -> None:
        """Fit the next voxels; start again with the first if there are none left."""
        start = number * self._n
        if start + self._n > self._data.signal.shape[0]:
            start = 0
        part = slice(start, start + self._n)
        timed = self.entry.process.fit(self._data.signal[part], self._data.bvals)
        self._params[part] = whole_rates(timed.answer, self.entry.contender)
        if timed.answer.flagged is not None:
            self._flagged[part] = timed.answer.flagged
        self._end = max(self._end, start + self._n)
        self._speeds.append(self._n / timed.seconds)
        self._peaks.append(timed.peak)

    def lap(self) -> Lap:
        """Return the results of all rounds."""
        return Lap(
            self._params[: self._end],
            self._flagged[: self._end],
            statistics.median(self._speeds),
            max(self._peaks),
        )
