"""FitBatch: fit scans one after the other; the work behind ``ivimkit fit``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text

from ivimkit import io
from ivimkit.cli.answers.fit_answer import fit_answer, fitted_scan
from ivimkit.cli.answers.table_answers import FitAnswer, FittedScan
from ivimkit.cli.jobs.scan_batch import Job, OneScan, ScanBatch
from ivimkit.cli.jobs.scan_steps import ScanSteps
from ivimkit.cli.options.assignments import number_list
from ivimkit.cli.options.files_per_scan import files_for
from ivimkit.cli.options.fit_setup import FitSetup
from ivimkit.cli.options.model_file import model_of, with_model_file
from ivimkit.cli.options.scan_input import weight_list
from ivimkit.cli.options.shared_options import MachineOptions
from ivimkit.cli.screen.fit_tables import (
    chosen_lines,
    left_out_lines,
    map_table,
    prior_lines,
    status_table,
    timing,
)
from ivimkit.cli.screen.progress import progress_shown
from ivimkit.cli.screen.terminal import stderr
from ivimkit.errors import InputError, OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.fit import fit_with_also
from ivimkit.fitting.memory_budget import MemoryBudget
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.settings import FitSettings
from ivimkit.io.dicom.context import DicomContext
from ivimkit.io.preprocessed_files import PREPROCESSED, staged
from ivimkit.io.result_files import result_folder
from ivimkit.io.result_names import also_folder
from ivimkit.machine import PROCESS_MB
from ivimkit.scan.dwi import DWI
from ivimkit.writing import Files

__all__ = ["FitBatch"]


@dataclass(frozen=True, kw_only=True)
class FitBatch(ScanBatch):
    """Everything that is the same for all scans of a call; for further options see `ScanBatch`.

    Parameters
    ----------
    setup : FitSetup
        What to fit and how.
    machine : MachineOptions
        What to compute on.
    also : str, optional
        Name of another method to fit by.
    steps : ScanSteps, optional
        What to do to each scan before the fit.
    unreliable : {"fade", "hide", "show"}
        How figures show voxels that are not reliable.
    map_format : {"nifti", "zarr"}
        How maps are stored, see `ivimkit.save`.
    anonymous : bool
        Whether results of DICOM keep nothing of the patient.
    is_kept : bool
        Whether the maps stay where they are; otherwise the summary does not name the place.
    mem_mb : float, optional
        Memory of the process, 10⁶ bytes; by default half of what is free.
    scratch : Path, optional
        Folder for maps that do not fit into it.
    """

    ending: ClassVar[str] = "ivim"

    setup: FitSetup
    machine: MachineOptions
    also: str | None = None
    steps: ScanSteps | None = None
    unreliable: str = "fade"
    map_format: str = "nifti"
    anonymous: bool = False
    is_kept: bool = True
    mem_mb: float | None = None
    scratch: Path | None = None

    def check_lists(self) -> None:
        """Raise OptionError for options that cannot be read, once and not per scan."""
        self.adc_bvals()
        self.budget()
        if self.steps is not None:
            self.steps.check()
        if self.setup.labels is not None and self.scan.mask is None:
            raise OptionError(
                "--labels is given without --mask; expected a mask of the voxels to fit, or else "
                "air would be a separate region"
            )

    def check_output(self, folder: Path) -> None:
        """Refuse a folder that contains a result, unless overwriting was asked for."""
        io.check_output(
            folder,
            model=model_of(self.setup.model),
            overwrite=self.overwrite,
            with_mask=self.scan.finds_mask,
            format=self.map_format,
        )
        if self.also is not None:
            io.check_output(
                also_folder(folder, self.also),
                model=model_of(self.setup.model),
                overwrite=self.overwrite,
                format=self.map_format,
            )
        if self.steps is not None:
            io.check_preprocessed(folder / PREPROCESSED, overwrite=self.overwrite)

    def jobs(self, scans: Sequence[Path]) -> Sequence[Job]:
        """Check model, method and files of every scan; return the work for each."""
        setups = self.setup.each(scans, self.screen)
        labels: Sequence[Path | None] = [None] * len(scans)
        if self.setup.labels is not None:
            labels = files_for(self.setup.labels, "--labels", scans, self.screen)
        model = setups[0].signal_model()
        method = setups[0].fit_method(model)
        estimator = setups[0].estimator(model, method)
        other = setups[0].other_method(self.also, model)
        setups[0].noise_level()
        return [
            _Job(self, setup, one, method, estimator, other)
            for setup, one in zip(setups, labels, strict=True)
        ]

    def document(self) -> FitAnswer:
        """Return what --json prints."""
        return fit_answer(self.answers)

    def failure(self, scan: str, error: str) -> FittedScan:
        """Return what --json says of a scan that failed."""
        return FittedScan(scan=scan, error=error)

    def budget(self) -> MemoryBudget:
        """Return what a fit may take: what is left for it of the memory of the process."""
        if self.mem_mb is None:
            return MemoryBudget.of(None, self.scratch)
        if self.mem_mb <= PROCESS_MB:
            raise OptionError(
                f"--mem-mb is {self.mem_mb:g}; expected more than {PROCESS_MB:g}, which the "
                "program itself needs"
            )
        return MemoryBudget.of(self.mem_mb - PROCESS_MB, self.scratch)

    def adc_bvals(self) -> list[float] | None:
        """Return the b-values of the ADC, s/mm^2; None for all."""
        if self.setup.adc_bvalues is None:
            return None
        given = number_list(self.setup.adc_bvalues, "--adc-bvalues")
        return [self.scan.in_s_mm2(b) for b in given]


@dataclass(frozen=True)
class _Job:
    """The work on one scan of a batch."""

    batch: FitBatch
    setup: FitSetup
    labels: Path | None
    method: FitMethod
    estimator: Estimator | None
    other: FitMethod | None

    def __call__(self, scan: OneScan) -> None:
        """Load, fit, save, draw, summarise."""
        clock, steps = time.perf_counter(), self.batch.steps
        if steps is not None:
            io.check_preprocessed(
                scan.folder / PREPROCESSED, overwrite=self.batch.overwrite, acquired=scan.paths
            )
        dwi = scan.load()
        loaded = time.perf_counter() - clock
        if steps is None:
            self._work(scan, dwi, loaded)
            return
        made = steps.apply(scan.reading.weighted(dwi), scan.name, self.batch.screen)
        with staged(made.dwi, scan.folder) as ready:
            self._work(scan.as_preprocessed(), ready.dwi, loaded, ready.files)

    def _work(self, scan: OneScan, dwi: DWI, loaded: float, *further: Files) -> None:
        batch = self.batch
        model, sigma = self.setup.signal_model(dwi), self.setup.noise_level(dwi)
        self._describe(dwi, model, loaded)
        if line := self.setup.noise_line(sigma):
            batch.screen.show(line)
        result = self._fit(scan, dwi, model, sigma)
        # The scan uses most of the memory, and only figures need it from here on.
        shown = dwi if batch.figures else None
        del dwi
        clock = time.perf_counter()
        figures = self._save(result, shown, scan.folder, *further)
        batch.screen.note(f"saved in {time.perf_counter() - clock:.2f} s")
        if batch.screen.json:
            batch.answers.append(fitted_scan(scan.name, result, scan.folder))
        self._summarise(result, scan.folder, figures)

    def _fit(self, scan: OneScan, dwi: DWI, model: SignalModel, sigma: Any) -> FitResult:
        batch = self.batch
        weights = weight_list(scan.reading.weights)
        dwi = scan.reading.weighted(dwi)
        labels = None if self.labels is None else io.load_labels(self.labels, dwi)
        settings = FitSettings.of(
            model,
            self.method,
            self.estimator,
            adc_bvals=batch.adc_bvals(),
            device=batch.machine.device,
            precision=batch.machine.precision.value,
            organ=batch.setup.organ,
            reading=scan.record,
            call=batch.call,
        ).for_scan(dwi, sigma=sigma, weights=weights, labels=labels is not None)
        quiet = batch.screen.quiet
        with progress_shown(stderr(), scan.name, dwi.n_voxels, quiet=quiet) as progress:
            result = fit_with_also(
                dwi,
                settings,
                None if self.other is None else settings.by_another(model, self.other),
                sigma=sigma,
                labels=labels,
                threads=batch.machine.threads,
                budget=batch.budget(),
                progress=progress,
            )
        if result.also is not None:
            result = replace(result, also=self._completed(result.also))
        return self._completed(result)

    def _completed(self, result: FitResult) -> FitResult:
        """Return a fit with what the command says about patient and model."""
        if self.batch.anonymous:
            result = _without_patient(result)
        return with_model_file(result, self.batch.setup.model)

    def _save(
        self, result: FitResult, dwi: DWI | None, folder: Path, *further: Files
    ) -> Path | None:
        """Save the result and its figures at once; return the folder of these, if there is one."""
        saved = result_folder(result, self.batch.map_format)
        overwrite = self.batch.overwrite
        if dwi is None:
            saved.save(folder, *further, overwrite=overwrite)
            return None
        # Imported here: matplotlib takes half a second.
        from ivimkit.cli.jobs.plot_files import FIGURES, draw_result, figures_to_save

        try:
            figures = figures_to_save(
                draw_result(
                    result, dwi, self.batch.setup.preset(), unreliable=self.batch.unreliable
                )
            )
            saved.save(folder, figures, *further, overwrite=overwrite)
        except InputError:
            raise
        except Exception:
            # A figure that cannot be drawn must not lose the fit.
            saved.save(folder, *further, overwrite=overwrite)
            raise
        return folder / FIGURES

    def _describe(self, dwi: DWI, model: SignalModel, seconds: float) -> None:
        note = self.batch.screen.note
        self.batch.note_scan(dwi, f"loaded in {seconds:.2f} s")
        note(f"model {model.name}: {model.equation}")
        for p in model.parameters:
            note(f"  {p.name}: {p.lower:g} to {p.upper:g} {p.unit}, start {p.start:g}")
        self.batch.note_method(self.method)
        if self.estimator is not None:
            note(f"uncertainty by {self.estimator.name}: {self.estimator.title}")

    def _summarise(self, result: FitResult, folder: Path, figures: Path | None) -> None:
        if self.batch.screen.quiet:
            return
        place = f"maps in {folder}" + (f", figures in {figures}" if figures else "")
        if result.also is not None:
            place += f", those by {result.also.method.name} in {also_folder(folder, result.also)}"
        self.batch.screen.show(
            Text(f"{result.model.title} by {self.method.title}", style="bold"),
            map_table(result),
            "",
            status_table(result),
            "",
            *prior_lines(result),
            *chosen_lines(result),
            *left_out_lines(result),
            timing(result),
            *([place] if self.batch.is_kept else []),
        )


def _without_patient(result: FitResult) -> FitResult:
    """Return a result that keeps nothing of the patient."""
    context = result.source_context
    if not isinstance(context, DicomContext):
        return result
    return replace(result, source_context=context.anonymous())
