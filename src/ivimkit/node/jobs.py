"""Job: one scan of a study, to be fitted and sent; and all jobs, on disk.

A job is a folder: the images it works on, the results, and what each peer has acknowledged.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from ivimkit.node.durable import (
    make_folder,
    read_json,
    sync_file,
    sync_folder,
    write_json,
)

__all__ = ["Delivery", "Job", "JobFolder", "JobState", "Jobs", "job_id"]

_RECORD = "job.json"
_DRAFT = ".new-"
_ID_LETTERS = 10


class JobState(StrEnum):
    """Where a job is."""

    queued = "queued"
    working = "working"
    sending = "sending"
    done = "done"
    failed = "failed"
    replaced = "replaced"


_ENDED = (JobState.done, JobState.failed, JobState.replaced)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a job.

    Parameters
    ----------
    id : str
        Its name, the same whenever the same rule meets the same images.
    study : str
        Study Instance UID.
    series : tuple of str
        The series of the scan.
    rule : str
        Name of the rule.
    description : str
        Series Description.
    b_values : int
        How many different ones there are.
    revision : int
        1, or more if images came after an earlier job.
    send_to : tuple of str
        Names of peers.
    state : JobState
        Where it is.
    drop_incomplete : bool
        Whether it is fitted without its incomplete volumes.
    attempts : int
        How often the fit was started.
    reason : str
        Why it failed, in a sentence.
    made_at, changed_at : float
        Seconds since 1970.
    process : tuple of int, optional
        Process of the fit, and when the system says that it started.
    """

    id: str
    study: str
    series: tuple[str, ...]
    rule: str
    description: str = ""
    b_values: int = 0
    revision: int = 1
    send_to: tuple[str, ...] = ()
    state: JobState = JobState.queued
    drop_incomplete: bool = False
    attempts: int = 0
    reason: str = ""
    made_at: float = 0.0
    changed_at: float = 0.0
    process: tuple[int, int] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens any more, unless somebody asks for it."""
        return self.state in _ENDED


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How far the results of a job are on their way to one peer.

    Parameters
    ----------
    peer : str
        Its name.
    state : {"waiting", "sent", "failed"}
        Whether they have arrived.
    attempts : int
        How often it was tried.
    next_at : float
        When it is tried next, seconds since 1970.
    reason : str
        Why the last try failed.
    """

    peer: str
    state: str = "waiting"
    attempts: int = 0
    next_at: float = 0.0
    reason: str = ""


class JobFolder:
    """The folder of a job.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.input = path / "in"
        self.output = path / "out"
        self.result = path / "result"
        self.log = path / "fit.log"
        self._deliveries = path / "to"

    def results(self) -> list[Path]:
        """Return the files to be sent."""
        return sorted(path for path in self.output.rglob("*") if path.is_file())

    def take_results(self, attempt: Path) -> None:
        """Make what a fit has written the results of the job; durably."""
        for path in attempt.rglob("*"):
            (sync_folder if path.is_dir() else sync_file)(path)
        shutil.rmtree(self.output, ignore_errors=True)
        attempt.replace(self.output)
        sync_folder(self.path)

    def delivery(self, peer: str) -> Delivery:
        """Return how far the results are on their way to a peer."""
        return read_json(self._deliveries / f"{peer}.json", Delivery) or Delivery(peer=peer)

    def set_delivery(self, delivery: Delivery) -> None:
        """Write that down."""
        make_folder(self._deliveries, parents=self.path)
        write_json(self._deliveries / f"{delivery.peer}.json", delivery)

    def acknowledged(self, peer: str) -> set[str]:
        """Return the names of the results that a peer has acknowledged."""
        try:
            text = (self._deliveries / f"{peer}.sent").read_text(encoding="utf-8")
        except FileNotFoundError:
            return set()
        # A line without its end was being written when the machine stopped.
        return {line.rstrip("\n") for line in text.splitlines(keepends=True) if line[-1:] == "\n"}

    def acknowledge(self, peer: str, name: str) -> None:
        """Write down that a peer has acknowledged a result."""
        make_folder(self._deliveries, parents=self.path)
        with (self._deliveries / f"{peer}.sent").open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
            file.flush()
            os.fsync(file.fileno())

    def forget_deliveries(self) -> None:
        """Begin anew with sending."""
        shutil.rmtree(self._deliveries, ignore_errors=True)


class Jobs:
    """All jobs of the node.

    Only those that go on are in memory, so that a node that has done a million needs no more than
    a new one.

    Parameters
    ----------
    root : Path
        Folder of the node.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "jobs"
        self._root = root
        self._active: dict[str, Job] = {}
        self._lock = threading.RLock()

    def prepare(self) -> None:
        """Make the folder, remove half-made jobs, and find those that go on."""
        make_folder(self._folder, parents=self._root)
        for path in self._folder.glob(f"{_DRAFT}*"):
            shutil.rmtree(path, ignore_errors=True)
        with self._lock:
            self._active = {job.id: job for job in self.every() if not job.has_ended}

    def folder(self, job: str) -> JobFolder:
        """Return the folder of a job."""
        return JobFolder(self._folder / job)

    def add(self, job: Job, files: Sequence[Path]) -> bool:
        """Add a job, with its own names of the images; return whether it is new.

        Parameters
        ----------
        job : Job
            The job.
        files : sequence of Path
            Images, in folders by series.
        """
        target = self._folder / job.id
        if target.is_dir():
            return False
        draft = self._folder / f"{_DRAFT}{job.id}"
        shutil.rmtree(draft, ignore_errors=True)
        for path in files:
            folder = draft / "in" / path.parent.name
            make_folder(folder, parents=self._folder)
            _link(path, folder / path.name)
        for folder in (draft / "in").iterdir():
            sync_folder(folder)
        write_json(draft / _RECORD, job)
        draft.replace(target)
        sync_folder(self._folder)
        self._keep(job)
        return True

    def get(self, job: str) -> Job | None:
        """Return a job by its name."""
        with self._lock:
            found = self._active.get(job)
        found = found or read_json(self._folder / job / _RECORD, Job)
        return found if found is not None and found.id == job else None

    def change(self, job: Job, at: float, **changes: object) -> Job:
        """Write down what has changed; return the changed job."""
        changed = msgspec.structs.replace(job, changed_at=at, **changes)
        with self._lock:
            write_json(self._folder / job.id / _RECORD, changed)
            self._keep(changed)
        return changed

    def active(self, state: JobState | None = None) -> list[Job]:
        """Return the jobs that go on, oldest first."""
        with self._lock:
            jobs = list(self._active.values())
        return sorted(
            (job for job in jobs if state is None or job.state is state),
            key=lambda job: (job.made_at, job.id),
        )

    def every(self) -> Iterator[Job]:
        """Yield all jobs, from the disk."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            job = read_json(path / _RECORD, Job)
            if job is not None and job.id == path.name:
                yield job

    def of_study(self, study: str) -> list[Job]:
        """Return the jobs of a study, from the disk."""
        found = [
            read_json(path / _RECORD, Job) for path in self._folder.glob(f"{_study_part(study)}-*")
        ]
        return [job for job in found if job is not None and job.study == study]

    def remove(self, job: Job) -> None:
        """Remove a job and its files."""
        with self._lock:
            self._active.pop(job.id, None)
        # First out of sight: a half-removed job must not be found by the next process.
        aside = self._folder / f"{_DRAFT}{job.id}"
        (self._folder / job.id).replace(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _keep(self, job: Job) -> None:
        with self._lock:
            if job.has_ended:
                self._active.pop(job.id, None)
            else:
                self._active[job.id] = job


def job_id(study: str, rule: str, fingerprint: str) -> str:
    """Return the name of a job, from what it is about."""
    return f"{_study_part(study)}-{_digest(f'{rule} {fingerprint}')}"


def _study_part(study: str) -> str:
    return _digest(study)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_LETTERS]


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        # Some file systems have no hard links.
        shutil.copy2(source, target)
