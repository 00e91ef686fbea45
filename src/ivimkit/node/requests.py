"""Requests: what other processes want the node to do, as files in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ivimkit.errors import OptionError
from ivimkit.node.durable import make_folder, write_bytes
from ivimkit.node.event_log import EventLog
from ivimkit.node.jobs import Job, Jobs, JobState
from ivimkit.node.spool import Spool, is_uid

__all__ = ["Requests", "ask_to_retry"]

_FOLDER = "requests"


def ask_to_retry(root: Path, names: list[str]) -> list[str]:
    """Ask a node to do jobs again; it need not be running.

    Parameters
    ----------
    root : Path
        Folder of the node.
    names : list of str
        Jobs, or studies that could not be read; none for all that failed.

    Returns
    -------
    list of str
        What the node will do again.

    Raises
    ------
    OptionError
        If there is no such job.
    """
    jobs, spool = Jobs(root), Spool(root)
    failed = [job.id for job in jobs.every() if job.state is JobState.failed]
    unreadable = [] if not (root / "studies").is_dir() else _unreadable(spool)
    for name in names:
        known = jobs.get(name) is not None if not is_uid(name) else name in unreadable
        if not known:
            valid = ", ".join([*failed, *unreadable]) or "none failed"
            raise OptionError(
                f"there is no job {name!r}; expected the name of a job, as node status shows it "
                f"({valid})"
            )
    wanted = names or [*failed, *unreadable]
    if not wanted:
        return []
    make_folder(root / _FOLDER, parents=root)
    for name in wanted:
        write_bytes(root / _FOLDER / name, b"retry")
    return wanted


class Requests:
    """The requests that a node has got.

    Parameters
    ----------
    spool : Spool
        The studies.
    jobs : Jobs
        The jobs.
    look_again : callable
        Called with a study that somebody is to look into again.
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
        look_again: Callable[[str], None],
        log: EventLog,
        now: Callable[[], float],
    ) -> None:
        self._folder = spool.root / _FOLDER
        self._spool = spool
        self._jobs = jobs
        self._look_again = look_again
        self._log = log
        self._now = now

    def prepare(self) -> None:
        """Make the folder."""
        make_folder(self._folder, parents=self._folder.parent)

    def step(self) -> None:
        """Do what was asked for."""
        for path in sorted(self._folder.iterdir()):
            if path.name.startswith("."):
                continue
            job = None if is_uid(path.name) else self._jobs.get(path.name)
            if job is not None:
                self._retry(job)
            elif path.name in self._spool.studies():
                self._spool.set_look(path.name, None)
                self._look_again(path.name)
            # Last: a request that was done but not removed is only done twice.
            path.unlink()
            self._log("retry", what=path.name)

    def _retry(self, job: Job) -> None:
        if not job.has_ended:
            return
        folder = self._jobs.folder(job.id)
        is_unsent = job.state is JobState.failed and bool(folder.results())
        for peer in job.send_to:
            delivery = folder.delivery(peer)
            if delivery.state == "failed":
                folder.set_delivery(type(delivery)(peer=peer))
        state = JobState.sending if is_unsent else JobState.queued
        self._jobs.change(job, self._now(), state=state, reason="", attempts=0)


def _unreadable(spool: Spool) -> list[str]:
    looks = {study: spool.look(study) for study in spool.studies()}
    return [study for study, look in looks.items() if look and look.verdict == "unreadable"]
