"""Worker: looks into studies and fits scans, one after the other, in a thread."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from ivimkit.node.child_process import (
    Limits,
    Outcome,
    end_leftover,
    run_child,
    started_at,
)
from ivimkit.node.commands import Commands
from ivimkit.node.completeness import Waiting
from ivimkit.node.durable import OWNER_ONLY
from ivimkit.node.event_log import EventLog
from ivimkit.node.intake import Intake
from ivimkit.node.jobs import Job, Jobs, JobState
from ivimkit.node.settings import NodeSettings

__all__ = ["Worker"]

_WRONG_INPUT = 2
"""Exit code of ivimkit for input that cannot be fitted: another attempt would end in the same."""


class Worker:
    """Does the work of a node.

    Parameters
    ----------
    settings : NodeSettings
        The rules and limits.
    intake : Intake
        Looks into studies.
    waiting : Waiting
        Which of them.
    jobs : Jobs
        What to fit.
    commands : Commands
        How.
    log : EventLog
        What happens.
    now : callable
        The time, seconds since 1970.
    stop : threading.Event
        Set when the node is to end.
    """

    def __init__(
        self,
        settings: NodeSettings,
        *,
        intake: Intake,
        waiting: Waiting,
        jobs: Jobs,
        commands: Commands,
        log: EventLog,
        now: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._waiting = waiting
        self._jobs = jobs
        self._commands = commands
        self._log = log
        self._now = now
        self._stop = stop
        node = settings.node
        self._limits = Limits(node.timeout_s, node.memory_gb)

    def prepare(self) -> None:
        """Queue the fits again in which an earlier node was ended."""
        self._intake.prepare()
        self._requeue()

    def _requeue(self) -> None:
        """Queue what is being worked on: nobody does, as there is one worker, and it asks.

        A fit that has ended the node each time, or the machine, is not tried for ever.
        """
        for job in self._jobs.active(JobState.working):
            if job.process is not None:
                end_leftover(job.process)
            is_over = job.attempts >= self._settings.node.fit_attempts
            reason = f"the node ended during each of {job.attempts} attempts" if is_over else ""
            state = JobState.failed if is_over else JobState.queued
            self._jobs.change(job, self._now(), state=state, reason=reason, process=None)

    def step(self) -> bool:
        """Do the next piece of work; return whether there was any."""
        self._requeue()
        due = self._waiting.due(self._now())
        if due:
            self._intake.look(due[0])
            return True
        queued = self._jobs.active(JobState.queued)
        if queued:
            self._fit(queued[0])
            return True
        return False

    def _fit(self, job: Job) -> None:
        job = self._jobs.change(
            job, self._now(), state=JobState.working, attempts=job.attempts + 1, reason=""
        )
        self._log("fit", job=job.id, attempt=job.attempts)
        folder = self._jobs.folder(job.id)
        rule = self._settings.rule_named(job.rule)
        attempt = folder.path / f"attempt-{job.attempts}"
        if rule is None:
            reason = f"there is no rule {job.rule!r} any more; expected it in the settings"
            self._conclude(job, Outcome(_WRONG_INPUT, reason), attempt)
            return
        _empty(attempt)
        outcome = run_child(
            self._commands.fit(job, rule, folder, attempt),
            log=folder.log,
            limits=self._limits,
            stop=self._stop,
            started=lambda pid: self._started(job, pid),
        )
        if outcome.code == 0 and not any(path.is_file() for path in attempt.rglob("*")):
            outcome = Outcome(1, "the fit has written no files")
        self._conclude(self._jobs.get(job.id) or job, outcome, attempt)

    def _started(self, job: Job, pid: int) -> None:
        since = started_at(pid)
        if since is not None:
            self._jobs.change(job, self._now(), process=(pid, since))

    def _conclude(self, job: Job, outcome: Outcome, attempt: Path) -> None:
        """Write down what became of a fit."""
        if outcome.code == 0:
            folder = self._jobs.folder(job.id)
            folder.take_results(attempt)
            folder.forget_deliveries()
            state, reason, attempts = JobState.sending, "", job.attempts
        elif outcome.stopped:
            # That is not the fault of the scan.
            state, reason, attempts = JobState.queued, "", job.attempts - 1
        else:
            tries = self._settings.node.fit_attempts
            is_final = outcome.code == _WRONG_INPUT or job.attempts >= tries
            state = JobState.failed if is_final else JobState.queued
            reason, attempts = outcome.reason, job.attempts
        shutil.rmtree(attempt, ignore_errors=True)
        self._jobs.change(
            job, self._now(), state=state, reason=reason, attempts=attempts, process=None
        )
        self._log("fitted" if outcome.code == 0 else "not fitted", job=job.id, reason=reason)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=OWNER_ONLY)
