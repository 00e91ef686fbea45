"""FitBatch: fit scans one after the other; the work behind ``ivimkit fit``."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from ivimkit import io
from ivimkit.cli.error_guard import command_line, exit_code_of
from ivimkit.cli.options.assignments import number_list
from ivimkit.cli.options.files_per_scan import files_for
from ivimkit.cli.options.fit_setup import FitSetup, model_of
from ivimkit.cli.options.output_folders import check_writable, output_folders
from ivimkit.cli.options.scan_input import ScanInput, weight_list
from ivimkit.cli.process.exit_codes import DONE, worst
from ivimkit.cli.screen.fit_tables import map_table, prior_lines, status_table, timing
from ivimkit.cli.screen.progress import progress_shown
from ivimkit.cli.screen.terminal import Screen, say_error, stderr
from ivimkit.errors import InputError, OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.fit import fit
from ivimkit.fitting.result import FitResult
from ivimkit.io.result_files import FIGURES, save_with
from ivimkit.scan.dwi import DWI

__all__ = ["FitBatch"]


@dataclass(frozen=True)
class FitBatch:
    """Everything that is the same for all scans of a call.

    Parameters
    ----------
    ctx : typer.Context
        Of the command.
    screen : Screen
        Where to print.
    scan : ScanInput
        How to read the scans.
    setup : FitSetup
        What to fit and how.
    labels : str, optional
        Label map of regions with priors of their own: a file.
    weights, adc_bvalues : str, optional
        Lists of numbers; `weights` may be a file.
    overwrite : bool
        Whether results may be replaced.
    figures : bool
        Whether to draw.
    unreliable : {"fade", "hide", "show"}
        How figures show voxels that are not reliable.
    threads : int, optional
        Number of threads.
    device : str
        Where to compute.
    precision : str
        What to compute in.
    """

    ctx: typer.Context
    screen: Screen
    scan: ScanInput
    setup: FitSetup
    labels: str | None = None
    weights: str | None = None
    adc_bvalues: str | None = None
    overwrite: bool = False
    figures: bool = True
    unreliable: str = "fade"
    threads: int | None = None
    device: str = "auto"
    precision: str = "float64"

    def run(self, scans: Sequence[Path], *, out: Path | None, stack: bool) -> int:
        """Fit all scans; one that fails does not stop the others.

        Parameters
        ----------
        scans : sequence of Path
            The files.
        out : Path, optional
            Where to write.
        stack : bool
            Whether the files are the volumes of one scan.

        Returns
        -------
        int
            The exit code: the gravest of all scans.
        """
        self._check_lists()
        inputs: list[Path | Sequence[Path]] = [list(scans)] if stack else list(scans)
        folders = output_folders(scans[:1] if stack else scans, out)
        named = [scans[0]] if stack else list(scans)
        setups = self.setup.each(named, self.screen)
        inside = self.scan.each(named, self.screen)
        labels = self._labels_for(named)
        model = setups[0].signal_model()
        method = setups[0].fit_method(model)
        estimator = setups[0].estimator(model, method)
        setups[0].noise()
        for folder in folders:
            check_writable(folder)
            if self.figures:
                check_writable(folder / FIGURES)
            io.check_output(
                folder, model=model, overwrite=self.overwrite, with_mask=self.scan.finds_mask
            )
        codes = []
        with self.screen.warnings_shown():
            for k, (scan, folder) in enumerate(zip(inputs, folders, strict=True)):
                if len(inputs) > 1:
                    self.screen.show(Text(f"\n{scan}", style="bold"))
                job = _Job(self, scan, folder, inside[k], setups[k], labels[k], method, estimator)
                codes.append(exit_code_of(job.run, self.ctx))
        failed = [str(scan) for scan, code in zip(inputs, codes, strict=True) if code != DONE]
        if failed and len(inputs) > 1:
            say_error(f"failed: {len(failed)} of {len(inputs)} scans: {', '.join(failed)}")
        return worst(codes)

    def _check_lists(self) -> None:
        """Raise OptionError for options that cannot be read, once and not per scan."""
        self.scan.check()
        weight_list(self.weights)
        self.adc_bvals()
        if self.labels is not None and self.scan.mask is None:
            raise OptionError(
                "--labels is given without --mask; expected a mask of the voxels to fit, or else "
                "air would be a region of its own"
            )

    def _labels_for(self, scans: Sequence[Path]) -> list[Path | None]:
        """Return the labels of each scan, which are there."""
        if self.labels is None:
            return [None] * len(scans)
        return [*files_for(self.labels, "--labels", scans, self.screen)]

    def adc_bvals(self) -> list[float] | None:
        """Return the b-values of the ADC, s/mm^2; None for all."""
        if self.adc_bvalues is None:
            return None
        given = number_list(self.adc_bvalues, "--adc-bvalues")
        return [self.scan.in_s_mm2(b) for b in given]


@dataclass(frozen=True)
class _Job:
    """One scan of a batch."""

    batch: FitBatch
    scan: Path | Sequence[Path]
    folder: Path
    reading: ScanInput
    setup: FitSetup
    labels: Path | None
    method: FitMethod
    estimator: Estimator | None = None

    @property
    def name(self) -> str:
        """How messages call the scan."""
        return str(self.scan if isinstance(self.scan, Path) else self.scan[0])

    def run(self) -> None:
        """Load, fit, save, draw, summarise."""
        batch, clock = self.batch, time.perf_counter()
        finds_mask = self.reading.finds_mask
        io.check_output(
            self.folder,
            model=model_of(self.setup.model),
            overwrite=batch.overwrite,
            with_mask=finds_mask,
        )
        dwi = self.reading.load(self.scan)
        model, sigma = self.setup.signal_model(dwi), self.setup.noise(dwi)
        self._describe(dwi, model, time.perf_counter() - clock)
        result = self._fit(dwi, model, sigma)
        # The scan is most of the memory, and only figures need it from here on.
        shown = dwi if batch.figures else None
        del dwi
        clock = time.perf_counter()
        figures = self._save(result, shown)
        batch.screen.note(f"saved in {time.perf_counter() - clock:.2f} s")
        self._summarise(result, figures)

    def _fit(self, dwi: DWI, model: SignalModel, sigma: Any) -> FitResult:
        batch = self.batch
        labels = None if self.labels is None else io.load_labels(self.labels, dwi)
        console = stderr()
        with progress_shown(
            console, self.name, dwi.n_voxels, quiet=batch.screen.quiet
        ) as progress:
            result = fit(
                dwi,
                model=model,
                method=self.method,
                labels=labels,
                sigma=sigma,
                uncertainty=self.estimator,
                weights=weight_list(batch.weights),
                adc_bvals=batch.adc_bvals(),
                threads=batch.threads,
                device=batch.device,
                precision=batch.precision,
                progress=progress,
            )
        options = {
            **result.provenance.options,
            "organ": batch.setup.organ,
            "scan": {**batch.scan.to_dict(), "stack": not isinstance(self.scan, Path)},
        }
        provenance = dataclasses.replace(
            result.provenance, call=command_line(batch.ctx), options=options
        )
        return dataclasses.replace(result, provenance=provenance)

    def _save(self, result: FitResult, dwi: DWI | None) -> Path | None:
        """Save the result and its figures at once; return the folder of these, if there is one."""
        overwrite = self.batch.overwrite
        if dwi is None:
            save_with(result, self.folder, overwrite=overwrite)
            return None
        # Only here: matplotlib takes half a second to import.
        from ivimkit.cli.jobs.plot_files import FIGURES, draw_result, figures_to_save

        try:
            figures = figures_to_save(
                draw_result(
                    result, dwi, self.batch.setup.preset(), unreliable=self.batch.unreliable
                )
            )
            save_with(result, self.folder, figures, overwrite=overwrite)
        except InputError:
            raise
        except Exception:
            # A picture that cannot be drawn must not cost the fit.
            save_with(result, self.folder, overwrite=overwrite)
            raise
        return self.folder / FIGURES

    def _describe(self, dwi: DWI, model: SignalModel, seconds: float) -> None:
        note = self.batch.screen.note
        shape = " x ".join(map(str, dwi.shape))
        note(f"loaded in {seconds:.2f} s: {shape} voxels, {dwi.n_voxels} of them to fit")
        if dwi.mask_origin:
            note(f"mask: {dwi.mask_origin}")
        pairs = zip(dwi.fit_names, dwi.fit_counts, strict=True)
        note("b (volumes): " + ", ".join(f"{name} ({count:g})" for name, count in pairs))
        note(f"model {model.name}: {model.equation}")
        for p in model.parameters:
            note(f"  {p.name}: {p.lower:g} to {p.upper:g} {p.unit}, start {p.start:g}")
        options = ", ".join(f"{name}={value}" for name, value in self.method.options().items())
        note(f"method {self.method.name}: {options or 'no options'}")
        if self.estimator is not None:
            note(f"uncertainty by {self.estimator.name}: {self.estimator.title}")

    def _summarise(self, result: FitResult, figures: Path | None) -> None:
        if self.batch.screen.quiet:
            return
        self.batch.screen.show(
            Text(f"{result.model.title} by {self.method.title}", style="bold"),
            map_table(result),
            "",
            status_table(result),
            "",
            *prior_lines(result),
            timing(result),
            f"maps in {self.folder}" + (f", figures in {figures}" if figures else ""),
        )
