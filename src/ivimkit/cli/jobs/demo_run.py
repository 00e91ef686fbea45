"""DemoRun: phantom, three fits, pictures, tables; the work behind ``ivimkit demo``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from rich.text import Text

from ivimkit import io, organs, quality, report
from ivimkit.cli.jobs.plot_files import (
    FIGURES,
    Drawing,
    draw_result,
    figures_to_save,
    write_figures,
)
from ivimkit.cli.jobs.simulate_files import PhantomFiles
from ivimkit.cli.process.run_log import begin_log
from ivimkit.cli.process.typed_line import command_line
from ivimkit.cli.screen.demo_tables import error_tables, lesion_table
from ivimkit.cli.screen.fit_tables import timing
from ivimkit.cli.screen.progress import progress_shown
from ivimkit.cli.screen.terminal import Screen, stderr
from ivimkit.errors import OutputExistsError
from ivimkit.fitting.fit import fit, fit_with
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.settings import FitSettings
from ivimkit.io.result_files import result_folder
from ivimkit.io.result_names import REPORT
from ivimkit.io.table_files import write_csv
from ivimkit.scan.dwi import DWI
from ivimkit.scan.labels import Labels
from ivimkit.simulate import Phantom
from ivimkit.writing import write_folder

__all__ = ["METHODS", "DemoRun"]

METHODS = ("segmented", "trr", "varpro")
_MARK = "README.txt"
_TABLES = ("errors.csv", "lesion.csv")
_PICTURES = (
    "comparison.png",
    "histograms.png",
    "lesion.png",
    "voxel_lesion.png",
    "voxel_liver.png",
)
_DIGITS = 5
"""Significant digits of the tables."""
_NOTICEABLE = 3.0
"""Seconds after which a user wonders."""

_README = """Made by `ivimkit demo`; a later demo replaces it.

phantom/     the simulated scan: dwi.nii.gz, dwi.bval, mask, labels, true maps
segmented/   maps of the segmented fit, with pictures in figures/
trr/         maps of the two-stage fit
varpro/      maps of variable projection, the default method
report.html  everything about the varpro fit on one page: open it in a browser
figures/     the methods side by side with the truth
errors.csv   error per tissue, map and method
lesion.csv   the lesion and the liver around it
"""


@dataclass(frozen=True)
class DemoRun:
    """A demonstration.

    Parameters
    ----------
    ctx : typer.Context
        Of the command.
    screen : Screen
        Where to print.
    phantom : PhantomFiles
        What to simulate.
    folder : Path
        Where to write.
    """

    ctx: typer.Context
    screen: Screen
    phantom: PhantomFiles
    folder: Path

    def run(self, *, overwrite: bool) -> None:
        """Do all of it.

        Parameters
        ----------
        overwrite : bool
            Whether a folder that is not from a demo may be written to.
        """
        self._claim(overwrite)
        begin_log()
        made = self.phantom.write(self.folder / "phantom", overwrite=True)
        dwi = io.load(
            self.folder / "phantom" / "dwi.nii.gz",
            mask=self.folder / "phantom" / "mask.nii.gz",
        )
        results = {method: self._fit(method, dwi) for method in METHODS}
        self._draw(made, dwi, results)
        errors = quality.error_table(
            results,
            made.truth,
            made.labels,
            made.label_names,
            maps=[name for name in made.truth if name != "S0"],
        )
        lesions = {name: self._against_liver(made, fitted) for name, fitted in results.items()}
        self._write_tables(errors, lesions)
        page = self._report(made, results["varpro"])
        self.screen.show(
            "",
            f"start with {page}",
            f"to look into every voxel: ivimkit view {self.folder / 'varpro'}",
            *error_tables(errors, METHODS),
            _title("The lesion and the liver around it (mean ± sd of voxels)"),
            lesion_table(lesions, made),
            f"varpro: {quality.sentence(lesions['varpro'], reference='the liver around it')}",
            Text(
                "separation: difference by the pooled sd. The ADC mixes perfusion and diffusion; "
                "D and f tell them apart.",
                style="dim",
            ),
            "",
            f"maps, pictures and tables in {self.folder}; start with {page}",
        )

    def _claim(self, overwrite: bool) -> None:
        """Use the folder if it is free, or from an earlier demo; mark it."""
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputExistsError(
                f"{self.folder} is a file; expected a folder. Choose another (--out)"
            )
        used = self.folder.is_dir() and any(self.folder.iterdir())
        if used and not (self.folder / _MARK).is_file() and not overwrite:
            raise OutputExistsError(
                f"{self.folder} holds files that are not of a demo; expected a new folder. "
                "Choose another one (--out), or ask to write there all the same (--overwrite)"
            )
        write_folder(
            self.folder,
            [_MARK],
            lambda stage: _write_readme(stage / _MARK),
            # If this demo is interrupted, files of an earlier one must not be mistaken for its
            # own.
            outdated=[REPORT, *_TABLES, *(f"{FIGURES}/{name}" for name in _PICTURES)],
        )

    def _fit(self, method: str, dwi: DWI) -> FitResult:
        self._compile(method, dwi)
        console = stderr()
        with progress_shown(console, method, dwi.n_voxels, quiet=self.screen.quiet) as progress:
            settings = FitSettings.of(method=method, call=command_line(self.ctx)).for_scan(dwi)
            result = fit_with(dwi, settings, progress=progress)
        self.screen.show(f"{method}: {timing(result)}")
        folder = self.folder / method
        figures = figures_to_save(draw_result(result, dwi, organs.get("liver")))
        result_folder(result).save(folder, figures, overwrite=True)
        return result

    def _compile(self, method: str, dwi: DWI) -> None:
        """Fit one voxel first, so that the timing does not include compilation."""
        clock = time.perf_counter()
        fit(DWI(np.ones((1, len(dwi.fit_bvals))), dwi.fit_bvals), method=method, threads=1)
        seconds = time.perf_counter() - clock
        if seconds > _NOTICEABLE:
            self.screen.show(
                f"{method}: compiled in {seconds:.0f} s; later runs find the code on disk"
            )

    def _draw(self, made: Phantom, dwi: DWI, results: Mapping[str, FitResult]) -> None:
        figures: dict[str, Drawing] = {
            "comparison.png": report.compare_methods(
                {"truth": made.truth, **results},
                limits=organs.get("liver").display,
                title="abdomen phantom: truth and three methods",
            ),
            "histograms.png": report.histograms(
                results["varpro"], labels=made.labels, label_names=made.label_names
            ),
        }
        figures["lesion.png"] = report.lesion_panels(
            results["varpro"], made.region("lesion"), dwi=dwi, reference=made.region("liver")
        )
        for name in ("lesion", "liver"):
            voxel = _middle(made.region(name))
            figures[f"voxel_{name}.png"] = report.voxel_plot(dwi, results, voxel)
        write_figures(self.folder / FIGURES, figures)

    def _report(self, made: Phantom, result: FitResult) -> Path:
        page = self.folder / REPORT
        labels = Labels(made.labels, made.label_names)
        built = report.build(result, labels=labels, lesion="lesion", reference="liver")
        built.write(page, overwrite=True)
        return page

    def _against_liver(self, made: Phantom, result: FitResult) -> pd.DataFrame:
        lesion, liver = made.region("lesion"), made.region("liver")
        label = next(k for k, name in made.label_names.items() if name == "lesion")
        around = quality.ring(made.labels == label, made.dwi.geometry.voxel_size, within=liver)
        return quality.compare_regions(result, lesion, around)

    def _write_tables(self, errors: pd.DataFrame, lesions: Mapping[str, pd.DataFrame]) -> None:
        lesion = pd.concat(dict(lesions), names=["method"])

        def write(stage: Path) -> None:
            write_csv(stage / "errors.csv", errors.map(_shortened))
            write_csv(stage / "lesion.csv", lesion.map(_shortened))

        write_folder(self.folder, _TABLES, write)


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _write_readme(path: Path) -> None:
    path.write_text(_README, encoding="utf-8", newline="")


def _shortened(value: object) -> object:
    """Return a number with few digits: more of them would say nothing."""
    if not isinstance(value, float):
        return value
    return float(np.format_float_positional(value, _DIGITS, unique=False, fractional=False))


def _middle(region: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the voxel of a region that is nearest to its centre."""
    voxels = np.argwhere(region)
    distance = ((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1)
    return tuple(int(i) for i in voxels[distance.argmin()])
