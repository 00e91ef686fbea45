"""The stage before the fits, if scans share a prior: take samples, learn what is not known."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from ivimkit.cohort.ledger import FAILED, PRIORS, Ledger
from ivimkit.cohort.recipe import Recipe
from ivimkit.cohort.scan_samples import read_samples
from ivimkit.cohort.shared_prior import Pool, learn_pools, read_pools
from ivimkit.cohort.subjects import Subject
from ivimkit.cohort.task import BUSY, SAMPLES, Outcome, Task
from ivimkit.errors import InputError, OptionError, OutputExistsError
from ivimkit.fitting.pooled_prior import SHARED
from ivimkit.machine import processors
from ivimkit.rounding import several

__all__ = ["PriorPlan", "Say", "plan_prior", "settle_prior"]

Say = Callable[[str], None]
"""Called with a sentence when something begins or is known."""


@dataclass(frozen=True)
class PriorPlan:
    """What is done about the prior that scans share, before the first one is fitted.

    Parameters
    ----------
    recipe : Recipe
        What is going to be done to each scan.
    options : str
        Its checksum.
    known : tuple of Pool
        Priors that are kept.
    scans : tuple of str
        The scans that others are learned from; none if this run learns nothing.
    tasks : tuple of Task
        The samples to take.
    only : bool
        Whether nothing is fitted afterwards.
    """

    recipe: Recipe
    options: str
    known: tuple[Pool, ...]
    scans: tuple[str, ...]
    tasks: tuple[Task, ...] = ()
    only: bool = False

    def sampling(self, tasks: Sequence[Task]) -> PriorPlan:
        """Return the plan that takes the samples of some scans, where there are none yet."""
        sampling = [replace(task, samples=True) for task in tasks]
        return replace(self, tasks=tuple(one for one in sampling if not one.is_done))


def plan_prior(
    recipe: Recipe,
    options: str,
    out: Path,
    subjects: Sequence[Subject],
    *,
    is_part: bool,
    only: bool,
    overwrite: bool,
) -> PriorPlan | None:
    """Return what is to be done about the prior; None if scans share none.

    Parameters
    ----------
    recipe, options
        What is done to each scan, and its checksum.
    out : Path
        The output folder.
    subjects : sequence of Subject
        The scans.
    is_part : bool
        Whether these are a part of the cohort only, so that no prior can be learned from them.
    only : bool
        Whether nothing is fitted afterwards.
    overwrite : bool
        Whether priors are learned again.

    Raises
    ------
    OptionError
        If a part is to be fitted, and there is no prior yet; or there is nothing to learn.
    OutputExistsError
        If there are priors of other options, and they may not be replaced.
    """
    if not recipe.shares_prior:
        if only:
            raise OptionError(
                "only the prior of the cohort is asked for (--prior-only), and there is none; "
                f"expected prior {SHARED} (--prior {SHARED})"
            )
        return None
    pools = read_pools(out)
    if not overwrite and not all(pool.is_of(options) for pool in pools):
        raise OutputExistsError(
            f"{out / PRIORS} contains priors that were learned with other options or another "
            "version; expected those of the same. Choose another folder, or ask to learn them "
            "again (--overwrite)",
            python="Pass overwrite=True",
        )
    known = pools if is_part or not overwrite else ()
    if is_part and not only and not any(pool.is_of(options) for pool in known):
        raise OptionError(
            f"a part of the cohort is to be fitted with prior {SHARED}, which has not been "
            "learned yet, and is learned from all parts; expected it in "
            f"{out / PRIORS}. Start the same command before with --prior-only instead of --part, "
            "or take the script of --slurm"
        )
    scans = () if is_part else tuple(subject.name for subject in subjects)
    return PriorPlan(recipe, options, known, scans, only=only)


def settle_prior(
    prior: PriorPlan,
    out: Path,
    outcomes: Generator[Outcome, None, None],
    *,
    stop_on_first_crash: bool = False,
    say: Say = lambda _: None,
) -> tuple[Outcome, ...]:
    """Take the samples, and learn the priors that are not known.

    A scan that fails has no part in them, and is told when it fails again as it is fitted.

    Parameters
    ----------
    prior : PriorPlan
        What is to be done.
    out : Path
        The output folder.
    outcomes : generator of Outcome
        Of its tasks, in any order.
    stop_on_first_crash : bool
        Whether to end at the first scan that fails.
    say : callable
        Gets a sentence about each prior.

    Returns
    -------
    tuple of Outcome
        The scans that failed.

    Raises
    ------
    InputError
        If nothing can be written, or another run does the same.
    """
    failed: list[Outcome] = []
    busy: list[str] = []
    if prior.tasks:
        say(f"samples for the prior: {several(len(prior.tasks), 'scan')}")
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.state == FAILED:
                failed.append(outcome)
                if prior.only:
                    say(f"{outcome.name} has no part in the prior: {outcome.sentence}")
                if stop_on_first_crash:
                    return tuple(failed)
            elif outcome.state == BUSY:
                busy.append(outcome.name)
    pools = prior.known
    if prior.scans:
        if busy:
            raise _another_run(out)
        with Ledger(out, SAMPLES).claimed(PRIORS) as free:
            if not free:
                raise _another_run(out)
            pools = learn_pools(
                read_samples(out, prior.scans),
                prior.known,
                prior.recipe.settings,
                prior.options,
                out=out,
                threads=processors(),
            )
    for pool in pools:
        say(pool.summary)
    return tuple(failed)


def _another_run(out: Path) -> InputError:
    return InputError(
        f"another run takes samples for the prior in {out}, or learns it; expected one at a time. "
        "Wait until it has ended, and start this one again"
    )
