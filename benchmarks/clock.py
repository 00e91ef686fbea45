"""Time of calls in this process, on chosen cores."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.machine import usable_cores

__all__ = ["best_seconds", "on_cores", "side_by_side"]


@contextmanager
def on_cores(n: int) -> Iterator[None]:
    """Keep this thread, and those it starts, on the first `n` available cores."""
    cores = usable_cores()
    if not hasattr(os, "sched_setaffinity"):  # macOS has no such call: threads= has to suffice.
        yield
        return
    os.sched_setaffinity(0, cores[:n])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def best_seconds(call: Callable[[], object], *, repeats: int) -> float:
    """Return the shortest of several times.

    The shortest and not the mean, because other programs can only add to it. The first call is not
    included: it may compile.
    """
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def side_by_side(
    call: Callable[[], object], reference: Callable[[], object], *, repeats: int
) -> tuple[float, float, float]:
    """Time two calls in turn: shortest time of each, and the median of the pairs' ratios.

    The clock of a core changes with its load; the two calls of a pair see the same.
    """
    call()
    reference()
    pairs = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        middle = time.perf_counter()
        reference()
        pairs.append((middle - start, time.perf_counter() - middle))
    ratios = [first / second for first, second in pairs]
    return min(p[0] for p in pairs), min(p[1] for p in pairs), statistics.median(ratios)
