"""FittedSubject: one scan from its files to its maps."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ivimkit import io
from ivimkit.cohort.derivative_files import Derivatives, write_derivatives
from ivimkit.cohort.derivative_names import report_name
from ivimkit.cohort.derivative_sidecars import sources_of
from ivimkit.cohort.region_table import region_rows
from ivimkit.cohort.task import Task
from ivimkit.errors import AcquisitionError
from ivimkit.fitting.fit import fit_with
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.settings import FitSettings
from ivimkit.io.preprocessed_files import staged
from ivimkit.io.result_files import result_folder
from ivimkit.preprocessing.preprocess import preprocess
from ivimkit.scan.dwi import DWI
from ivimkit.scan.labels import Labels
from ivimkit.status import FitStatus
from ivimkit.writing import Files

__all__ = ["FittedSubject", "UnsuitableScanError"]


class UnsuitableScanError(Exception):
    """Why a scan was not made for the model; which is not an error."""


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
    """

    task: Task
    result: FitResult
    labels: Labels | None

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
        dwi = recipe.load(subject)
        if recipe.steps is not None:
            dwi = preprocess(dwi, recipe.steps).dwi
        settings = recipe.settings_of(subject, dwi)
        model, method = settings.model, settings.method
        try:
            method.check(model, dwi.for_variables(model.variables).fit_acquisition)
        except AcquisitionError as error:
            raise UnsuitableScanError(str(error)) from None
        kept: list[Files] = []
        home = None if task.work is None else task.work / subject.name
        if home is not None and recipe.steps is not None:
            ready = stack.enter_context(staged(dwi, home))
            dwi, kept = ready.dwi, [ready.files]
        labels = None if subject.labels is None else io.load_labels(subject.labels, dwi)
        result = _fitted(task, settings, dwi, labels)
        if recipe.model_file is not None:
            result = recipe.model_file.named_in(result)
        made = cls(task, result, labels)
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
                sources_of(task.subject, task.datasets),
                self._report,
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
        }

    @cached_property
    def _report(self) -> Any:
        """The page, whose pictures are also the figures; None if it is not asked for."""
        if not self.task.recipe.report:
            return None
        # Imported here: it loads matplotlib.
        from ivimkit.report import build

        return build(self.result, labels=self.labels, title=self.task.subject.name)


def _fitted(task: Task, settings: FitSettings, dwi: DWI, labels: Labels | None) -> FitResult:
    sigma = task.recipe.noise(task.subject, dwi)
    # Regions learn separate priors only within a mask: air would be one more region.
    learns = settings.method.learns and labels is not None and not bool(np.all(dwi.mask))
    return fit_with(
        dwi,
        settings.for_scan(dwi, sigma=sigma, labels=learns),
        sigma=sigma,
        labels=labels if learns else None,
        threads=task.threads,
    )
