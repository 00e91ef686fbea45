"""ShareOfMachine: how many scans are fitted at a time, and by how many threads each."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from ivimkit.cohort.subjects import Subject
from ivimkit.errors import InputError, IvimkitWarning, OptionError
from ivimkit.io.scan_files import open_scan
from ivimkit.machine import BYTES_PER_MB, PROCESS_MB, memory_mb, processors

__all__ = ["ShareOfMachine", "memory_for", "needed_mb"]

_BYTES_PER_VALUE = 4
_BYTES_PER_VOXEL = 150
"""Memory of the results of a voxel and of the work on it."""


@dataclass(frozen=True)
class ShareOfMachine:
    """What a run uses.

    Parameters
    ----------
    processes : int
        Number of scans at a time; 0 for one after the other in this process.
    threads : int
        Number of threads of each.
    """

    processes: int
    threads: int

    @classmethod
    def of(
        cls,
        subjects: Sequence[Subject],
        n_procs: int | None = None,
        mem_mb: float | None = None,
        threads: int | None = None,
    ) -> ShareOfMachine:
        """Divide the machine, or the part of it that the system allows.

        Parameters
        ----------
        subjects : sequence of Subject
            The scans. The largest file decides how many fit into the memory.
        n_procs : int, optional
            Number of scans at a time, at most; by default as many as there are processors.
        mem_mb : float, optional
            Memory, 10⁶ bytes; by default all.
        threads : int, optional
            Number of threads of each; by default the processors are divided among them.

        Raises
        ------
        OptionError
            If a number is too small.

        Warns
        -----
        IvimkitWarning
            If the memory is too small even for one scan.
        """
        if n_procs is not None and n_procs < 0:
            raise OptionError(f"the number of processes is {n_procs}; expected 0 or more")
        if mem_mb is not None and not mem_mb > 0:
            raise OptionError(f"the memory is {mem_mb:g} MB; expected more than 0")
        available = processors()
        most = available if n_procs is None else n_procs
        needed = memory_for(subjects, 1)
        memory = memory_mb() if mem_mb is None else min(mem_mb, memory_mb())
        fitting = math.floor(memory / needed)
        if fitting < 1:
            warnings.warn(
                f"the largest scan needs about {needed:.0f} MB, and there are {memory:.0f}; "
                "scans are fitted one by one",
                IvimkitWarning,
                stacklevel=2,
            )
        jobs = min(most, max(1, fitting), max(1, len(subjects)))
        return cls(jobs, threads or max(1, available // max(1, jobs)))


def memory_for(subjects: Sequence[Subject], processes: int) -> float:
    """Return the memory that a number of processes need, 10⁶ bytes, by the largest scan."""
    needed = max((needed_mb(one) for one in _largest(subjects)), default=PROCESS_MB)
    return processes * needed


def needed_mb(subject: Subject) -> float:
    """Return the memory that the fit of a scan needs, 10⁶ bytes, by the header of its file."""
    try:
        *space, n_volumes = open_scan(subject.scan).shape
    except (InputError, OSError):
        # What is wrong with it is told when it is fitted.
        return PROCESS_MB
    per_voxel = _BYTES_PER_VALUE * n_volumes + _BYTES_PER_VOXEL
    return PROCESS_MB + math.prod(space) * per_voxel / BYTES_PER_MB


def _largest(subjects: Sequence[Subject]) -> list[Subject]:
    """Return the scan of the largest file; opening all would take as long as fitting some."""
    sizes = {}
    for subject in subjects:
        try:
            sizes[subject.scan] = (subject.scan.stat().st_size, subject)
        except OSError:
            continue
    return [max(sizes.values(), key=lambda pair: pair[0])[1]] if sizes else []
