"""Scripts of job arrays, for clusters without Dask."""

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

_IN_TURN = """\
#!/bin/bash
# Run this script (bash), do not submit it: it submits three jobs, one after the other. An array
# takes samples of all scans, a job learns the prior that they share, and an array fits them.
# Run it again after a failure: what is done is kept. When all jobs have ended:
# {group}
set -euo pipefail
# Compiled code is kept between jobs. The folder must be writable, and is best on a fast disk:
export NUMBA_CACHE_DIR="${{NUMBA_CACHE_DIR:-$HOME/.cache/ivimkit}}"

submit() {{
    sbatch --parsable --cpus-per-task={cpus} --mem={memory_mb}M --time=04:00:00 "$@"
}}

samples=$(submit --job-name=ivimkit-samples --array=1-{parts} --output=ivimkit_%A_%a.log <<'END'
#!/bin/bash
{command} --prior-only --part "$SLURM_ARRAY_TASK_ID/{parts}"
END
)

# It takes the samples itself that a job of the array has not taken.
prior=$(submit --job-name=ivimkit-prior --dependency="afterany:$samples" \\
    --output=ivimkit_%j.log <<'END'
#!/bin/bash
{command} --prior-only
END
)

submit --job-name=ivimkit --array=1-{parts} --dependency="afterok:$prior" \\
    --kill-on-invalid-dep=yes --output=ivimkit_%A_%a.log <<'END'
#!/bin/bash
{command} --part "$SLURM_ARRAY_TASK_ID/{parts}"
END
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
    shares_prior: bool = False,
) -> str:
    """Return a script for ``sbatch``; for scans that share a prior, one that calls it.

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
    shares_prior : bool
        Whether samples, prior and fits are jobs that wait for each other; the script is then run,
        not submitted.

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
    script = _IN_TURN if shares_prior else _SCRIPT
    return script.format(
        parts=_parts(n_scans, scans_per_part),
        cpus=cpus,
        memory_mb=round(memory_mb),
        command=join(command),
        group=join(group),
    )


def _parts(n_scans: int, scans_per_part: int) -> int:
    return min(_MOST_PARTS, max(1, -(-n_scans // scans_per_part)))
