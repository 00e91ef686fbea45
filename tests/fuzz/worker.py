"""A process that fuzzes within limits of time and memory, and says on stdout how each case ended.

``python -m fuzz.worker SEED FIRST COUNT TARGET...``; ``TARGET:FEWER`` for fewer cases of one.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any

from fuzz.targets import TARGETS, judged, set_home

SECONDS = 60
"""Longest time of a case on a processor, with what it compiles on a busy machine."""

ROOM = 3 << 30
"""Bytes of address space that a case may take beyond what the program has."""

MOST = 600 << 20
"""Bytes of memory that a case may take: no good file here has a hundred kilobytes."""


class TooSlow(BaseException):
    """A case took longer than it may."""


def random_of(seed: int, target: str, number: int) -> Random:
    """Return the random numbers of a case: they depend on nothing else."""
    return Random(f"{seed} {target} {number}")


def run(target: str, seed: int, number: int, home: Path) -> tuple[str, str]:
    """Run one case; return how it ended, and of a fault what and where."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        random = random_of(seed, target, number)
        attempt = TARGETS[target].case(random, Path(folder))
        before = _peak()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            ended = judged(attempt)
        except Exception as error:  # noqa: BLE001
            return "fault", _place(error)
        except TooSlow as error:
            return "fault", f"over {SECONDS} s: {_place(error)}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        taken = _peak() - before
        return ("fault", f"took {taken >> 20} MiB") if taken > MOST else (ended, "")


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if "ivimkit" in frame.filename and "fuzz" not in frame.filename
    ]
    where = own[-1] if own else frames[-1]
    text = f"{type(error).__name__} @ {Path(where.filename).name}:{where.lineno} {where.name}"
    return f"{text}: {str(error)[:120]!a}"


def limit_memory() -> None:
    """Let the process have so much more address space than it has, and not more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _too_slow(number: int, frame: Any) -> None:
    raise TooSlow


def main() -> None:
    """Run cases; a line of JSON before and after each."""
    seed, first, count = map(int, sys.argv[1:4])
    signal.signal(signal.SIGPROF, _too_slow)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="ivimkit-fuzz-") as folder:
        home = Path(folder)
        set_home(home)
        # One good-natured case first: it compiles, which takes memory and time.
        counts = {
            target: int(own or count)
            for target, _, own in (word.partition(":") for word in sys.argv[4:])
        }
        for target in counts:
            TARGETS[target].case(Random(0), Path(tempfile.mkdtemp(dir=home)))
        limit_memory()
        for target, cases in counts.items():
            for number in range(first, first + cases):
                _say(target=target, number=number)
                started = time.perf_counter()
                ended, what = run(target, seed, number, home)
                seconds = time.perf_counter() - started
                _say(target=target, number=number, ended=ended, what=what, seconds=seconds)


def _say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
