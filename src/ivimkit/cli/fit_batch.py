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
from ivimkit.cli.assignment import number_list
from ivimkit.cli.closing_table import map_table, prior_lines, status_table, timing
from ivimkit.cli.exit_codes import DONE, worst
from ivimkit.cli.fit_setup import FitSetup
from ivimkit.cli.guard import command_line, exit_code_of
from ivimkit.cli.output_folders import REPORT, output_folders
from ivimkit.cli.progress import progress_shown
from ivimkit.cli.scan_input import ScanInput
from ivimkit.cli.screen import Screen, say_error, stderr
from ivimkit.dwi import DWI
from ivimkit.errors import OptionError
from ivimkit.estimator import Estimator
from ivimkit.fit_method import FitMethod
from ivimkit.fitting import fit
from ivimkit.io.gradients import read_bvals
from ivimkit.result import FitResult
from ivimkit.signal_model import SignalModel

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
    labels : Path, optional
        Label map of regions with priors of their own.
    weights, adc_bvalues : str, optional
        Lists of numbers; `weights` may be a file.
    overwrite : bool
        Whether results may be replaced.
    figures : bool
        Whether to draw.
    reliable : {"fade", "hide", "all"}
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
    labels: Path | None = None
    weights: str | None = None
    adc_bvalues: str | None = None
    overwrite: bool = False
    figures: bool = True
    reliable: str = "fade"
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
        model = self.setup.signal_model()
        method = self.setup.fit_method(model)
        estimator = self.setup.estimator(model, method)
        sigma = self.setup.noise()
        codes = []
        with self.screen.warnings_shown():
            for scan, folder in zip(inputs, folders, strict=True):
                if len(inputs) > 1:
                    self.screen.show(Text(f"\n{scan}", style="bold"))
                job = _Job(self, scan, folder, model, method, estimator, sigma)
                codes.append(exit_code_of(job.run, self.ctx))
        failed = [str(scan) for scan, code in zip(inputs, codes, strict=True) if code != DONE]
        if failed and len(inputs) > 1:
            say_error(f"failed: {len(failed)} of {len(inputs)} scans: {', '.join(failed)}")
        return worst(codes)

    def _check_lists(self) -> None:
        """Raise OptionError for options that cannot be read, once and not per scan."""
        self.scan.check()
        self.extra_weights()
        self.adc_bvals()
        if self.labels is not None and self.scan.mask is None:
            raise OptionError(
                "--labels is given without --mask; expected a mask of the voxels to fit, or else "
                "air would be a region of its own"
            )

    def extra_weights(self) -> list[float] | None:
        """Return the weights, from the command line or a file."""
        if self.weights is None:
            return None
        try:
            return number_list(self.weights, "--weights")
        except OptionError as error:
            path = Path(self.weights)
            if not path.exists():
                raise OptionError(f"{error}, or a file of numbers") from None
            return [float(weight) for weight in read_bvals(path)]

    def adc_bvals(self) -> list[float] | None:
        """Return the b-values of the ADC; None for all."""
        return None if self.adc_bvalues is None else number_list(self.adc_bvalues, "--adc-bvalues")


@dataclass(frozen=True)
class _Job:
    """One scan of a batch."""

    batch: FitBatch
    scan: Path | Sequence[Path]
    folder: Path
    model: SignalModel
    method: FitMethod
    estimator: Estimator | None = None
    sigma: Any = None

    @property
    def name(self) -> str:
        """How messages call the scan."""
        return str(self.scan if isinstance(self.scan, Path) else self.scan[0])

    def run(self) -> None:
        """Load, fit, save, draw, summarise."""
        batch, clock = self.batch, time.perf_counter()
        io.check_output(self.folder, overwrite=batch.overwrite)
        dwi = batch.scan.load(self.scan)
        batch.setup.check_maps(dwi)
        self._describe(dwi, time.perf_counter() - clock)
        result = self._fit(dwi)
        # The scan is most of the memory, and only figures need it from here on.
        shown = dwi if batch.figures else None
        del dwi
        clock = time.perf_counter()
        io.save(result, self.folder, overwrite=batch.overwrite)
        # A page on the fit that was there would be taken for one on this.
        (self.folder / REPORT).unlink(missing_ok=True)
        batch.screen.note(f"saved in {time.perf_counter() - clock:.2f} s")
        figures = self._draw(result, shown)
        self._summarise(result, figures)

    def _fit(self, dwi: DWI) -> FitResult:
        batch = self.batch
        labels = None if batch.labels is None else io.load_labels(batch.labels, dwi)
        console = stderr()
        with progress_shown(
            console, self.name, dwi.n_voxels, quiet=batch.screen.quiet
        ) as progress:
            result = fit(
                dwi,
                model=self.model,
                method=self.method,
                labels=labels,
                sigma=self.sigma,
                uncertainty=self.estimator,
                weights=batch.extra_weights(),
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

    def _draw(self, result: FitResult, dwi: DWI | None) -> Path | None:
        # Only here: matplotlib takes half a second to import.
        from ivimkit.cli.figure_files import (
            FIGURES,
            draw_result,
            figures_of_a_fit,
            remove_figures,
            write_figures,
        )

        folder, clock = self.folder / FIGURES, time.perf_counter()
        if dwi is None:
            remove_figures(folder)
            return None
        figures = draw_result(result, dwi, self.batch.setup.preset(), reliable=self.batch.reliable)
        outdated = [name for name in figures_of_a_fit(folder) if name not in figures]
        write_figures(folder, figures, outdated=outdated)
        self.batch.screen.note(f"drawn in {time.perf_counter() - clock:.2f} s")
        return folder

    def _describe(self, dwi: DWI, seconds: float) -> None:
        note = self.batch.screen.note
        shape = " x ".join(map(str, dwi.shape))
        note(f"loaded in {seconds:.2f} s: {shape} voxels, {dwi.n_voxels} of them to fit")
        pairs = zip(dwi.fit_bvals, dwi.fit_counts, strict=True)
        note("b (volumes): " + ", ".join(f"{b:g} ({count:g})" for b, count in pairs))
        note(f"model {self.model.name}: {self.model.equation}")
        for p in self.model.parameters:
            note(f"  {p.name}: {p.lower:g} to {p.upper:g} {p.unit}, start {p.start:g}")
        options = ", ".join(f"{name}={value}" for name, value in self.method.options().items())
        note(f"method {self.method.name}: {options or 'no options'}")
        if self.estimator is not None:
            note(f"uncertainty by {self.estimator.name}: {self.estimator.title}")

    def _summarise(self, result: FitResult, figures: Path | None) -> None:
        if self.batch.screen.quiet:
            return
        self.batch.screen.show(
            Text(f"{self.model.title} by {self.method.title}", style="bold"),
            map_table(result),
            "",
            status_table(result),
            "",
            *prior_lines(result),
            timing(result),
            f"maps in {self.folder}" + (f", figures in {figures}" if figures else ""),
        )
