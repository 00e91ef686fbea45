"""Child processes: with a time limit and a memory limit, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Limits", "Outcome", "end_leftover", "run_child", "started_at"]

_ZOMBIE = "Z"
_PAUSE_S = 0.05
_MAX_SENTENCE = 500
_MAX_LOG_TAIL = 20_000
_BYTES_PER_GB = 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """What a child process may use.

    Parameters
    ----------
    seconds : float
        Time.
    memory_gb : float, optional
        Memory, 10⁹ bytes.
    """

    seconds: float
    memory_gb: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a child process ended.

    Parameters
    ----------
    code : int
        Its exit code; negative for a signal.
    reason : str
        Why it failed, in a sentence; empty if it did not.
    stopped : bool
        Whether it was ended because the node was.
    """

    code: int
    reason: str = ""
    stopped: bool = False


def run_child(
    command: Sequence[str],
    *,
    log: Path,
    limits: Limits,
    stop: threading.Event,
    started: Callable[[int], None] = lambda pid: None,
) -> Outcome:
    """Run a command to its end, or end it with all that it has started.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    log : Path
        File of its output.
    limits : Limits
        What it may use.
    stop : threading.Event
        Set when the node is to end.
    started : callable
        Called with the number of the process.
    """
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        started(child.pid)
        _limit_memory(child.pid, limits)
        end = time.monotonic() + limits.seconds
        while child.poll() is None:
            if stop.wait(_PAUSE_S):
                return Outcome(-signal.SIGTERM, "the node was stopped", stopped=True)
            if time.monotonic() > end:
                return Outcome(
                    -signal.SIGKILL,
                    f"it ran longer than {limits.seconds:g} s; raise timeout_s if such scans need "
                    "that long",
                )
    finally:
        _end_group(child.pid)
        child.wait()
    return Outcome(child.returncode, _reason(child.returncode, log))


def started_at(pid: int) -> int | None:
    """Return when a process started, in ticks since the system did; None if it has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name of the program is in parentheses and may contain anything.
    state, *numbers = words.rpartition(")")[2].split()
    return None if state == _ZOMBIE else int(numbers[18])


def end_leftover(process: tuple[int, int]) -> bool:
    """End a process that an earlier node has left, if it is still the same one."""
    pid, since = process
    if started_at(pid) != since:
        return False
    _end_group(pid)
    return True


def _limit_memory(pid: int, limits: Limits) -> None:
    if limits.memory_gb is None:
        return
    # Only here: Windows has no such module, and the settings can be checked there, too.
    import resource

    number = int(limits.memory_gb * _BYTES_PER_GB)
    # It may have ended already.
    with suppress(ProcessLookupError):
        # Memory that is written to: reserved addresses and files that are mapped cost nothing.
        resource.prlimit(pid, resource.RLIMIT_DATA, (number, number))


def _end_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _reason(code: int, log: Path) -> str:
    if code == 0:
        return ""
    if code < 0:
        name = signal.Signals(-code).name
        hint = ": most likely there was not enough memory" if code == -signal.SIGKILL else ""
        return f"it was ended by {name}{hint}"
    tail = log.read_bytes()[-_MAX_LOG_TAIL:].decode("utf-8", errors="replace")
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("error: ", "internal error: "))]
    sentence = (told or lines or [f"exit code {code}"])[-1]
    return sentence.removeprefix("error: ")[:_MAX_SENTENCE]
