"""RegionReport: tables of the regions of a result; the work behind ``ivimkit roi``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.text import Text

from ivimkit import io, quality
from ivimkit.cli.answers.json_answer import rows_of
from ivimkit.cli.answers.table_answers import RoiAnswer
from ivimkit.cli.options.assignments import words
from ivimkit.cli.options.model_file import ModelFile
from ivimkit.cli.options.output_folders import check_writable
from ivimkit.cli.options.result_input import with_scan
from ivimkit.cli.options.result_options import FittedFiles
from ivimkit.cli.options.roi_options import RoiOptions
from ivimkit.cli.process.run_log import begin_log
from ivimkit.cli.screen.roi_tables import (
    comparison_table,
    mean_fit_lines,
    region_heading,
    region_table,
    status_line,
)
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError, RegionWarning, ShapeError
from ivimkit.extend.derived_maps import is_about_another
from ivimkit.fitting.result import FitResult
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RegionReport"]

_NOT_SHOWN = ("cost", "n_iter", "ln_evidence", "accuracy", "n_neighbours", "n_left_out")


@dataclass(frozen=True)
class RegionReport:
    """The regions, and what to report.

    Parameters
    ----------
    screen : Screen
        Where to print.
    regions : RoiOptions
        The regions, the maps, and the lesion.
    files : FittedFiles
        The scan and the model, where the result does not say enough.
    out : Path, optional
        The table to write.
    columns : mapping of str to str, optional
        Columns to add in front of the tables, those that are not None.
    overwrite : bool
        Whether tables may be replaced.
    """

    screen: Screen
    regions: RoiOptions
    files: FittedFiles
    out: Path | None = None
    columns: Mapping[str, str | None] = field(default_factory=dict)
    overwrite: bool = False

    def run(self, folder: Path) -> None:
        """Summarise, print, write."""
        self._check()
        file = ModelFile(self.files.model, self.screen)
        missing = "no fit of the mean signals"
        begin_log()
        with self.screen.warnings_shown():
            [result] = file.load([folder], missing if self.regions.mean_fit else "")
            # Without the equation there is no fit, and so no need for the scan.
            if self.regions.mean_fit and result.model.has_equation:
                result = with_scan(
                    result, self.screen, missing, scan=self.files.scan, bval=self.files.bval
                )
            labels = io.load_labels(self.regions.labels, result, self.regions.names)
            names = self._map_names(result)
            compared = self._compared(result, labels)
            means = _means(result, labels)
            tables = {
                "maps": quality.roi_table(
                    result,
                    labels,
                    maps=names,
                    mean_fit=False if means is None else means,
                    reliable_only=bool(self.regions.reliable),
                ),
                "regions": quality.roi_status(result, labels),
            }
            if compared is not None:
                wanted = None if self.regions.maps is None else names
                tables["comparison"] = quality.compare_regions(
                    result,
                    *compared,
                    maps=wanted,
                    reliable_only=self.regions.reliable is not False,
                )
            files = self._write(tables)
            disagreeing = (
                () if means is None else quality.disagreements(result, labels, means=means)
            )
        self.screen.answer(self._answer(folder, tables))
        self._show(result, tables, names, disagreeing)
        for path in files:
            self.screen.show(str(path))

    def _answer(self, folder: Path, tables: Mapping[str, pd.DataFrame]) -> RoiAnswer | None:
        """Return what --json prints."""
        if not self.screen.json:
            return None
        maps, compared = rows_of(self._named(tables["maps"])), tables.get("comparison")
        return RoiAnswer(
            units={str(row["map"]): str(row["unit"]) for row in maps},
            result=str(folder),
            maps=maps,
            regions=rows_of(self._named(tables["regions"])),
            comparison=None if compared is None else rows_of(self._named(compared)),
            sentence=None
            if compared is None
            else quality.sentence(compared, reference=self._surroundings),
        )

    def _check(self) -> None:
        """Refuse inconsistent options, before anything is read."""
        asked = self.regions
        if asked.lesion is None and (asked.reference is not None or asked.ring is not None):
            given = "--reference" if asked.ring is None else "--ring"
            raise OptionError(f"{given} is given without --lesion; expected both. Name the lesion")
        if asked.lesion is not None and asked.reference is None and asked.ring is None:
            raise OptionError(
                "--lesion is given without something to compare it with; expected --reference "
                "NAME or --ring MM. Give one of them"
            )
        if self.files.scan is None and self.files.bval is not None:
            raise OptionError("--bval is given without --scan; expected both. Name the scan")
        if self.files.scan is not None and not asked.mean_fit:
            raise OptionError(
                "--scan is given with --no-mean-fit, which needs none. Leave one out"
            )
        if self.out is not None:
            names = ["maps", "regions", *(["comparison"] if asked.lesion else [])]
            check_writable(self.out.parent)
            io.check_tables(names, self.out, overwrite=self.overwrite)

    def _map_names(self, result: FitResult) -> list[str]:
        names = list(result.maps) if self.regions.maps is None else words(self.regions.maps)
        unknown = [name for name in names if name not in result.maps]
        if unknown or not names:
            has = ", ".join(result.maps)
            what = unknown[0] if unknown else "(none)"
            raise OptionError(f"--maps names {what}; expected some of {has}")
        return names

    def _compared(
        self, result: FitResult, labels: Labels
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Return the lesion and what it is compared with; None if nothing is asked for."""
        asked = self.regions
        if asked.lesion is None:
            return None
        lesion = labels[_name_of(asked.lesion, labels)]
        reference = asked.reference
        within = None if reference is None else labels[_name_of(reference, labels)]
        if asked.ring is None:
            assert within is not None
            return lesion, within
        inside = result.mask if within is None else within
        around = quality.ring(
            lesion, result.geometry.voxel_size, gap=asked.gap, width=asked.ring, within=inside
        )
        if not around.any():
            where = "the fitted mask" if asked.reference is None else asked.reference
            raise ShapeError(
                f"the ring of {asked.ring:g} mm, {asked.gap:g} mm from {asked.lesion}, has no "
                f"voxel in {where}; expected some. Make it wider (--ring), or the gap smaller "
                "(--gap)"
            )
        return lesion, around

    @property
    def _surroundings(self) -> str:
        """The reference of the lesion, in words."""
        asked = self.regions
        if asked.ring is None:
            return str(asked.reference)
        return f"the {'tissue' if asked.reference is None else asked.reference} around it"

    def _about(self) -> str:
        """Say which voxels were compared."""
        which = "All voxels" if self.regions.reliable is False else "Reliable voxels"
        return (
            f"{which} are compared: their means in the table, their medians in the\n"
            "sentence. The map that separates them best comes first."
        )

    def _counted(self) -> str:
        """Say which voxels the tables of regions describe."""
        if self.regions.reliable:
            return "Mean, sd and percentiles are of reliable voxels only."
        return "Mean, sd and percentiles are of all voxels; of reliable ones with --reliable."

    def _write(self, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
        if self.out is None:
            return []
        written = {name: self._named(table) for name, table in tables.items()}
        return io.save_tables(written, self.out, overwrite=self.overwrite)

    def _named(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table with its index, subject and session as columns."""
        flat = table.reset_index()
        known = {key: text for key, text in self.columns.items() if text is not None}
        for place, (key, text) in enumerate(known.items()):
            flat.insert(place, key, text)
        return flat

    def _show(
        self,
        result: FitResult,
        tables: Mapping[str, pd.DataFrame],
        names: Sequence[str],
        disagreeing: Sequence[quality.Disagreement],
    ) -> None:
        if self.screen.quiet or self.screen.json:
            return
        if self.regions.maps is None:
            names = [
                name
                for name in names
                if not is_about_another(name, result.maps) and name not in _NOT_SHOWN
            ]
        shown: list[RenderableType] = []
        for region, row in tables["regions"].iterrows():
            keys = [(region, name) for name in names]
            rows = tables["maps"].loc[keys].droplevel("region")
            shown += [
                region_heading(str(region), row),
                region_table(rows, result.model),
                Text(status_line(row, result.model), style="dim"),
                *(
                    Text(line, style="yellow")
                    for line in mean_fit_lines(
                        rows, result.model, [one for one in disagreeing if one.region == region]
                    )
                ),
                "",
            ]
        if shown:
            shown[-1] = Text(self._counted(), style="dim")
            shown.append("")
        if "comparison" in tables:
            table = tables["comparison"]
            shown += [
                Text(f"{self.regions.lesion} against {self._surroundings}", style="bold"),
                comparison_table(table, result.model),
                f"{self.regions.lesion}: {quality.sentence(table, reference=self._surroundings)}",
                Text(self._about(), style="dim"),
                "",
            ]
        self.screen.show(*shown)


def _name_of(text: str, labels: Labels) -> str:
    """Return the name of a region that is given by its name, or by its number in the image."""
    if text in labels.names.values():
        return text
    return next((name for number, name in labels.names.items() if str(number) == text), text)


def _means(result: FitResult, labels: Labels) -> FitResult | None:
    """Return the fits of the mean signals; None without the scan, or where they cannot be."""
    if result.dwi is None:
        return None
    try:
        return quality.roi_fit(result, labels)
    except OptionError as error:
        warnings.warn(f"no fit of the mean signals: {error}", RegionWarning, stacklevel=2)
        return None
