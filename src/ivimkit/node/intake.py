"""Intake: looks into a study that seems complete, and makes jobs of what it has."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from ivimkit.node.child_process import Limits, run_child
from ivimkit.node.commands import Commands
from ivimkit.node.completeness import Patience, Seen, Waiting
from ivimkit.node.durable import OWNER_ONLY
from ivimkit.node.event_log import EventLog
from ivimkit.node.inspection import FoundScan, Inspection
from ivimkit.node.jobs import Job, Jobs, JobState, job_id
from ivimkit.node.rules import Rule, first_match
from ivimkit.node.settings import NodeSettings
from ivimkit.node.spool import Look, Spool

__all__ = ["Intake"]

_MAX_ATTEMPTS = 2
_MAX_LOOK_S = 900.0
_SCRATCH = "inspection"


class Intake:
    """Turns studies into jobs.

    Parameters
    ----------
    settings : NodeSettings
        The rules.
    spool : Spool
        The studies.
    jobs : Jobs
        The jobs.
    waiting : Waiting
        Which studies to look at.
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
        spool: Spool,
        jobs: Jobs,
        waiting: Waiting,
        commands: Commands,
        log: EventLog,
        now: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._jobs = jobs
        self._waiting = waiting
        self._commands = commands
        self._log = log
        self._now = now
        self._stop = stop
        node = settings.node
        self._patience = Patience(node.quiet_s, node.force_s)
        self._limits = Limits(_MAX_LOOK_S, node.memory_gb)

    def prepare(self) -> None:
        """Wait again for the studies that have images nobody has looked at."""
        (self._spool.root / _SCRATCH).mkdir(mode=OWNER_ONLY, exist_ok=True)
        for study in self._spool.studies():
            look = self._spool.look(study)
            is_known = look is not None and look.fingerprint == self._spool.fingerprint(study)
            if look is None or not is_known or look.verdict == "incomplete":
                self._waiting.arrived(study, self._now())

    def look(self, study: str) -> None:
        """Look into a study; make its jobs, or note why there are none."""
        seen = self._waiting.seen(study)
        if seen is None:
            return
        fingerprint = self._spool.fingerprint(study)
        found = self._inspect(study)
        if isinstance(found, str):
            self._give_up_or_wait(study, seen, fingerprint, found)
            return
        is_over = self._patience.is_over(seen.last, self._now())
        reasons: dict[str, str] = {}
        for scan in found.scans:
            verdict, reason = self._judge(study, scan, is_over=is_over)
            reasons.setdefault(verdict, reason)
        verdict = next((one for one in ("incomplete", "fitted") if one in reasons), "ignored")
        look = Look(
            fingerprint=fingerprint,
            verdict=verdict,
            reason=reasons.get(verdict, found.reason),
            at=self._now(),
        )
        self._spool.set_look(study, look)
        again = seen.last + self._patience.force_s if verdict == "incomplete" else None
        self._waiting.looked(study, seen, again)
        names = {"patient": found.patient} if self._settings.node.log_names else {}
        self._log("looked", study=study, verdict=verdict, reason=look.reason, **names)

    def _judge(self, study: str, scan: FoundScan, *, is_over: bool) -> tuple[str, str]:
        """Return what follows from a scan, and why; make its job if it is ready."""
        rule = first_match(self._settings.rule, scan, self._spool.peers(study))
        if rule is None:
            return "ignored", f"no rule is for {scan.description!r}"
        if scan.incomplete and not is_over:
            return "incomplete", scan.incomplete
        self._make_job(study, scan, rule)
        return "fitted", ""

    def _make_job(self, study: str, scan: FoundScan, rule: Rule) -> None:
        # Regions that are drawn later make a revision, like images that come later.
        series = (*scan.series, *(scan.regions if rule.uses_regions else ()))
        fingerprint = self._spool.fingerprint(study, series)
        name = job_id(study, rule.name, fingerprint)
        earlier = [
            job
            for job in self._jobs.of_study(study)
            if job.id != name and job.rule == rule.name and {*job.series} & {*scan.series}
        ]
        is_refused = bool(scan.incomplete) and not rule.drop_incomplete
        job = Job(
            id=name,
            study=study,
            series=scan.series,
            rule=rule.name,
            description=scan.description,
            b_values=len(scan.b_values),
            revision=1 + max((one.revision for one in earlier), default=0),
            send_to=self._destinations(study, rule),
            state=JobState.failed if is_refused else JobState.queued,
            drop_incomplete=bool(scan.incomplete),
            reason=scan.incomplete if is_refused else "",
            made_at=self._now(),
            changed_at=self._now(),
        )
        if not self._jobs.add(job, self._spool.files(study, series)):
            return
        for one in earlier:
            self._replace(one, job)
        self._log("job", job=name, study=study, rule=rule.name, revision=job.revision)

    def _replace(self, earlier: Job, later: Job) -> None:
        """Do no more for a job whose study has come with more images since."""
        if earlier.state in (JobState.queued, JobState.failed):
            reason = f"more images came: {later.id} is revision {later.revision}"
            self._jobs.change(earlier, self._now(), state=JobState.replaced, reason=reason)

    def _destinations(self, study: str, rule: Rule) -> tuple[str, ...]:
        if rule.send_to is not None:
            return rule.send_to
        senders = self._spool.peers(study)
        return tuple(
            peer.name for peer in self._settings.peer if peer.name in senders and peer.port
        )

    def _inspect(self, study: str) -> Inspection | str:
        """Return what a study has, or the sentence why that cannot be found out."""
        scratch = self._spool.root / _SCRATCH
        out, log = scratch / "found.json", scratch / "log"
        out.unlink(missing_ok=True)
        outcome = run_child(
            self._commands.inspect(self._spool.study(study), out),
            log=log,
            limits=self._limits,
            stop=self._stop,
        )
        if outcome.code != 0:
            return outcome.reason
        try:
            return msgspec.json.decode(out.read_bytes(), type=Inspection)
        except (OSError, msgspec.MsgspecError) as error:
            return f"looking into it gave no answer: {error}"

    def _give_up_or_wait(self, study: str, seen: Seen, fingerprint: str, reason: str) -> None:
        """Look again later into a study that cannot be read, but not for ever."""
        if self._stop.is_set():
            return
        before = self._spool.look(study)
        attempts = 1
        if before is not None and before.verdict == "unreadable":
            attempts += before.attempts if before.fingerprint == fingerprint else 0
        look = Look(
            fingerprint=fingerprint,
            verdict="unreadable",
            reason=reason,
            at=self._now(),
            attempts=attempts,
        )
        self._spool.set_look(study, look)
        again = self._now() + self._patience.quiet_s if attempts < _MAX_ATTEMPTS else None
        self._waiting.looked(study, seen, again)
        self._log("unreadable", study=study, reason=reason, attempts=attempts)
