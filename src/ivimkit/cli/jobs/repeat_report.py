"""RepeatReport: repeatability and change of repeated scans; the work behind ``ivimkit repeat``."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from ivimkit import io, quality
from ivimkit.cli.options.assignments import words
from ivimkit.cli.options.model_file import ModelFile
from ivimkit.cli.options.output_folders import check_writable
from ivimkit.cli.options.repeat_input import RepeatInput
from ivimkit.cli.screen.repeat_tables import change_table, repeat_table
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError
from ivimkit.writing import check_file

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.cli.jobs.plot_files import Drawing

__all__ = ["RepeatReport"]


@dataclass(frozen=True)
class RepeatReport:
    """The scans, and what to report.

    Parameters
    ----------
    screen : Screen
        Where to print.
    subject : str, optional
        List of subjects, one per scan.
    labels : sequence of Path
        Label image or masks.
    names : Path, optional
        Names of the numbers of a label image.
    maps : str, optional
        List of maps.
    statistic : str
        Statistic that represents a region.
    model : Path, optional
        Python file of the model.
    change : Path, optional
        Table of repeatability to judge changes by.
    like : str, optional
        Region of that table to use for all regions.
    relative : bool
        Whether changes are judged as shares of the first value.
    out : Path, optional
        The table to write.
    figure : Path, optional
        The picture to write.
    overwrite : bool
        Whether files may be replaced.
    """

    screen: Screen
    subject: str | None = None
    labels: Sequence[Path] = ()
    names: Path | None = None
    maps: str | None = None
    statistic: str = "median"
    reliable: bool = False
    model: Path | None = None
    change: Path | None = None
    like: str | None = None
    relative: bool = False
    out: Path | None = None
    figure: Path | None = None
    overwrite: bool = False

    def run(self, scans: Sequence[Path]) -> None:
        """Read, compute, write, print."""
        maps = None if self.maps is None else words(self.maps)
        self._check()
        source = RepeatInput(
            subject=self.subject,
            labels=self.labels,
            names=self.names,
            maps=maps,
            statistic=self.statistic,
            reliable=self.reliable,
            model=None if self.model is None else ModelFile(self.model, self.screen),
        )
        with self.screen.warnings_shown():
            values = source.values(scans)
            table = self._table(values, maps)
            tables = {"repeatability" if self.change is None else "change": table}
            # All that can fail comes before anything is written.
            figures = self._drawn(values, table)
            files = self._write({**tables, "values": values}, figures)
        shown = self._repeatability(table) if self.change is None else self._changes(table)
        self.screen.show(*shown, *map(str, files))

    def _check(self) -> None:
        """Refuse inconsistent options, before anything is read."""
        if self.change is None and (self.like is not None or self.relative):
            given = "--relative" if self.like is None else "--like"
            raise OptionError(f"{given} is given without --change; expected both. Leave it out")
        if self.change is not None and self.figure is not None:
            raise OptionError(
                "--figure draws the repeatability, and --change is given; expected one of them. "
                "Leave one out"
            )
        if self.out is not None:
            check_writable(self.out.parent)
            io.check_tables(("repeatability", "values"), self.out, overwrite=self.overwrite)
        if self.figure is None:
            return
        if self.figure.suffix.lower() != ".png":
            raise OptionError(f"--figure is {self.figure}; expected a name that ends in .png")
        check_writable(self.figure.parent)
        check_file(self.figure, overwrite=self.overwrite)

    def _table(self, values: pd.DataFrame, maps: Sequence[str] | None) -> pd.DataFrame:
        if self.change is None:
            return quality.repeatability(values, maps=maps, statistic=self.statistic)
        known = io.load_table(self.change)
        if {"region", "map"} <= set(known.columns):
            known = known.set_index(["region", "map"])
        return quality.change(
            values,
            known,
            maps=maps,
            statistic=self.statistic,
            region=self.like,
            relative=self.relative,
        )

    def _drawn(self, values: pd.DataFrame, table: pd.DataFrame) -> dict[Path, Drawing]:
        if self.figure is None:
            return {}
        # Imported here: matplotlib takes half a second.
        from ivimkit.figures import bland_altman

        points = quality.pairs(values, statistic=self.statistic)
        return {self.figure.expanduser().resolve(): bland_altman(points, table)}

    def _write(
        self, tables: Mapping[str, pd.DataFrame], figures: Mapping[Path, Drawing]
    ) -> list[Path]:
        files: list[Path] = []
        if self.out is not None:
            files += io.save_tables(tables, self.out, overwrite=self.overwrite)
        for path, figure in figures.items():
            from ivimkit.cli.jobs.plot_files import write_figures  # It imports matplotlib.

            files += write_figures(path.parent, {path.name: figure})
        return files

    def _repeatability(self, table: pd.DataFrame) -> Iterator[RenderableType]:
        for region in table.index.unique("region"):
            rows = table.loc[[region]].droplevel("region")
            first = rows.iloc[0]
            n, scans = int(first["subjects"]), int(first["scans"])
            who = "1 subject" if n == 1 else f"{n} subjects"
            yield Text.assemble((str(region), "bold"), f"  {who}, {scans} scans")
            yield repeat_table(rows)
            yield ""
        yield Text(
            "sd and CV are within subjects. RC: two scans of an unchanged subject differ by less "
            "in 95 % of cases. Bias: second - first.",
            style="dim",
        )

    def _changes(self, table: pd.DataFrame) -> Iterator[RenderableType]:
        levels: list[Hashable] = ["subject", "scan", "region"]
        for (subject, scan, region), rows in table.groupby(level=levels, sort=False):
            yield Text.assemble(
                (str(region), "bold"), f"  subject {subject}, scan {scan} against the first"
            )
            yield change_table(rows.droplevel(levels))
            yield ""
        yield Text("RC: what two scans of an unchanged subject differ by at most.", style="dim")
