"""slurm_script: the script of a job array, for clusters without Dask."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import join

__all__ = ["slurm_script"]

_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=ivimkit
#SBATCH --array=1-{parts}
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={memory_mb}M
#SBATCH --time=04:00:00
#SBATCH --output=ivimkit_%A_%a.log

# Part K of N fits every N-th scan. Submit the same script again after a failure: what is done is
# kept. When all parts are done: {group}
# Compiled code is kept between jobs. The folder must be writable, and is best on a fast disk:
export NUMBA_CACHE_DIR="${{NUMBA_CACHE_DIR:-$HOME/.cache/ivimkit}}"

{command} --part "$SLURM_ARRAY_TASK_ID/{parts}"
"""

_MOST_PARTS = 1000
"""Usual limit of SLURM for the size of an array."""


def slurm_script(
    command: Sequence[str],
    group: Sequence[str],
    *,
    n_scans: int,
    scans_per_part: int,
    cpus: int,
    memory_mb: float,
) -> str:
    """Return a script for ``sbatch``.

    Parameters
    ----------
    command : sequence of str
        The command that fits all scans, without ``--part``.
    group : sequence of str
        The command for the group.
    n_scans : int
        Number of scans.
    scans_per_part : int
        Number of scans of each job: a start takes a second or two, a scan often less.
    cpus : int
        Processors of each job.
    memory_mb : float
        Memory of each job, 10⁶ bytes.

    Examples
    --------
    >>> from ivimkit.cohort import slurm_script
    >>> script = slurm_script(
    ...     ["ivimkit", "bids", "in", "out", "participant"],
    ...     ["ivimkit", "bids", "in", "out", "group"],
    ...     n_scans=100,
    ...     scans_per_part=20,
    ...     cpus=4,
    ...     memory_mb=4000,
    ... )
    >>> script.splitlines()[-1]
    'ivimkit bids in out participant --part "$SLURM_ARRAY_TASK_ID/5"'
    """
    parts = min(_MOST_PARTS, max(1, -(-n_scans // scans_per_part)))
    return _SCRIPT.format(
        parts=parts,
        cpus=cpus,
        memory_mb=round(memory_mb),
        command=join(command),
        group=join(group),
    )
