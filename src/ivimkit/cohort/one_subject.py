"""fit_subject: fit one scan and keep account of it in the ledger. This is all that a worker does.

When it returns, results are on the disk and in the ledger: a worker that is killed later takes
nothing with it.
"""

from __future__ import annotations

import errno
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
from msgspec.structs import replace

from ivimkit.cohort.fitted_subject import FittedSubject, fit_scan
from ivimkit.cohort.ledger import DONE, FAILED, RUNNING, UNSUITABLE, Entry, InputFile, Ledger
from ivimkit.cohort.scan_samples import write_sample
from ivimkit.cohort.shared_prior import taken_prior
from ivimkit.cohort.subject_scan import SubjectScan, UnsuitableScanError
from ivimkit.cohort.task import BUSY, Outcome, Task
from ivimkit.errors import InputError, IvimkitWarning
from ivimkit.machine import peak_memory_mb
from ivimkit.portable_bits import cpu_target

__all__ = ["fit_subject", "warm_up"]

_MAX_WARM_UP_VOXELS = 8
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def fit_subject(task: Task) -> Outcome:
    """Fit a scan, or take its sample, unless that is done, and keep account of it.

    Parameters
    ----------
    task : Task
        What to do.

    Returns
    -------
    Outcome
        That of a scan that cannot be fitted is one, too.

    Raises
    ------
    InputError
        If nothing can be written, or the process would compute other bits than the recipe asks
        for, which concerns all scans.
    """
    task.recipe.check_process()
    ledger, name = task.ledger, task.subject.name
    with ledger.claimed(name) as free:
        if not free:
            return Outcome(name, BUSY, "another process is fitting it")
        if task.is_done:
            return Outcome(name, DONE)
        return _fit_claimed(task, ledger)


def warm_up(task: Task) -> None:
    """Compile what the fits need, with a few voxels of a scan, so that not each worker has to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dwi = task.recipe.load(task.subject)
            few = np.zeros(dwi.shape, dtype=bool)
            few.reshape(-1)[np.flatnonzero(dwi.mask)[:_MAX_WARM_UP_VOXELS]] = True
            own = dwi.with_mask(few)
            scan = SubjectScan(own, task.recipe.settings_of(task.subject, own))
            fit_scan(task, scan, taken_prior(task, scan))
        except (InputError, OSError):
            # Whatever is wrong with the scan is told when it is fitted.
            return


def _fit_claimed(task: Task, ledger: Ledger) -> Outcome:
    start, known = time.perf_counter(), ledger.read(task.subject.name)
    entry = Entry(
        name=task.subject.name,
        state=RUNNING,
        options=task.options,
        cpu=cpu_target(),
        files=() if known is None else known.files,
    )
    # From here on, files of these names are ours, however this ends.
    ledger.write(entry)
    with _recorded() as told:
        entry = _fitted_entry(task, entry, is_ours=known is not None)
    entry = replace(
        entry,
        seconds=time.perf_counter() - start,
        peak_mb=peak_memory_mb(),
        warnings=tuple(dict.fromkeys(told)),
    )
    ledger.write(entry)
    return Outcome(entry.name, entry.state, entry.sentence, entry.seconds, len(entry.warnings))


def _fitted_entry(task: Task, entry: Entry, *, is_ours: bool) -> Entry:
    """Fit and write a scan, or its sample; return the entry of how that ended."""
    try:
        with ExitStack() as stack:
            inputs = tuple(InputFile.of(path) for path in task.subject.inputs)
            if task.samples:
                facts = write_sample(task, SubjectScan.of(task.subject, task.recipe))
                return replace(entry, state=DONE, inputs=inputs, **facts)
            made = FittedSubject.of(task, stack)
            files = made.write(overwrite=is_ours or task.overwrite, outdated=entry.files)
        return replace(entry, state=DONE, inputs=inputs, files=tuple(files), **made.facts())
    except UnsuitableScanError as reason:
        return replace(entry, state=UNSUITABLE, sentence=str(reason))
    except MemoryError:
        return replace(
            entry,
            state=FAILED,
            sentence="there was not enough memory; expected enough for the scan and its maps. Run "
            "fewer scans at a time (--n-procs), or use a mask",
        )
    except (InputError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno in _OF_THE_DISK:
            raise
        return replace(entry, state=FAILED, sentence=str(error))


@contextmanager
def _recorded() -> Iterator[list[str]]:
    """Collect the warnings of a block as sentences; they are kept in the ledger."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", IvimkitWarning)
        yield told
        told += [str(one.message) for one in caught]
