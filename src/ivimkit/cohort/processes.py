"""Processes: fit scans in worker processes, which may be killed without harm to the others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from types import FrameType

from ivimkit.cohort.bundles import Bundles
from ivimkit.cohort.ledger import FAILED, RUNNING, Entry
from ivimkit.cohort.one_subject import fit_subject, warm_up
from ivimkit.cohort.task import Outcome, Task
from ivimkit.errors import InputError

__all__ = ["outcomes_by", "outcomes_here", "outcomes_in_processes"]

Work = Callable[[Task], Outcome]
_Answer = Future[list[Outcome]]

_ENDING, _FITTING = threading.Event(), threading.Event()
"""In a worker: whether it was told to end, and whether it is fitting a scan."""

_AHEAD = 2
"""Tasks that each worker is sent ahead: the others wait here, so that memory stays constant."""

_KILLED = (
    "its process was ended twice without a word, most likely as there was not enough memory; "
    "expected enough for the scan and its maps. Run fewer scans at a time (--n-procs), use a "
    "mask, or fit it by itself"
)


def outcomes_here(tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
    """Yield outcomes of scans fitted one after the other in this process."""
    with ThreadPoolExecutor(1) as executor:
        yield from outcomes_by(executor, tasks, 1)


def outcomes_by(
    executor: Executor,
    tasks: Sequence[Task],
    n_workers: int,
    work: Work = fit_subject,
    died: type[Exception] | tuple[()] = (),
    bundle_s: float = 0.0,
) -> Generator[Outcome, None, None]:
    """Yield outcomes of scans fitted by any executor, as they come.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Whatever has ``submit``: of this machine or of a cluster.
    tasks : sequence of Task
        What to do.
    n_workers : int
        Number of workers.
    work : callable
        What a worker does with a task.
    died : type of Exception, optional
        What the executor raises for a task whose worker has ended. It is tried again at the end.
    bundle_s : float
        How long the tasks of one call of the executor shall take, seconds; with 0 it is one task.

    Raises
    ------
    InputError
        If nothing can be written, or the workers have gone.
    BrokenProcessPool
        If a worker died.
    """
    places = _AHEAD * n_workers
    waiting, running = Bundles(tasks, places, bundle_s), dict[_Answer, tuple[Task, ...]]()
    suspects: list[Task] = []
    try:
        while waiting or running:
            while waiting and len(running) < places:
                bundle = waiting.take()
                running[executor.submit(_fit_all, work, bundle)] = bundle
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                bundle = running.pop(future)
                error = _error_of(future, died)
                if error is None:
                    waiting.learn(future.result())
                    yield from future.result()
                elif isinstance(error, died) or len(bundle) > 1:
                    suspects += bundle
                else:
                    yield _failed(bundle[0], _internal(error))
        # A worker takes with it what waits for it, too, and a fault what is in the same bundle:
        # only one that does so again, alone, is to blame. Others may have been done before.
        for task in suspects:
            future = executor.submit(_fit_all, work, (task,))
            error = _error_of(future, died)
            if error is None:
                yield from future.result()
            else:
                yield _failed(task, _KILLED if isinstance(error, died) else _internal(error))
    finally:
        for future in running:
            future.cancel()


def _fit_all(work: Work, tasks: Sequence[Task]) -> list[Outcome]:
    return [work(task) for task in tasks]


def _error_of(future: _Answer, died: type[Exception] | tuple[()]) -> BaseException | None:
    """Return why a call failed, which does not stop others; raise what concerns all."""
    try:
        error = future.exception()
    except CancelledError:
        raise InputError(
            "the workers have gone before all scans were fitted; expected them to stay. What is "
            "done is kept: start the same command again to go on"
        ) from None
    if error is None or isinstance(error, died):
        return error
    if isinstance(error, InputError | OSError | BrokenProcessPool) or not isinstance(
        error, Exception
    ):
        raise error
    return error


def _internal(error: BaseException) -> str:
    return (
        f"internal error: {type(error).__name__}: {error}. This is a bug in ivimkit, not a fault "
        "of the data. Please report it"
    )


def _failed(task: Task, sentence: str) -> Outcome:
    """Return the outcome of a scan that could not keep account of its failure itself."""
    name, ledger = task.subject.name, task.ledger
    known = ledger.read(name)
    files = () if known is None else known.files
    ledger.write(
        Entry(name=name, state=FAILED, options=task.options, sentence=sentence, files=files)
    )
    return Outcome(name, FAILED, sentence)


def outcomes_in_processes(tasks: Sequence[Task], n_workers: int) -> Generator[Outcome, None, None]:
    """Yield outcomes of scans fitted in processes of this machine, as they come.

    When a worker is killed, all workers of its pool end. What they had finished is on the disk.
    The scans that were being fitted are then fitted one by one, each in a process of its own: only
    one that ends its process again has failed.

    Parameters
    ----------
    tasks : sequence of Task
        What to do.
    n_workers : int
        Number of processes.
    """
    left = {task.subject.name: task for task in tasks}
    is_cold = n_workers > 1 and len(tasks) > 1
    while left:
        try:
            for outcome in _pooled(list(left.values()), n_workers, is_cold=is_cold):
                del left[outcome.name]
                yield outcome
        except BrokenProcessPool:
            is_cold = False
            suspects = [task for task in left.values() if _was_running(task)]
            for task in suspects or list(left.values())[:1]:
                del left[task.subject.name]
                yield _alone(task)


def _pooled(
    tasks: Sequence[Task], n_workers: int, *, is_cold: bool
) -> Generator[Outcome, None, None]:
    others = set(multiprocessing.active_children())
    pool = _pool(min(n_workers, len(tasks)))
    try:
        if is_cold:
            # The first worker compiles what the others, which start later, find in the cache.
            pool.submit(warm_up, tasks[0]).result()
        yield from outcomes_by(pool, tasks, n_workers, _fit_unless_ending)
    except BaseException as error:
        # Interrupted, or the first failure: what is being fitted is not waited for.
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        pool.shutdown(cancel_futures=True)
        # The frames would keep the semaphores of the pool, of which Python warns at its end.
        traceback.clear_frames(error.__traceback__)
        raise
    pool.shutdown()


def _alone(task: Task) -> Outcome:
    try:
        with _pool(1) as pool:
            return pool.submit(fit_subject, task).result()
    except BrokenProcessPool:
        return _failed(task, _KILLED)


def _was_running(task: Task) -> bool:
    entry = task.ledger.read(task.subject.name)
    return entry is not None and entry.state == RUNNING


def _pool(n_workers: int) -> ProcessPoolExecutor:
    # Not by fork: the locks of threads of this process would stay locked for ever.
    known = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in known else "spawn")
    # One process imports everything, and the workers are made from it: a start takes no time.
    context.set_forkserver_preload([_begin_worker.__module__])
    return ProcessPoolExecutor(n_workers, mp_context=context, initializer=_begin_worker)


def _begin_worker() -> None:
    # Ctrl-C reaches all processes of a terminal; the first one decides, and tells the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end(number: int, frame: FrameType | None) -> None:
    """Leave the scan that is being fitted, with nothing half-written."""
    _ENDING.set()
    # A worker that waits for a task may hold the lock of the queue, and gets word through it.
    if _FITTING.is_set():
        raise KeyboardInterrupt


def _fit_unless_ending(task: Task) -> Outcome:
    # Some tasks have been sent ahead, and cannot be taken back.
    _FITTING.set()
    try:
        if _ENDING.is_set():
            raise KeyboardInterrupt
        return fit_subject(task)
    finally:
        _FITTING.clear()


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, however it did."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
