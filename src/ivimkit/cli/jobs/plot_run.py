"""ResultPlot: pictures of saved results; the work behind ``ivimkit plot``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ivimkit import io, organs, quality, report
from ivimkit.cli.jobs.plot_files import (
    FIGURES,
    Drawing,
    draw_screening,
    draw_spectra,
    draw_trust,
    write_figures,
)
from ivimkit.cli.options.assignments import pair, parse_assignments, triple, words
from ivimkit.cli.options.model_file import ModelFile
from ivimkit.cli.options.output_folders import check_writable, shown_names
from ivimkit.cli.options.plot_options import PlotOptions
from ivimkit.cli.options.result_input import load_regions, with_scan
from ivimkit.cli.options.result_options import FittedFiles
from ivimkit.cli.options.shared_options import Unreliable
from ivimkit.cli.process.run_log import begin_log
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI

__all__ = ["ResultPlot"]


@dataclass(frozen=True)
class ResultPlot:
    """What to draw of which results.

    Parameters
    ----------
    screen : Screen
        Where to print.
    shown : PlotOptions
        What is drawn, and how.
    files : FittedFiles
        The scan and the model, where the results do not say enough.
    dpi : float, optional
        Resolution.
    """

    screen: Screen
    shown: PlotOptions
    files: FittedFiles
    dpi: float | None = None

    def run(self, folders: Sequence[Path], out: Path | None) -> None:
        """Draw one result, or compare several, and say which files were written."""
        self._check(folders)
        folder = out or _usual_folder(folders)
        check_writable(folder)
        file = ModelFile(self.files.model, self.screen)
        begin_log()
        with self.screen.warnings_shown():
            loaded = file.load(folders, "no curves and no residuals")
            results = dict(zip(shown_names(folders), loaded, strict=True))
            first = loaded[0]
            dwi = with_scan(
                first,
                self.screen,
                "no images next to the maps",
                scan=self.files.scan,
                bval=self.files.bval,
                needed=bool(self.shown.voxel),
            ).dwi
            ranges = self._ranges(first)
            # First, as there may be no such voxel.
            curves = self._curves(dwi, results if len(loaded) > 1 else first)
            if len(loaded) == 1:
                figures = self._one(first, dwi, ranges) | self._lesion(first, dwi)
            else:
                figures = self._comparison(results, ranges)
            for path in write_figures(folder, figures | curves, dpi=self.dpi):
                self.screen.show(str(path))

    def _check(self, folders: Sequence[Path]) -> None:
        """Refuse inconsistent options, before anything is read."""
        if self.shown.reliable and self.shown.unreliable is Unreliable.show:
            raise OptionError(
                "--reliable and --unreliable show contradict each other; expected one of them. "
                "Leave one out"
            )
        if self.shown.lesion is not None and len(folders) > 1:
            raise OptionError(
                f"--lesion goes with one result and {len(folders)} were given; expected one. "
                "Leave it out, or draw them one by one"
            )

    @property
    def _unreliable(self) -> str:
        """How unreliable voxels are shown."""
        return (Unreliable.hide if self.shown.reliable else self.shown.unreliable).value

    def _ranges(self, result: FitResult) -> Mapping[str, tuple[float, float]]:
        """Return the ranges of the user on top of those of the organ."""
        recorded = result.settings.organ
        name = self.shown.organ or (str(recorded) if recorded else None)
        own = parse_assignments(self.shown.limits, "--range", "D=0:3e-3", pair)
        for parameter in own:
            describe(parameter, result.model.quantities)
        return {**(organs.get(name).display if name else {}), **own}

    def _one(
        self, result: FitResult, dwi: DWI | None, ranges: Mapping[str, tuple[float, float]]
    ) -> dict[str, Drawing]:
        slices, maps = self.shown.slices or None, self._maps()
        labels = load_regions(result, self.shown.labels, None)
        names = None if labels is None else labels.names
        return {
            "maps.png": report.map_panels(
                result, dwi, slices=slices, maps=maps, limits=ranges, unreliable=self._unreliable
            ),
            "status.png": report.status_panels(result, slices=slices),
            "histograms.png": report.histograms(
                result,
                labels=labels,
                label_names=names,
                maps=maps,
                limits=ranges,
                unreliable=self._unreliable,
            ),
            **draw_trust(result, slices=slices, limits=ranges),
            **_residuals(result, dwi),
            **draw_spectra(result, dwi, labels),
            **draw_screening(result),
        }

    def _lesion(self, result: FitResult, dwi: DWI | None) -> dict[str, Drawing]:
        if self.shown.lesion is None:
            return {}
        mask = np.asarray(io.load_labels(self.shown.lesion, result)) > 0
        own = parse_assignments(self.shown.limits, "--range", "D=0:3e-3", pair)
        slice_ = self.shown.slices[0] if self.shown.slices else None
        figure = report.lesion_panels(
            result,
            mask,
            dwi=dwi,
            slice=slice_,
            maps=self._maps(),
            limits=own,
            unreliable=self._unreliable,
        )
        return {"lesion.png": figure}

    def _comparison(
        self, results: Mapping[str, FitResult], ranges: Mapping[str, tuple[float, float]]
    ) -> dict[str, Drawing]:
        pages: dict[str, int | None] = {f"comparison_{k}.png": k for k in self.shown.slices or ()}
        return {
            name: report.compare_methods(
                results, slice=k, maps=self._maps(), limits=ranges, unreliable=self._unreliable
            )
            for name, k in (pages or {"comparison.png": None}).items()
        }

    def _curves(
        self, dwi: DWI | None, results: FitResult | Mapping[str, FitResult]
    ) -> dict[str, Drawing]:
        if dwi is None:
            return {}
        found: dict[str, Drawing] = {}
        for text in self.shown.voxel or ():
            voxel = triple(text, "--voxel")
            name = "voxel_" + "_".join(map(str, voxel)) + ".png"
            found[name] = report.voxel_plot(dwi, results, voxel)
        return found

    def _maps(self) -> list[str] | None:
        return None if self.shown.maps is None else words(self.shown.maps)


def _usual_folder(folders: Sequence[Path]) -> Path:
    if len(folders) == 1:
        return folders[0] / FIGURES
    return folders[0].resolve().parent / "comparison"


def _residuals(result: FitResult, dwi: DWI | None) -> dict[str, Drawing]:
    """Draw the residuals, for which scan, equation and a fitted voxel are needed."""
    if dwi is None or not result.model.has_equation or not np.isfinite(result.maps["S0"]).any():
        return {}
    return {"residuals.png": report.residual_panels(quality.residuals(result, dwi))}
