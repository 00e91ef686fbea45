"""Health: what a node is doing, as seen from outside."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from pathlib import Path

import msgspec

from ivimkit.node.durable import write_json
from ivimkit.node.jobs import Delivery, Job, Jobs, JobState
from ivimkit.node.spool import Look, Spool
from ivimkit.writing.lock import hold, release

__all__ = ["Health", "NodeStatus", "is_running", "node_status", "write_health"]

_HEALTH = "health.json"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The pulse of a node, in ``health.json``.

    Parameters
    ----------
    at : float
        When it was written, seconds since 1970.
    process : int
        Number of the process.
    port : int
        Where it listens.
    version : str
        Of ivimkit.
    waiting : int
        Studies that may not be complete yet.
    queued, working, sending : int
        Jobs.
    free_gb : float
        Free space on the disk, 10⁹ bytes.
    is_receiving : bool
        Whether there is enough of it to accept images.
    """

    at: float
    process: int
    port: int
    waiting: int
    queued: int
    working: int
    sending: int
    free_gb: float
    is_receiving: bool
    version: str = msgspec.field(default_factory=lambda: version("ivimkit"))


class StudyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A study, and what was found in it: None if nobody has looked."""

    study: str
    images: int
    look: Look | None


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of a node.

    Parameters
    ----------
    is_running : bool
        Whether a process works on the folder.
    free_gb : float
        Free space on the disk, 10⁹ bytes.
    jobs : tuple of Job
        All jobs, newest last.
    deliveries : dict
        Of each job that is being sent or failed.
    studies : tuple of StudyStatus
        The studies without a job.
    """

    is_running: bool
    free_gb: float
    jobs: tuple[Job, ...]
    deliveries: dict[str, tuple[Delivery, ...]]
    studies: tuple[StudyStatus, ...]

    @property
    def failures(self) -> list[str]:
        """A sentence for everything that failed."""
        return [
            *(f"{job.id}: {job.reason}" for job in self.jobs if job.state is JobState.failed),
            *(
                f"{one.study}: {one.look.reason}"
                for one in self.studies
                if one.look is not None and one.look.verdict == "unreadable"
            ),
        ]

    def counts(self) -> dict[str, int]:
        """Return how many jobs there are of each state."""
        found = Counter(job.state.value for job in self.jobs)
        return {state.value: found[state.value] for state in JobState}


def write_health(root: Path, health: Health) -> None:
    """Write the pulse of a node."""
    write_json(root / _HEALTH, health)


def is_running(root: Path) -> bool:
    """Return whether a node works on a folder."""
    if not root.is_dir():
        return False
    lock = hold(root)
    if lock is None:
        return True
    release(lock)
    return False


def node_status(root: Path) -> NodeStatus:
    """Return what is known of the node of a folder, from the files in it."""
    home = next(path for path in (root, *root.parents) if path.is_dir())
    jobs, spool = Jobs(root), Spool(root)
    every = sorted(jobs.every(), key=lambda job: (job.made_at, job.id))
    shown = (JobState.sending, JobState.failed)
    deliveries = {
        job.id: tuple(jobs.folder(job.id).delivery(peer) for peer in job.send_to)
        for job in every
        if job.state in shown
    }
    with_job = {job.study for job in every}
    there = spool.studies() if (root / "studies").is_dir() else []
    studies = [
        StudyStatus(study=study, images=len(spool.files(study)), look=spool.look(study))
        for study in there
        if study not in with_job
    ]
    return NodeStatus(
        is_running=is_running(root),
        free_gb=Spool(home).free_gb(),
        jobs=tuple(every),
        deliveries=deliveries,
        studies=tuple(studies),
    )
