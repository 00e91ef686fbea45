"""CompareBatch: compare models scan after scan; the work behind ``ivimkit compare``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table
from rich.text import Text

from ivimkit import io, models, quality
from ivimkit.cli.answers.json_answer import rows_of
from ivimkit.cli.answers.table_answers import CompareAnswer, ComparedScan
from ivimkit.cli.jobs.scan_batch import Job, OneScan, ScanBatch
from ivimkit.cli.options.assignments import words
from ivimkit.cli.options.compare_options import CompareOptions, Criterion
from ivimkit.cli.options.files_per_scan import files_for
from ivimkit.cli.options.fit_setup import FitSetup
from ivimkit.cli.options.model_file import is_model_file, model_of, with_model_file
from ivimkit.cli.screen.progress import progress_shown
from ivimkit.cli.screen.terminal import plain_table, stderr
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.fitting.compared_models import ALL
from ivimkit.fitting.comparison import Comparison, compare_with
from ivimkit.io.comparison_files import (
    COMPARISON_RECORD,
    FIGURE,
    REPORT,
    comparison_folder,
    table_name,
)
from ivimkit.io.map_folder import check_mask_free
from ivimkit.io.result_folder import check_free
from ivimkit.io.table_files import write_table
from ivimkit.letters import readable
from ivimkit.quality.region_models import in_tenths
from ivimkit.rounding import percent, rounded, thousands
from ivimkit.scan.dwi import DWI
from ivimkit.writing import Files

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CompareBatch"]

_TITLES = {"aicc": "AICc", "bic": "BIC", "f_test": "F-test", "evidence": "evidence"}


@dataclass(frozen=True, kw_only=True)
class CompareBatch(ScanBatch):
    """Everything that is the same for all scans of a call; for further options see `ScanBatch`.

    Parameters
    ----------
    choice : CompareOptions
        What to compare, and how.
    labels : sequence of str
        Label image, or masks: files.
    threads : int, optional
        Number of threads.
    """

    ending: ClassVar[str] = "comparison"

    choice: CompareOptions
    labels: Sequence[str] = ()
    threads: int | None = None

    def check_lists(self) -> None:
        """Raise OptionError for models and options of the method that do not exist."""
        self._fit_method(words(self.choice.models))

    def check_output(self, folder: Path) -> None:
        """Refuse a folder that contains a comparison, unless overwriting was asked for."""
        io.check_comparison(folder, overwrite=self.overwrite)
        files = [table_name(self.choice.table.value), *([REPORT] if self.choice.report else [])]
        check_free(folder, files, overwrite=self.overwrite)
        if self.scan.finds_mask:
            check_mask_free(folder, COMPARISON_RECORD)

    def jobs(self, scans: Sequence[Path]) -> Sequence[Job]:
        """Check models, method and files of every scan; return the work for each."""
        names = tuple(words(self.choice.models))
        method, setup = self._fit_method(names)
        setups = setup.each(scans, self.screen)
        labels = [files_for(name, "--labels", scans, self.screen) for name in self.labels]
        setups[0].noise_level()
        return [
            _Job(self, names, method, one, [files[k] for files in labels])
            for k, one in enumerate(setups)
        ]

    def document(self) -> CompareAnswer:
        """Return what --json prints."""
        return CompareAnswer(criterion=self.choice.criterion.value, scans=self.answers)

    def failure(self, scan: str, error: str) -> ComparedScan:
        """Return what --json says of a scan that failed."""
        return ComparedScan(scan=scan, error=error)

    def _fit_method(self, names: Sequence[str]) -> tuple[FitMethod, FitSetup]:
        """Return the method with its options, and the setup that they come from."""
        choice, given = self.choice, self.choice.option or ()
        name = choice.method or ("bayes" if choice.criterion is Criterion.evidence else "varpro")
        named = any(word.partition("=")[0].strip() == "prior" for word in given)
        prior = choice.prior
        if prior is None and name == "bayes" and not named:
            prior = "flat"
        found = [model_of(name) for name in (models.names() if _is_all(names) else names)]
        model = found[-1] if found else model_of("biexp")
        setup = FitSetup(
            model=model.name,
            method=name,
            option=choice.option,
            prior=prior,
            organ=choice.organ,
            sigma=choice.sigma,
            b_unit=self.scan.b_unit,
        )
        method = setup.fit_method(model)
        if choice.organ is not None and prior != "organ" and "prior=organ" not in given:
            raise OptionError(
                f"--organ is {choice.organ} without the prior of an organ; expected it with "
                "--criterion evidence --prior organ. Leave it out"
            )
        return method, setup


@dataclass(frozen=True)
class _Job:
    """The work on one scan of a batch."""

    batch: CompareBatch
    models: Sequence[str]
    method: FitMethod
    setup: FitSetup
    labels: Sequence[Path]

    def __call__(self, scan: OneScan) -> None:
        """Load, compare, summarise, save."""
        batch = self.batch
        dwi = scan.load()
        sigma = self.setup.noise_level(dwi)
        labels = io.load_labels(list(self.labels), dwi) if self.labels else None
        batch.note_scan(dwi, "loaded")
        batch.note_method(self.method)
        if line := self.setup.noise_line(sigma):
            batch.screen.show(line)
        comparison = self._compare(scan, scan.reading.weighted(dwi), sigma)
        # All that can fail comes before anything is written.
        table = quality.model_table(comparison, labels)
        del dwi
        name = table_name(batch.choice.table.value)
        further = [
            Files([name], lambda stage: write_table(stage / name, "models", table)),
            *self._drawn(comparison),
            *self._reported(comparison, table),
        ]
        comparison_folder(comparison).save(scan.folder, *further, overwrite=batch.overwrite)
        figures = (scan.folder / FIGURE).parent if batch.figures else None
        if batch.screen.json:
            batch.answers.append(
                ComparedScan(
                    scan=scan.name,
                    folder=str(scan.folder),
                    models=list(comparison.names),
                    left_out=dict(comparison.left_out),
                    regions=rows_of(table),
                    verdicts=list(quality.verdicts(table)),
                )
            )
        batch.screen.show(
            Text(
                f"{', '.join(comparison.names)} by {_TITLES[comparison.criterion]}", style="bold"
            ),
            _shown(comparison, table),
            Text(_MEAN, style="dim"),
            "",
            *quality.verdicts(table),
            "",
            f"maps and {name} in {scan.folder}"
            + (f", {REPORT} there" if batch.choice.report else "")
            + (f", figures in {figures}" if figures else ""),
        )

    def _compare(self, scan: OneScan, dwi: DWI, sigma: Any) -> Comparison:
        batch, every = self.batch, _is_all(self.models)
        n_models, n_voxels = len(self.models), dwi.n_voxels
        what = "all models" if every else f"{n_models} models"
        name = f"{scan.name}, {what}" if every or n_models > 1 else scan.name
        quiet = batch.screen.quiet
        with progress_shown(stderr(), name, n_voxels, quiet=quiet) as progress:
            found = compare_with(
                dwi,
                # By name the evidence gives models a common prior of the rate that they share.
                ALL
                if every
                else [model_of(name) if is_model_file(name) else name for name in self.models],
                criterion=batch.choice.criterion.value,
                method=self.method,
                alpha=batch.choice.alpha,
                sigma=sigma,
                threads=batch.threads,
                progress=lambda done, total: progress(done * n_voxels // total, n_voxels),
                reading=scan.record,
                call=batch.call,
            )
        if every:
            return found
        files = {model_of(name).name: name for name in self.models}
        results = {
            name: with_model_file(result, files[name]) for name, result in found.results.items()
        }
        return dataclasses.replace(found, results=results)

    def _drawn(self, comparison: Comparison) -> list[Files]:
        if not self.batch.figures:
            return []
        # Imported here: matplotlib takes half a second.
        from ivimkit.cli.jobs.plot_files import figures_to_save
        from ivimkit.figures import comparison_panels

        return [figures_to_save({Path(FIGURE).name: comparison_panels(comparison)})]

    def _reported(self, comparison: Comparison, table: pd.DataFrame) -> list[Files]:
        if not self.batch.choice.report:
            return []
        # Imported here: matplotlib takes half a second.
        from ivimkit.report import compare_report

        page = compare_report(comparison, table)
        return [Files([REPORT], lambda stage: _write(stage / REPORT, page.html))]


def _write(path: Path, page: str) -> None:
    path.write_text(readable(page), encoding="utf-8")


def _is_all(names: Sequence[str]) -> bool:
    """Return whether all models are asked for."""
    return list(names) == [ALL]


_WEIGHT = 0.01
"""Rounding to three decimals."""

_NONE = "–"
_MEAN = "mean: fit of the mean signal, and its AICc above the lowest"


def _shown(comparison: Comparison, table: pd.DataFrame) -> Table:
    """Return the table for the screen: the models of each region, one below the other."""
    heads = ("voxels", "share", "weight", "mean: weight", "AICc")
    shown = plain_table("region", "model", *heads, left=2)
    for region, row in table.iterrows():
        for number, name in enumerate(comparison.names):
            share, weight, n = row[f"share_{name}"], row[f"weight_{name}"], row["n"]
            known = n > 0
            judged = bool(row["mean_chosen"])
            shown.add_row(
                str(region) if number == 0 else "",
                name,
                thousands(share * n) if known else "0",
                percent(share) if known else _NONE,
                rounded(weight, _WEIGHT) if known else _NONE,
                rounded(row[f"mean_weight_{name}"], _WEIGHT) if judged else _NONE,
                f"+{in_tenths(row[f'mean_difference_{name}'])}" if judged else _NONE,
            )
        if row["missing"] > 0:
            shown.add_row("", "none", thousands(row["missing"]), "", "", "", "")
    return shown
