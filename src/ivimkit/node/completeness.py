"""Completeness: when a study is looked at, and what follows.

DICOM has no message that says "this was the last image". A study is looked at when it has been
quiet for a while and nobody who sent a part of it is still connected. Then its reader decides: a
scan whose volumes have all their slices is fitted, one with gaps waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Patience", "Seen", "Waiting"]


@dataclass(frozen=True)
class Patience:
    """How long images are waited for.

    Parameters
    ----------
    quiet_s : float
        A study is looked at when no image has come for this long.
    force_s : float
        A scan that is still incomplete then is not waited for any longer.
    """

    quiet_s: float
    force_s: float

    def is_over(self, last: float, now: float) -> bool:
        """Return whether an incomplete scan is not waited for any longer."""
        return now - last >= self.force_s


@dataclass(frozen=True)
class Seen:
    """How far a study had come when somebody began to look at it.

    Parameters
    ----------
    last : float
        When its last image came, seconds since 1970.
    images : int
        How many had come since the node waits for it. Two may come at the same time.
    """

    last: float
    images: int


class Waiting:
    """The studies that somebody has to look at.

    Parameters
    ----------
    patience : Patience
        How long images are waited for.
    is_busy : callable
        Whether a connection over which images of a study came is still open.

    Examples
    --------
    >>> from ivimkit.node.completeness import Patience, Waiting
    >>> waiting = Waiting(Patience(quiet_s=30, force_s=900), is_busy=lambda study: False)
    >>> waiting.arrived("1.2.3", at=100.0)
    >>> waiting.due(now=129.0), waiting.due(now=130.0)
    ([], ['1.2.3'])
    """

    def __init__(self, patience: Patience, is_busy: Callable[[str], bool]) -> None:
        self._patience = patience
        self._is_busy = is_busy
        self._seen: dict[str, Seen] = {}
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def arrived(self, study: str, at: float) -> None:
        """Note that an image has come."""
        with self._lock:
            before = self._seen.get(study)
            self._seen[study] = Seen(at, 1 if before is None else before.images + 1)
            self._next[study] = at + self._patience.quiet_s

    def seen(self, study: str) -> Seen | None:
        """Return how far a study has come; None if nobody waits for it."""
        with self._lock:
            return self._seen.get(study)

    def due(self, now: float) -> list[str]:
        """Return the studies to look at, the one that has waited longest first."""
        with self._lock:
            ready = sorted((at, study) for study, at in self._next.items() if at <= now)
            last = {study: seen.last for study, seen in self._seen.items()}
        return [
            study
            for _, study in ready
            if not self._is_busy(study) or self._patience.is_over(last[study], now)
        ]

    def looked(self, study: str, seen: Seen, again_at: float | None) -> None:
        """Note that somebody has looked; unless an image came meanwhile.

        Parameters
        ----------
        study : str
            The study.
        seen : Seen
            How far it had come before the look.
        again_at : float, optional
            When to look again although no image comes.
        """
        with self._lock:
            if self._seen.get(study) != seen:
                return
            if again_at is None:
                del self._seen[study], self._next[study]
            else:
                self._next[study] = again_at

    def number(self) -> int:
        """Return how many studies are waited for."""
        with self._lock:
            return len(self._seen)
