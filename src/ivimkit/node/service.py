"""Node: receives, works and sends until it is stopped."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

from ivimkit.errors import InputError
from ivimkit.node.commands import Commands
from ivimkit.node.completeness import Patience, Waiting
from ivimkit.node.dispatch import Dispatch
from ivimkit.node.durable import OWNER_ONLY
from ivimkit.node.event_log import EventLog
from ivimkit.node.health import Health, write_health
from ivimkit.node.intake import Intake
from ivimkit.node.jobs import Jobs, JobState
from ivimkit.node.peers import PeerBook
from ivimkit.node.receiver import Receiver
from ivimkit.node.requests import Requests
from ivimkit.node.retention import Retention
from ivimkit.node.sender import Retries, Sender
from ivimkit.node.settings import NodeSettings
from ivimkit.node.spool import Arrival, Spool, Stored
from ivimkit.node.worker import Worker
from ivimkit.writing.lock import hold, release
from ivimkit.writing.target import told_as_input

__all__ = ["Node"]

_LOG = "node.log"
_RETENTION_S = 60.0
_ABANDONED_S = 600.0
_JOIN_S = 30.0
_TROUBLE_S = 1.0


class Node:
    """A node: everything that `settings` describe, at work.

    Parameters
    ----------
    settings : NodeSettings
        See `load_settings`.
    commands : Commands, optional
        The child processes; for tests.
    now : callable
        The time, seconds since 1970; for tests.
    pulse_s : float
        How often it looks whether there is something to do.
    free_bytes : callable, optional
        Free space of a folder; for tests.
    stream : file, optional
        Where the log also goes.
    """

    def __init__(
        self,
        settings: NodeSettings,
        *,
        commands: Commands | None = None,
        now: Callable[[], float] = time.time,
        pulse_s: float = 0.5,
        free_bytes: Callable[[Path], int] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        node = settings.node
        self._settings = settings
        self._now = now
        self._pulse_s = pulse_s
        self._stop = threading.Event()
        self._faults: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._lock: int | None = None
        self._kept_since = 0.0
        self.root = settings.folder
        self._log = EventLog(self.root / _LOG, stream, now)
        self._spool = Spool(self.root, free_bytes)
        self._jobs = Jobs(self.root)
        peers = PeerBook(settings.peer)
        self._receiver = Receiver(
            node,
            settings.tls,
            peers=peers,
            spool=self._spool,
            stored=self._stored,
            log=self._log,
        )
        self._waiting = Waiting(Patience(node.quiet_s, node.force_s), self._receiver.is_busy)
        commands = commands or Commands()
        self._worker = Worker(
            settings,
            intake=Intake(
                settings,
                spool=self._spool,
                jobs=self._jobs,
                waiting=self._waiting,
                commands=commands,
                log=self._log,
                now=now,
                stop=self._stop,
            ),
            waiting=self._waiting,
            jobs=self._jobs,
            commands=commands,
            log=self._log,
            now=now,
            stop=self._stop,
        )
        self._dispatch = Dispatch(
            self._jobs,
            peers=peers,
            sender=Sender(node.ae_title, settings.tls),
            retries=Retries(node.retry_min, node.give_up_h),
            log=self._log,
            now=now,
            goes_on=lambda: not self._stop.is_set(),
        )
        self._requests = Requests(
            self._spool,
            self._jobs,
            look_again=lambda study: self._waiting.arrived(study, now()),
            log=self._log,
            now=now,
        )
        self._retention = Retention(
            self._spool, self._jobs, keep_days=node.keep_days, log=self._log, now=now
        )

    @property
    def port(self) -> int:
        """The port that calls are accepted on."""
        return self._receiver.port

    def start(self) -> None:
        """Begin: take the folder, go on where the last process ended, accept calls.

        Raises
        ------
        InputError
            If another node has the folder, or address and port cannot be used.
        """
        self._lock = _taken(self.root)
        try:
            with told_as_input(self.root):
                self._spool.prepare()
                self._jobs.prepare()
                self._requests.prepare()
                self._worker.prepare()
            self._receiver.start()
        except BaseException:
            self.stop()
            raise
        self._log("started", port=self.port, process=os.getpid())
        self._run_thread("worker", self._worker.step)
        for peer in self._settings.peer:
            if peer.port:
                self._run_thread(f"to {peer.name}", partial(self._dispatch.step, peer.name))

    def run(self, check: Callable[[], None] = lambda: None) -> None:
        """Go on until `check` raises, or the node is stopped.

        Parameters
        ----------
        check : callable
            Called again and again.
        """
        while not self._stop.wait(self._pulse_s):
            check()
            try:
                self.step()
            except OSError as error:
                self._wait_after(error)

    def step(self) -> None:
        """Do what does not belong to a thread: requests, ended jobs, retention, the pulse.

        Raises
        ------
        Exception
            The fault of a thread, which ends the node.
        """
        if self._faults:
            raise self._faults[0]
        self._requests.step()
        self._dispatch.settle()
        if self._now() - self._kept_since >= _RETENTION_S or not self._settings.node.keep_days:
            self._kept_since = self._now()
            self._retention.step()
            if self._receiver.is_idle():
                self._spool.remove_abandoned(time.time() - _ABANDONED_S)
        write_health(self.root, self._health())

    def stop(self) -> None:
        """End: no more calls, no child process, the folder free for another node."""
        self._stop.set()
        self._receiver.stop()
        for thread in self._threads:
            thread.join(_JOIN_S)
        if self._lock is not None:
            if self._threads:
                self._log("stopped")
            release(self._lock)
            self._lock = None

    def _stored(self, arrival: Arrival, stored: Stored) -> None:
        if stored.is_new:
            self._waiting.arrived(arrival.study, self._now())
        if stored.is_first:
            self._log("receiving", study=arrival.study, peer=arrival.peer)

    def _health(self) -> Health:
        free = self._spool.free_gb()
        count = {state: len(self._jobs.active(state)) for state in JobState}
        return Health(
            at=self._now(),
            process=os.getpid(),
            port=self.port,
            waiting=self._waiting.number(),
            queued=count[JobState.queued],
            working=count[JobState.working],
            sending=count[JobState.sending],
            free_gb=round(free, 3),
            is_receiving=free >= self._settings.node.free_gb,
        )

    def _run_thread(self, name: str, step: Callable[[], bool]) -> None:
        thread = threading.Thread(target=self._go_on, args=(step,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _wait_after(self, error: OSError) -> None:
        """Wait a little after the disk has refused something: it may have space again."""
        self._log("trouble", reason=str(error))
        self._stop.wait(_TROUBLE_S)

    def _go_on(self, step: Callable[[], bool]) -> None:
        try:
            while not self._stop.is_set():
                try:
                    if not step():
                        self._stop.wait(self._pulse_s)
                except OSError as error:
                    self._wait_after(error)
        except Exception as fault:  # noqa: BLE001 - handed to whoever runs the node, see `step`
            self._faults.append(fault)


def _taken(root: Path) -> int:
    """Take the folder of a node for this process.

    Raises
    ------
    InputError
        If another one has it, or the file system knows no locks.
    """
    if sys.platform == "win32":
        raise InputError("a node needs Linux or macOS; expected one of them, or its container")
    with told_as_input(root):
        root.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
    lock = hold(root)
    if lock is None:
        raise InputError(
            f"another node works on {root}; expected one node per folder. Stop it, or choose "
            "another folder in the settings"
        )
    if lock < 0:
        raise InputError(
            f"the file system of {root} has no locks; expected a local disk. Choose another "
            "folder in the settings"
        )
    return lock
