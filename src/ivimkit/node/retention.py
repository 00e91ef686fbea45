"""Retention: nothing is kept longer than told."""

from __future__ import annotations

from collections.abc import Callable

from ivimkit.node.event_log import EventLog
from ivimkit.node.jobs import Jobs, JobState
from ivimkit.node.spool import Spool

__all__ = ["Retention"]

_DAY_S = 86_400.0


class Retention:
    """Removes what is done.

    A job that failed is kept until somebody has seen to it, with its images.

    Parameters
    ----------
    spool : Spool
        The studies.
    jobs : Jobs
        The jobs.
    keep_days : float
        How long both are kept.
    log : EventLog
        What happens.
    now : callable
        The time, seconds since 1970.
    """

    def __init__(
        self,
        spool: Spool,
        jobs: Jobs,
        *,
        keep_days: float,
        log: EventLog,
        now: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._jobs = jobs
        self._keep_s = keep_days * _DAY_S
        self._log = log
        self._now = now

    def step(self) -> None:
        """Remove the studies and jobs whose time is over."""
        before = self._now() - self._keep_s
        for job in list(self._jobs.every()):
            if job.state in (JobState.done, JobState.replaced) and job.changed_at <= before:
                self._jobs.remove(job)
                self._log("removed", job=job.id)
        needed = {job.study for job in self._jobs.active()}
        for study in self._spool.studies():
            look = self._spool.look(study)
            if look is None or look.at > before or study in needed:
                continue
            if look.verdict not in ("fitted", "ignored"):
                continue
            if self._spool.remove(study, if_still=look.fingerprint):
                self._log("removed", study=study)
