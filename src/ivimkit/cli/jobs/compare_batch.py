"""CompareBatch: compare models scan after scan; the work behind ``ivimkit compare``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from ivimkit import io
from ivimkit import models as registry
from ivimkit.cli.error_guard import command_line, exit_code_of
from ivimkit.cli.options.assignments import words
from ivimkit.cli.options.files_per_scan import files_for
from ivimkit.cli.options.fit_setup import FitSetup
from ivimkit.cli.options.output_folders import check_writable, output_folders
from ivimkit.cli.options.scan_input import ScanInput, weight_list
from ivimkit.cli.process.exit_codes import DONE, worst
from ivimkit.cli.screen.progress import progress_shown, spaced
from ivimkit.cli.screen.terminal import Screen, plain_table, say_error, stderr
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.fitting.comparison import Comparison, compare
from ivimkit.io.comparison_files import FIGURE, TABLE, save_comparison_with
from ivimkit.io.result_files import FIGURES, check_mask_free
from ivimkit.io.result_folder import check_free
from ivimkit.io.table_files import write_csv
from ivimkit.rounding import percent, rounded
from ivimkit.scan.dwi import DWI
from ivimkit.writing import Files

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CompareBatch"]

_TITLES = {"aicc": "AICc", "bic": "BIC", "f_test": "F-test", "evidence": "evidence"}


@dataclass(frozen=True)
class CompareBatch:
    """Everything that is the same for all scans of a call.

    Parameters
    ----------
    ctx : typer.Context
        Of the command.
    screen : Screen
        Where to print.
    scan : ScanInput
        How to read the scans.
    models : str
        Names with commas.
    criterion : str
        What to compare by.
    alpha : float
        Level of the F-test.
    method : str, optional
        Name of the method; by default that of the criterion.
    options : sequence of str
        Options of the method, ``NAME=VALUE``.
    prior, organ : str, optional
        Name of the prior of method bayes, and of the organ it is for.
    sigma : str, optional
        Noise: a number or a file.
    labels : sequence of str
        Label image, or masks: files.
    weights : str, optional
        List of weights, or a file of them.
    overwrite : bool
        Whether results may be replaced.
    figures : bool
        Whether to draw.
    threads : int, optional
        Number of threads.
    """

    ctx: typer.Context
    screen: Screen
    scan: ScanInput
    models: str
    criterion: str = "aicc"
    alpha: float = 0.05
    method: str | None = None
    options: Sequence[str] = ()
    prior: str | None = None
    organ: str | None = None
    sigma: str | None = None
    labels: Sequence[str] = ()
    weights: str | None = None
    overwrite: bool = False
    figures: bool = True
    threads: int | None = None

    def run(self, scans: Sequence[Path], *, out: Path | None, stack: bool) -> int:
        """Compare the models in all scans; one that fails does not stop the others.

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
        self.scan.check()
        weight_list(self.weights)
        inputs: list[Path | Sequence[Path]] = [list(scans)] if stack else list(scans)
        folders = output_folders(scans[:1] if stack else scans, out, ending="comparison")
        names = tuple(words(self.models))
        method, setup = self._fit_method(names)
        named = [scans[0]] if stack else list(scans)
        setups, inside = setup.each(named, self.screen), self.scan.each(named, self.screen)
        labels = self._labels_for(named)
        setups[0].noise()
        for folder in folders:
            check_writable(folder)
            if self.figures:
                check_writable(folder / FIGURES)
            self.check_output(folder)
        codes = []
        with self.screen.warnings_shown():
            for k, (scan, folder) in enumerate(zip(inputs, folders, strict=True)):
                if len(inputs) > 1:
                    self.screen.show(Text(f"\n{scan}", style="bold"))
                job = _Job(self, scan, folder, inside[k], names, method, setups[k], labels[k])
                codes.append(exit_code_of(job.run, self.ctx))
        failed = [str(scan) for scan, code in zip(inputs, codes, strict=True) if code != DONE]
        if failed and len(inputs) > 1:
            say_error(f"failed: {len(failed)} of {len(inputs)} scans: {', '.join(failed)}")
        return worst(codes)

    def check_output(self, folder: Path) -> None:
        """Refuse a folder that holds a comparison, unless overwriting was asked for."""
        io.check_comparison(folder, overwrite=self.overwrite)
        check_free(folder, [TABLE], overwrite=self.overwrite)
        if self.scan.finds_mask:
            check_mask_free(folder, "comparison.json")

    def _labels_for(self, scans: Sequence[Path]) -> list[list[Path]]:
        """Return the labels of each scan, which are there."""
        found = [files_for(name, "--labels", scans, self.screen) for name in self.labels]
        return [[files[k] for files in found] for k in range(len(scans))]

    def _fit_method(self, names: Sequence[str]) -> tuple[FitMethod, FitSetup]:
        """Return the method with its options, and the setup that they are of."""
        name = self.method or ("bayes" if self.criterion == "evidence" else "varpro")
        named = any(word.partition("=")[0].strip() == "prior" for word in self.options)
        prior = self.prior
        if prior is None and name == "bayes" and not named:
            prior = "flat"
        found = [registry.get(model) for model in names]
        model = found[-1] if found else registry.get("biexp")
        setup = FitSetup(
            model=model.name,
            method=name,
            options=self.options,
            prior=prior,
            organ=self.organ,
            sigma=self.sigma,
            b_unit=self.scan.b_unit,
        )
        method = setup.fit_method(model)
        if self.organ is not None and prior != "organ" and "prior=organ" not in self.options:
            raise OptionError(
                f"--organ is {self.organ} without the prior of an organ; expected it with "
                "--criterion evidence --prior organ. Leave it out"
            )
        return method, setup


@dataclass(frozen=True)
class _Job:
    """One scan of a batch."""

    batch: CompareBatch
    scan: Path | Sequence[Path]
    folder: Path
    reading: ScanInput
    models: Sequence[str]
    method: FitMethod
    setup: FitSetup
    labels: Sequence[Path]

    @property
    def name(self) -> str:
        """How messages call the scan."""
        return str(self.scan if isinstance(self.scan, Path) else self.scan[0])

    def run(self) -> None:
        """Load, compare, summarise, save."""
        batch = self.batch
        batch.check_output(self.folder)
        dwi = self.reading.load(self.scan)
        sigma = self.setup.noise(dwi)
        labels = io.load_labels(list(self.labels), dwi) if self.labels else None
        self._describe(dwi)
        comparison = self._compare(dwi, sigma)
        # All that can fail comes before anything is written.
        table = comparison.table(labels, None if labels is None else labels.names)
        del dwi
        further = [
            Files([TABLE], lambda stage: write_csv(stage / TABLE, table)),
            *self._drawn(comparison),
        ]
        save_comparison_with(comparison, self.folder, *further, overwrite=batch.overwrite)
        figures = (self.folder / FIGURE).parent if batch.figures else None
        batch.screen.show(
            Text(
                f"{', '.join(comparison.names)} by {_TITLES[comparison.criterion]}", style="bold"
            ),
            _shown(comparison, table),
            "",
            f"maps and {TABLE} in {self.folder}" + (f", figures in {figures}" if figures else ""),
        )

    def _compare(self, dwi: DWI, sigma: Any) -> Comparison:
        batch, n_models = self.batch, len(self.models)
        name = f"{self.name}, {n_models} models" if n_models > 1 else self.name
        quiet = batch.screen.quiet
        with progress_shown(stderr(), name, dwi.n_voxels, quiet=quiet) as progress:
            comparison = compare(
                dwi,
                models=self.models,
                criterion=batch.criterion,
                method=self.method,
                alpha=batch.alpha,
                sigma=sigma,
                weights=weight_list(batch.weights),
                threads=batch.threads,
                progress=lambda done, total: progress(done // n_models, total // n_models),
            )
        scan = {**batch.scan.to_dict(), "stack": not isinstance(self.scan, Path)}
        results = {}
        for name, result in comparison.results.items():
            provenance = dataclasses.replace(
                result.provenance,
                call=command_line(batch.ctx),
                options={**result.provenance.options, "scan": scan},
            )
            results[name] = dataclasses.replace(result, provenance=provenance)
        return dataclasses.replace(comparison, results=results)

    def _drawn(self, comparison: Comparison) -> list[Files]:
        if not self.batch.figures:
            return []
        # Only here: matplotlib takes half a second to import.
        from ivimkit.cli.jobs.plot_files import figures_to_save
        from ivimkit.figures import comparison_panels

        return [figures_to_save({Path(FIGURE).name: comparison_panels(comparison)})]

    def _describe(self, dwi: DWI) -> None:
        note = self.batch.screen.note
        shape = " x ".join(map(str, dwi.shape))
        note(f"loaded: {shape} voxels, {dwi.n_voxels} of them to fit")
        pairs = zip(dwi.fit_names, dwi.fit_counts, strict=True)
        note("b (volumes): " + ", ".join(f"{name} ({count:g})" for name, count in pairs))
        options = ", ".join(f"{name}={value}" for name, value in self.method.options().items())
        note(f"method {self.method.name}: {options or 'no options'}")


_WEIGHT = 0.01
"""To three places."""


def _shown(comparison: Comparison, table: pd.DataFrame) -> Table:
    """Return the table for the screen: the models of each region below each other."""
    shown = plain_table("region", "model", "voxels", "share", "mean weight", left=2)
    for region, row in table.iterrows():
        for number, name in enumerate(comparison.names):
            share, weight, n = row[f"share_{name}"], row[f"weight_{name}"], row["n"]
            known = n > 0
            shown.add_row(
                str(region) if number == 0 else "",
                name,
                spaced(share * n) if known else "0",
                percent(share) if known else "–",
                rounded(weight, _WEIGHT) if known else "–",
            )
        if row["missing"] > 0:
            shown.add_row("", "none", spaced(row["missing"]), "", "")
    return shown
