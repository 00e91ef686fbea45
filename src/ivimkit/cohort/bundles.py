"""Bundles: short tasks that are sent several at a time, as messages of a cluster take time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from ivimkit.cohort.task import Outcome, Task

__all__ = ["BUNDLE_S", "Bundles"]

BUNDLE_S = 2.0
"""How long the scans of a bundle take together, seconds; a longer scan is sent by itself."""


class Bundles:
    """Tasks that wait, and how many of them to send at a time.

    Parameters
    ----------
    tasks : sequence of Task
        What to do.
    places : int
        Number of bundles that are sent before the first has come back. Towards the end bundles
        become smaller, so that all workers end at about the same time.
    seconds : float
        How long a bundle shall take. With 0 each has one task.

    Examples
    --------
    >>> from ivimkit.cohort.bundles import Bundles
    >>> from ivimkit.cohort.task import Outcome
    >>> bundles = Bundles(range(20), places=2, seconds=2.0)  # numbers in place of tasks
    >>> bundles.take()  # nothing is known yet
    (0,)
    >>> bundles.learn([Outcome("sub-01", "done", seconds=0.5)])
    >>> bundles.take()
    (1, 2, 3, 4)
    """

    def __init__(self, tasks: Iterable[Task], places: int, seconds: float) -> None:
        self._waiting = deque(tasks)
        self._places = places
        self._seconds = seconds
        self._spent = 0.0
        self._done = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self) -> tuple[Task, ...]:
        """Return the next tasks, one or more."""
        number = self._seconds * self._done / self._spent if self._spent else 1.0
        share = len(self._waiting) / self._places
        return tuple(self._waiting.popleft() for _ in range(max(1, int(min(number, share)))))

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Note how long tasks took; those of which there was nothing to do tell nothing."""
        seconds = [outcome.seconds for outcome in outcomes if outcome.seconds]
        self._done += len(seconds)
        self._spent += sum(seconds)
