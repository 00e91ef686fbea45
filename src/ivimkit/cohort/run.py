"""run: fit all scans of a cohort, and go on where an earlier run was interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from ivimkit.cohort.bundles import BUNDLE_S
from ivimkit.cohort.dask_cluster import DaskWorkers, fit_by_worker
from ivimkit.cohort.dataset_files import INDEX, write_dataset_files
from ivimkit.cohort.ledger import FAILED, Ledger
from ivimkit.cohort.part import Part
from ivimkit.cohort.prior_stage import PriorPlan, Say, plan_prior, settle_prior
from ivimkit.cohort.processes import outcomes_by, outcomes_here, outcomes_in_processes
from ivimkit.cohort.recipe import Recipe
from ivimkit.cohort.share_of_machine import ShareOfMachine
from ivimkit.cohort.subjects import Found
from ivimkit.cohort.task import Outcome, Task
from ivimkit.errors import OutputExistsError
from ivimkit.writing import full_path

__all__ = ["CohortRun", "OnDone", "Plan", "plan", "run"]

OnDone = Callable[[Outcome, int, int], None]
"""Called with the outcome of a scan, the number of scans done, and that of all."""


@dataclass(frozen=True)
class CohortRun:
    """How a run ended.

    Parameters
    ----------
    counts : mapping of str to int
        Number of scans in each state.
    failed : tuple of Outcome
        The scans that failed.
    kept : int
        Number of scans that an earlier run had done.
    stopped : bool
        Whether it ended at the first failure, before all scans were fitted.
    """

    counts: Mapping[str, int]
    failed: tuple[Outcome, ...]
    kept: int
    stopped: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Parameters
    ----------
    out : Path
        The output folder.
    tasks : tuple of Task
        The scans to fit.
    kept : int
        Number of scans that an earlier run has done.
    share : ShareOfMachine
        What is used of the machine.
    datasets : mapping of str to Path
        Data sets by name.
    part : Part, optional
        The part of all scans that this is.
    prior : PriorPlan, optional
        What is done before about the prior that scans share.
    """

    out: Path
    tasks: tuple[Task, ...]
    kept: int
    share: ShareOfMachine
    datasets: Mapping[str, Path]
    part: Part | None = None
    prior: PriorPlan | None = None

    def with_share(self, share: ShareOfMachine) -> Plan:
        """Return the plan for other workers."""
        tasks = tuple(replace(task, threads=share.threads) for task in self.tasks)
        prior = self.prior
        if prior is not None:
            prior = prior.sampling([replace(one, threads=share.threads) for one in prior.tasks])
        return replace(self, tasks=tasks, share=share, prior=prior)

    def without_done(self) -> Plan:
        """Return the plan without scans that are done, also if their prior was learned again."""
        left = [one for one in self.tasks if not one.is_done]
        kept = self.kept + len(self.tasks) - len(left)
        return replace(self, tasks=tuple(left), kept=kept)


def plan(
    found: Found,
    out: Path,
    recipe: Recipe,
    *,
    derivatives: Mapping[str, Path] | None = None,
    work: Path | None = None,
    part: Part | None = None,
    n_procs: int | None = None,
    mem_mb: float | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    prior_only: bool = False,
) -> Plan:
    """Return what a run would do; nothing is written.

    Parameters
    ----------
    found : Found
        The scans, see `find_bids` and `find_in_table`.
    out : Path
        The output folder.
    recipe : Recipe
        What is done to each scan.
    derivatives : mapping of str to Path, optional
        The data sets of masks and label images, by name, for the origin of files.
    work : Path, optional
        Where an ordinary folder of each result is also written, for `ivimkit.load_result`.
    part : Part, optional
        Which part of the scans to fit; by default all.
    n_procs, mem_mb, threads
        See `ShareOfMachine.of`.
    overwrite : bool
        Whether results of other inputs or options may be replaced. A prior that scans share is
        then learned again.
    prior_only : bool
        Whether nothing is fitted: samples are taken of the scans, or of the part, and, of all,
        the prior that they share is learned.

    Raises
    ------
    InputError
        If something cannot work.
    OutputExistsError
        If there are results of other inputs, options or another version, and they may not be
        replaced.
    """
    recipe.check()
    recipe.check_process()
    home, options = full_path(out), recipe.digest()
    subjects = found.subjects if part is None else part.of(found.subjects)
    ledger = Ledger(home)
    if not overwrite:
        _refuse_others(ledger.others(subjects, options), home)
    prior = plan_prior(
        recipe,
        options,
        home,
        subjects,
        is_part=part is not None,
        only=prior_only,
        overwrite=overwrite,
    )
    # If the prior is learned again, it may differ from that of what is done.
    again = prior is not None and (prior_only or (overwrite and part is None))
    left = [one for one in subjects if again or not ledger.is_done(one, options)]
    share = ShareOfMachine.of(left, n_procs, mem_mb, threads)
    root = found.root if found.root.is_dir() else found.root.parent
    given = {"raw": root, **(derivatives or {})}
    datasets = {name: full_path(folder) for name, folder in given.items()}
    tasks = [
        Task(
            subject=subject,
            recipe=recipe,
            options=options,
            out=home,
            datasets=datasets,
            work=None if work is None else full_path(work),
            threads=share.threads,
            overwrite=overwrite,
        )
        for subject in left
    ]
    if prior is not None and (part is None or prior_only):
        prior = prior.sampling(tasks)
    kept = len(subjects) - len(left)
    return Plan(home, () if prior_only else tuple(tasks), kept, share, datasets, part, prior)


def run(
    planned: Plan,
    *,
    executor: Executor | DaskWorkers | None = None,
    stop_on_first_crash: bool = False,
    on_done: OnDone | None = None,
    say: Say | None = None,
) -> CohortRun:
    r"""Fit the scans of a plan; one that fails does not stop the others.

    Everything of a scan is on the disk when it is done, so that a run may be killed at any moment:
    the same plan, made again, goes on from there.

    Parameters
    ----------
    planned : Plan
        What `plan` returned.
    executor : concurrent.futures.Executor or DaskWorkers, optional
        Whatever has ``submit``; it gets paths, names and numbers only. Or the workers of a Dask
        cluster, see `dask_workers`. By default processes of this machine, in the number that was
        planned.
    stop_on_first_crash : bool
        Whether to end at the first scan that fails.
    on_done : callable, optional
        Called with the outcome of each scan, the number of scans done, and that of all.
    say : callable, optional
        Called with sentences about the prior that scans share.

    Returns
    -------
    CohortRun

    Raises
    ------
    InputError
        If nothing can be written, such as to a disk that is full.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> home = Path(tempfile.mkdtemp())
    >>> ik.io.save_scan(ik.simulate.phantom(shape=(8, 8, 2)).dwi, home / "a.nii.gz")
    >>> _ = (home / "paths.csv").write_text("participant_id,scan\n1,a.nii.gz\n")
    >>> found = ik.cohort.find_in_table(home / "paths.csv")
    >>> recipe = ik.cohort.Recipe.of(method="segmented", report=False)
    >>> planned = ik.cohort.plan(found, home / "maps", recipe, n_procs=0)
    >>> ik.cohort.run(planned).counts["done"]
    1
    """
    write_dataset_files(planned.out, planned.datasets)
    if planned.prior is not None:
        crashed = settle_prior(
            planned.prior,
            planned.out,
            _outcomes(replace(planned, tasks=planned.prior.tasks), executor),
            stop_on_first_crash=stop_on_first_crash,
            say=say or (lambda _: None),
        )
        if crashed and stop_on_first_crash:
            return CohortRun({}, crashed, planned.kept, stopped=True)
        planned = planned.without_done()
    counts: Counter[str] = Counter()
    failed: list[Outcome] = []
    stopped = False
    outcomes = _outcomes(planned, executor)
    try:
        for number, outcome in enumerate(outcomes, start=1):
            counts[outcome.state] += 1
            if outcome.state == FAILED:
                failed.append(outcome)
            if on_done is not None:
                on_done(outcome, number, len(planned.tasks))
            if failed and stop_on_first_crash:
                stopped = number < len(planned.tasks)
                break
    finally:
        outcomes.close()
    changed = planned.tasks or planned.prior is not None
    if planned.part is None and (changed or not (planned.out / INDEX).is_file()):
        # Imported here: it loads matplotlib, which fits do not need.
        from ivimkit.cohort.index_page import write_index

        write_index(planned.out)
    return CohortRun(counts, tuple(failed), planned.kept, stopped)


def _outcomes(
    planned: Plan, executor: Executor | DaskWorkers | None
) -> Generator[Outcome, None, None]:
    tasks, processes = planned.tasks, planned.share.processes
    if isinstance(executor, DaskWorkers):
        workers = executor
        if tasks:
            workers.warm_up(tasks[0])
        return outcomes_by(
            workers.executor(), tasks, workers.n_workers, fit_by_worker, workers.died, BUNDLE_S
        )
    if executor is not None:
        return outcomes_by(executor, tasks, max(1, processes))
    if processes == 0 or not tasks:
        return outcomes_here(tasks)
    return outcomes_in_processes(tasks, processes)


def _refuse_others(names: Sequence[str], out: Path) -> None:
    if names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise OutputExistsError(
            f"{out} contains results of other options, other inputs or another version for "
            f"{len(names)} of the scans ({shown}); expected those of the same. Choose another "
            "folder, or ask to overwrite them (--overwrite)",
            python="Pass overwrite=True",
        )
