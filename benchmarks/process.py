"""Process: commands in separate processes, with wall time and peak memory as seen by a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import REPOSITORY

__all__ = ["Run", "ivimkit_command", "run_command"]


@dataclass(frozen=True)
class Run:
    """The run of a command.

    Parameters
    ----------
    seconds : float
        Wall time from start to end of the process.
    peak : int
        Peak resident memory, bytes.
    output : str
        Its output.
    """

    seconds: float
    peak: int
    output: str


def ivimkit_command() -> list[str]:
    """Return the words that start the command line of this environment."""
    script = Path(sys.executable).with_name("ivimkit")
    return [str(script)] if script.exists() else [sys.executable, "-m", "ivimkit"]


def run_command(
    words: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path = REPOSITORY,
) -> Run:
    """Run a command to its end.

    Parameters
    ----------
    words : sequence of str
        The command.
    environment : mapping of str to str, optional
        Variables in addition to those of this process.
    folder : Path
        Its working directory.

    Returns
    -------
    Run

    Raises
    ------
    AssertionError
        If its exit code is not 0; the message contains its output.
    """
    done = subprocess.run(
        [sys.executable, "-I", str(Path(__file__).with_name("child.py")), *words],
        env={**os.environ, **(environment or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise AssertionError(f"{' '.join(words)} could not be run: {done.stderr}")
    told = json.loads(done.stdout)
    if done.returncode != 0:
        raise AssertionError(
            f"{' '.join(words)} ended with exit code {done.returncode}:\n{told['output']}"
        )
    return Run(told["seconds"], told["peak"], told["output"])
