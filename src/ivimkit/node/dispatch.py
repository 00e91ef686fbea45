"""Dispatch: which results go where and when, and what becomes of their jobs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ivimkit.node.event_log import EventLog
from ivimkit.node.jobs import Delivery, Job, Jobs, JobState
from ivimkit.node.peers import PeerBook
from ivimkit.node.sender import Retries, Sender, SendError

__all__ = ["Dispatch"]


class Dispatch:
    """The deliveries of all jobs.

    Parameters
    ----------
    jobs : Jobs
        The jobs.
    peers : PeerBook
        Where to.
    sender : Sender
        How.
    retries : Retries
        When again.
    log : EventLog
        What happens.
    now : callable
        The time, seconds since 1970.
    goes_on : callable
        False when the node is to end.
    """

    def __init__(
        self,
        jobs: Jobs,
        *,
        peers: PeerBook,
        sender: Sender,
        retries: Retries,
        log: EventLog,
        now: Callable[[], float],
        goes_on: Callable[[], bool],
    ) -> None:
        self._jobs = jobs
        self._peers = peers
        self._sender = sender
        self._retries = retries
        self._log = log
        self._now = now
        self._goes_on = goes_on
        # While a peer is down, hundreds of jobs may wait for it, and are looked at at each pulse.
        self._known: dict[tuple[str, str], Delivery] = {}

    def step(self, peer: str) -> bool:
        """Send what is due to a peer; return whether there was anything."""
        for job in self._jobs.active(JobState.sending):
            if peer not in job.send_to:
                continue
            delivery = self._delivery(job, peer)
            is_due = delivery.state == "waiting" and delivery.next_at <= self._now()
            if is_due and self._goes_on():
                self._deliver(job, delivery)
                return True
        return False

    def settle(self) -> None:
        """End the jobs whose results have arrived everywhere, or never will."""
        for job in self._jobs.active(JobState.sending):
            self._fail_unknown(job)
            found = [self._delivery(job, peer) for peer in job.send_to]
            if any(one.state == "waiting" for one in found):
                continue
            reasons = [f"{one.peer}: {one.reason}" for one in found if one.state == "failed"]
            state = JobState.failed if reasons else JobState.done
            self._jobs.change(job, self._now(), state=state, reason="; ".join(reasons))
            for peer in job.send_to:
                self._known.pop((job.id, peer), None)
            self._log("failed" if reasons else "done", job=job.id, reason="; ".join(reasons))

    def _fail_unknown(self, job: Job) -> None:
        """Give up what was to be sent to peers that are not in the settings any more."""
        for name in job.send_to:
            peer, delivery = self._peers.get(name), self._delivery(job, name)
            if (peer is None or not peer.port) and delivery.state == "waiting":
                reason = "it is not among the peers with a port any more"
                self._note(job, msgspec.structs.replace(delivery, state="failed", reason=reason))

    def _delivery(self, job: Job, peer: str) -> Delivery:
        found = self._known.get((job.id, peer))
        if found is None:
            found = self._known[job.id, peer] = self._jobs.folder(job.id).delivery(peer)
        return found

    def _note(self, job: Job, delivery: Delivery) -> None:
        self._jobs.folder(job.id).set_delivery(delivery)
        self._known[job.id, delivery.peer] = delivery

    def _deliver(self, job: Job, delivery: Delivery) -> None:
        peer = self._peers.get(delivery.peer)
        assert peer is not None, "there is no thread for others"
        try:
            number = self._sender.send(self._jobs.folder(job.id), peer, self._goes_on)
        except SendError as error:
            if not self._goes_on():
                return
            later = self._retries.after(delivery, error, since=job.changed_at, now=self._now())
            self._log("not sent", job=job.id, peer=delivery.peer, reason=str(error))
        else:
            sent = {"state": "sent", "attempts": delivery.attempts + 1, "reason": ""}
            later = msgspec.structs.replace(delivery, **sent)
            self._log("sent", job=job.id, peer=delivery.peer, files=number)
        self._note(job, later)
