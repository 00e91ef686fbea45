"""A process that fuzzes within limits of time and memory, and says on stdout how each case ended.

``python -m fuzz.worker SEED FIRST COUNT TARGET...``
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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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
        _forget_peak()
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


def _forget_peak() -> None:
    """Begin to measure anew: what took much memory before would hide what a case takes."""
    # Not every system lets a process do that.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if "ivimkit" in frame.filename and "fuzz" not in frame.filename
    ]
    where = own[-1] if own else frames[-1]
    text = f"{type(error).__name__} @ {Path(where.filename).name}:{where.lineno} {where.name}"
    return f"{text}: {str(error)[:120]!a}"


@contextmanager
def limits() -> Iterator[None]:
    """Limit the memory of this process and the time of its cases, for a while."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    own, most = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGPROF, _too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (own, most))
        signal.signal(signal.SIGPROF, handler)


def _too_slow(number: int, frame: Any) -> None:
    raise TooSlow


def warm_up(targets: Iterable[str], home: Path) -> None:
    """Make a good-natured case of each reader: it compiles, which takes memory and time."""
    set_home(home)
    for target in targets:
        TARGETS[target].case(Random(0), Path(tempfile.mkdtemp(dir=home)))


def main() -> None:
    """Run cases; a line of JSON before and after each."""
    seed, first, count = map(int, sys.argv[1:4])
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="ivimkit-fuzz-") as folder:
        home, targets = Path(folder), sys.argv[4:]
        warm_up(targets, home)
        with limits():
            for target in targets:
                for number in range(first, first + count):
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
