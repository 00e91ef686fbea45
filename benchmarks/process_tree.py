"""What a command and all processes that it starts take, those that outlive it among them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["TreeRun", "run_tree"]

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: who becomes the parent of processes whose parent has ended."""


@dataclass(frozen=True)
class TreeRun:
    """What a command took.

    Parameters
    ----------
    cpu_seconds : float
        CPU time of all its processes.
    seconds : float
        Time until the command ended.
    output : str
        What it printed, errors included.
    code : int
        Its exit code.
    """

    cpu_seconds: float
    seconds: float
    output: str
    code: int


def run_tree(
    command: Sequence[str],
    *,
    codes: Sequence[int] = (0,),
    variables: Mapping[str, str] | None = None,
) -> TreeRun:
    """Run a command, and wait until all processes that it started have ended.

    Parameters
    ----------
    command : sequence of str
        The command.
    codes : sequence of int
        Exit codes that it may have.
    variables : mapping of str to str, optional
        Environment variables in addition to those of this process.

    Raises
    ------
    AssertionError
        If it ends with another exit code.
    """
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    # Those that outlive the command are children of this process now.
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    if done.returncode not in codes:
        raise AssertionError(f"exit code {done.returncode} of {' '.join(command)}:\n{done.stdout}")
    after = os.times()
    cpu = sum(
        getattr(after, name) - getattr(before, name)
        for name in ("children_user", "children_system")
    )
    return TreeRun(cpu, seconds, done.stdout, done.returncode)
