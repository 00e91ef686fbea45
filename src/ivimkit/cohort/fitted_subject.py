"""FittedSubject: one scan from its files to its maps."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ivimkit.cohort.derivative_files import Derivatives, write_derivatives
from ivimkit.cohort.derivative_names import report_name
from ivimkit.cohort.derivative_sidecars import sources_of
from ivimkit.cohort.ledger import InputFile
from ivimkit.cohort.region_table import region_rows
from ivimkit.cohort.shared_prior import TakenPrior, taken_prior
from ivimkit.cohort.subject_scan import SubjectScan
from ivimkit.cohort.task import Task
from ivimkit.errors import SharedPriorWarning
from ivimkit.fitting.fit import fit_with
from ivimkit.fitting.result import FitResult
from ivimkit.io.preprocessed_files import staged
from ivimkit.io.result_files import result_folder
from ivimkit.scan.labels import Labels
from ivimkit.status import FitStatus
from ivimkit.writing import Files

__all__ = ["FittedSubject", "fit_scan"]


@dataclass(frozen=True, eq=False)
class FittedSubject:
    """A scan after its fit.

    Parameters
    ----------
    task : Task
        What was done.
    result : FitResult
        The fit.
    labels : Labels, optional
        The regions of the scan.
    taken : TakenPrior
        What the cohort knew of its prior.
    """

    task: Task
    result: FitResult
    labels: Labels | None
    taken: TakenPrior

    @classmethod
    def of(cls, task: Task, stack: ExitStack) -> FittedSubject:
        """Load, preprocess, fit; keep an ordinary result, if asked for.

        Parameters
        ----------
        task : Task
            What to do.
        stack : ExitStack
            Ends what the result needs until it is written.

        Raises
        ------
        UnsuitableScanError
            If the scan has too few b-values for the model.
        InputError
            If the scan cannot be used.
        """
        recipe, subject = task.recipe, task.subject
        scan = SubjectScan.of(subject, recipe)
        kept: list[Files] = []
        home = None if task.work is None else task.work / subject.name
        if home is not None and recipe.steps is not None:
            ready = stack.enter_context(staged(scan.dwi, home))
            scan, kept = replace(scan, dwi=ready.dwi), [ready.files]
        taken = taken_prior(task, scan)
        if taken.sentence:
            warnings.warn(taken.sentence, SharedPriorWarning, stacklevel=2)
        made = cls(task, fit_scan(task, scan, taken), scan.labels, taken)
        if home is not None:
            result_folder(made.result).save(home, *kept, overwrite=True)
        return made

    def write(self, *, overwrite: bool, outdated: tuple[str, ...] = ()) -> list[str]:
        """Write maps, sidecars, table, figures and report; return their names.

        Parameters
        ----------
        overwrite : bool
            Whether files of these names may be replaced.
        outdated : tuple of str
            Files of an earlier result, which are removed.
        """
        task = self.task
        names = write_derivatives(
            task.out,
            Derivatives(
                task.subject,
                self.result,
                region_rows(task.subject, self.result, self.labels),
                [*sources_of(task.subject, task.datasets), *self.taken.sources],
                self._report,
                keeps_priors=not self.taken.files,
            ),
            threads=task.threads,
            overwrite=overwrite,
            outdated=outdated,
        )
        if self._report is not None:
            page = report_name(task.subject)
            self._report.write(task.out / page, overwrite=overwrite)
            names.append(page)
        return names

    def facts(self) -> dict[str, Any]:
        """Return what the ledger keeps of the fit."""
        result = self.result
        status = result.status[result.mask]
        fine = np.count_nonzero(status == FitStatus.OK)
        b_values = " ".join(f"{b:g}" for b in result.acquisition.shell_bvals)
        size = " x ".join(f"{mm:.3g}" for mm in result.geometry.voxel_size)
        return {
            "protocol": f"b = {b_values} s/mm²; {size} mm",
            "n_voxels": int(status.size),
            "share_ok": float(fine / status.size) if status.size else 0.0,
            "priors": tuple(map(InputFile.of, self.taken.files)),
        }

    @cached_property
    def _report(self) -> Any:
        """The page, whose pictures are also the figures; None if it is not asked for."""
        if not self.task.recipe.report:
            return None
        # Imported here: it loads matplotlib.
        from ivimkit.report import build

        return build(self.result, labels=self.labels, title=self.task.subject.name)


def fit_scan(task: Task, scan: SubjectScan, taken: TakenPrior) -> FitResult:
    """Fit a scan with what the cohort knows of its prior.

    Parameters
    ----------
    task : Task
        What to do.
    scan : SubjectScan
        The scan.
    taken : TakenPrior
        Priors that were learned from the cohort.
    """
    recipe, settings, dwi = task.recipe, scan.settings, scan.dwi
    sigma, labels = recipe.noise(task.subject, dwi), scan.learning_labels()
    result = fit_with(
        dwi,
        replace(settings, method=taken.in_method(settings.method)).for_scan(
            dwi, sigma=sigma, labels=labels is not None
        ),
        sigma=sigma,
        labels=labels,
        priors=taken.priors if labels is not None else None,
        threads=task.threads,
    )
    return result if recipe.model_file is None else recipe.model_file.named_in(result)
