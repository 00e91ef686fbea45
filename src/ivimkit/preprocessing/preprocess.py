"""preprocess: apply steps to a scan before the fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ivimkit import steps as available
from ivimkit.errors import InputError, StepWarning
from ivimkit.extend.preprocessing_step import Decision, Outcome, Progress, Step, Workpiece
from ivimkit.fitting.quick_fit import check_fitted, quick_fit, residual_percent, tissue_of
from ivimkit.preprocessing.step_list import StepsGiven, check_order, steps_of
from ivimkit.scan.dwi import DWI
from ivimkit.scan.history import RESIDUALS, StepRecord
from ivimkit.steps._empty_volumes import has_signal

__all__ = ["Preprocessed", "StepProgress", "preprocess"]

_KEEP_VALUES = ("mask", "average")
"""Stages after which the values of a volume are those from before, so residuals tell nothing."""

StepProgress = Callable[[Step, float], None]
"""Called with the step that is being applied, and the share of it that is done."""


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """The result of `ivimkit.preprocess`.

    Parameters
    ----------
    dwi : DWI
        The scan after the steps; `DWI.history` tells what was done.
    records : tuple of StepRecord
        What each of these steps did.
    decisions : mapping of str to Decision
        For ``auto``: of each step, whether it was taken, and why.
    displacements : ndarray, shape (n_volumes, x, y, z, 3), optional
        After step ``follow``: where each voxel was read in the volumes as acquired, relative to
        its position, mm. The movements of step ``align`` are matrices in its record.
    """

    dwi: DWI
    records: tuple[StepRecord, ...]
    decisions: Mapping[str, Decision]
    displacements: NDArray[np.float32] | None = None


def preprocess(
    dwi: DWI, steps: StepsGiven = "auto", *, progress: StepProgress | Literal[False] | None = None
) -> Preprocessed:
    """Apply steps to a scan before the fit: alignment, outliers, drift, masks.

    The order is fixed: denoise, gibbs, drift, align, follow, outliers, mask, average. ``"auto"``
    takes what the scan needs: drift, if images at b = 0 show it; alignment, if volumes are
    displaced by more than it can be measured; outliers. Denoising and movements that are not rigid
    change the numbers of tissue, and are done only when asked for.

    Parameters
    ----------
    dwi : DWI
        The scan. `ivimkit.preprocess` also takes files, see `ivimkit.fit`.
    steps : str, Step or sequence of these
        ``"auto"``, or the steps in their order: names with commas, each with options or without,
        like ``"align:transform=affine,outliers"``, or objects from `ivimkit.steps`.
    progress : callable or False, optional
        Called with the step and the share of it that is done, from 0 to 1. By default a notebook
        shows the progress if it takes more than 2 s; False shows nothing.

    Returns
    -------
    Preprocessed
        The scan, with values that are missing or do not belong at weight 0, and what was done.

    Raises
    ------
    OptionError
        For an unknown step or option, or a wrong order.
    InputError
        If a step is not suitable for the scan, or needs a library that is not installed.

    Warns
    -----
    StepWarning
        If ``"auto"`` cannot consider a step, as a library is not installed.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.preprocess(ik.simulate.phantom(shape=(48, 36, 2)).dwi, "mask:kind=body")
    >>> [record.name for record in made.records], made.dwi.history.noise
    (['mask'], 'raw')
    """
    asked = steps_of(steps)
    candidates = asked or tuple(available.get(name) for name in available.names())
    # All that can be wrong, before any long work.
    _check_signal(dwi)
    if asked is not None:
        check_order(asked, dwi.history)
        for step in asked:
            step.require_libraries()
            step.check(dwi)
    work = Workpiece(_with_sources(dwi))
    decisions: dict[str, Decision] = {}
    records: list[StepRecord] = []
    applied: list[Step] = []
    for step in candidates:
        estimate = None
        if asked is None:
            decision = decisions[step.name] = _decision(step, work.dwi)
            if not decision.taken:
                continue
            estimate = decision.estimate
        outcome = step.apply(replace(work, estimate=estimate), _shown(step, progress or None))
        record = _record(step, outcome)
        records.append(record)
        applied.append(step)
        made = outcome.work.dwi
        work = outcome.work.with_dwi(made.with_history(work.dwi.history.followed_by(record)))
    unjudged = _not_judged(dwi, decisions, records)
    if not records:
        history = replace(dwi.history, not_judged=unjudged)
        return Preprocessed(dwi.with_history(history) if unjudged else dwi, (), decisions)
    told = tuple(records)
    if not all(step.stage in _KEEP_VALUES for step in applied):
        told = _with_residuals(told, dwi, work.dwi)
    earlier = work.dwi.history.steps[: -len(told)]
    history = replace(work.dwi.history, steps=(*earlier, *told), not_judged=unjudged)
    return Preprocessed(work.dwi.with_history(history), told, decisions, work.displacements)


def _not_judged(
    dwi: DWI, decisions: Mapping[str, Decision], records: Sequence[StepRecord]
) -> dict[str, str]:
    """Return the steps that auto could not consider, now or before, and that were not applied."""
    now = {name: one.reason for name, one in decisions.items() if not one.is_judged}
    done = [record.name for record in records]
    return {
        name: why for name, why in {**dwi.history.not_judged, **now}.items() if name not in done
    }


def _check_signal(dwi: DWI) -> None:
    """Raise InputError for a scan of zeros or missing values, of which no step learns anything."""
    # Volume by volume: the first one usually suffices.
    if not any(has_signal(dwi, volume) for volume in range(dwi.acquisition.n_volumes)):
        raise InputError(
            "the scan has no signal: all values are 0, negative or missing; expected images. Look "
            "at the file"
        )


def _with_residuals(
    records: tuple[StepRecord, ...], before: DWI, after: DWI
) -> tuple[StepRecord, ...]:
    """Return the records, the last one with the residuals of a fit before and after all steps."""
    try:
        check_fitted(after)
        inside = tissue_of(after)
        fits = [quick_fit(scan.with_mask(inside)) for scan in (before, after)]
    except InputError:
        # A scan that cannot be fitted has no residuals.
        return records
    residuals = [residual_percent(one) for one in fits]
    if not np.isfinite(residuals).all():
        return records
    last = records[-1]
    numbers = {**last.numbers, RESIDUALS: dict(zip(("before", "after"), residuals, strict=True))}
    return (*records[:-1], replace(last, numbers=numbers))


def _decision(step: Step, dwi: DWI) -> Decision:
    """Return whether auto takes a step; one that the scan has had is not taken again."""
    if dwi.history.step(step.name) is not None:
        return Decision(taken=False, reason="the scan has had it already")
    if type(step).decide is not Step.decide:
        try:
            step.require_libraries()
        except InputError as error:
            warnings.warn(
                f"auto could not consider a step that the scan may need: {error}",
                StepWarning,
                stacklevel=3,
            )
            return Decision(taken=False, reason=str(error), is_judged=False)
    return step.decide(dwi)


def _with_sources(dwi: DWI) -> DWI:
    """Return a scan whose history knows the files before the first step."""
    if dwi.history:
        return dwi
    return dwi.with_history(replace(dwi.history, sources=dwi.sources))


def _shown(step: Step, progress: StepProgress | None) -> Progress:
    if progress is None:
        return lambda share: None
    return lambda share: progress(step, share)


def _record(step: Step, outcome: Outcome) -> StepRecord:
    return StepRecord(
        name=step.name,
        summary=outcome.summary,
        options=step.options(),
        versions={"ivimkit": version("ivimkit"), **step.versions()},
        numbers=outcome.numbers,
        noise=outcome.noise,
        references=step.cited(),
    )
