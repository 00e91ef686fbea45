"""RepeatReport: repeatability and change of repeated scans; the work behind ``ivimkit repeat``."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from ivimkit import io, quality
from ivimkit.cli.answers.json_answer import rows_of
from ivimkit.cli.answers.table_answers import RepeatAnswer
from ivimkit.cli.options.assignments import words
from ivimkit.cli.options.model_file import ModelFile
from ivimkit.cli.options.output_folders import check_writable
from ivimkit.cli.options.repeat_input import RepeatInput
from ivimkit.cli.options.repeat_options import RepeatOptions
from ivimkit.cli.process.run_log import begin_log
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
    options : RepeatOptions
        What is compared, and what is written.
    """

    screen: Screen
    options: RepeatOptions

    def run(self, scans: Sequence[Path]) -> None:
        """Read, compute, write, print."""
        maps = None if self.options.maps is None else words(self.options.maps)
        self._check()
        model = self.options.model
        source = RepeatInput(
            self.options, maps, None if model is None else ModelFile(model, self.screen)
        )
        begin_log()
        with self.screen.warnings_shown():
            values = source.values(scans)
            table = self._table(values, maps)
            kind = "repeatability" if self.options.change is None else "change"
            tables = {kind: table}
            # All that can fail comes before anything is written.
            figures = self._drawn(values, table)
            files = self._write({**tables, "values": values}, figures)
        if self.screen.json:
            rows = rows_of(values)
            is_change = kind == "change"
            self.screen.answer(
                RepeatAnswer(
                    units={str(row["map"]): str(row.get("unit") or "") for row in rows},
                    values=rows,
                    repeatability=None if is_change else rows_of(table),
                    change=rows_of(table) if is_change else None,
                )
            )
            return
        shown = self._repeatability(table) if self.options.change is None else self._changes(table)
        self.screen.show(*shown, *map(str, files))

    def _check(self) -> None:
        """Refuse inconsistent options, before anything is read."""
        asked = self.options
        if asked.change is None and (asked.like is not None or asked.relative):
            given = "--relative" if asked.like is None else "--like"
            raise OptionError(f"{given} is given without --change; expected both. Leave it out")
        if asked.change is not None and asked.figure is not None:
            raise OptionError(
                "--figure draws the repeatability, and --change is given; expected one of them. "
                "Leave one out"
            )
        if asked.out is not None:
            check_writable(asked.out.parent)
            io.check_tables(("repeatability", "values"), asked.out, overwrite=asked.overwrite)
        if asked.figure is None:
            return
        if asked.figure.suffix.lower() != ".png":
            raise OptionError(f"--figure is {asked.figure}; expected a name that ends in .png")
        check_writable(asked.figure.parent)
        check_file(asked.figure, overwrite=asked.overwrite)

    def _table(self, values: pd.DataFrame, maps: Sequence[str] | None) -> pd.DataFrame:
        if self.options.change is None:
            return quality.repeatability(values, maps=maps, statistic=self.options.statistic.value)
        known = io.load_table(self.options.change)
        if {"region", "map"} <= set(known.columns):
            known = known.set_index(["region", "map"])
        return quality.change(
            values,
            known,
            maps=maps,
            statistic=self.options.statistic.value,
            region=self.options.like,
            relative=self.options.relative,
        )

    def _drawn(self, values: pd.DataFrame, table: pd.DataFrame) -> dict[Path, Drawing]:
        if self.options.figure is None:
            return {}
        # Imported here: matplotlib takes half a second.
        from ivimkit.figures import bland_altman

        points = quality.pairs(values, statistic=self.options.statistic.value)
        return {self.options.figure.expanduser().resolve(): bland_altman(points, table)}

    def _write(
        self, tables: Mapping[str, pd.DataFrame], figures: Mapping[Path, Drawing]
    ) -> list[Path]:
        files: list[Path] = []
        if self.options.out is not None:
            files += io.save_tables(tables, self.options.out, overwrite=self.options.overwrite)
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
