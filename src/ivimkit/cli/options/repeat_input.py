"""RepeatInput: results or tables of several scans, and their subjects."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ivimkit import io, models, quality
from ivimkit.cli.options.model_file import ModelFile
from ivimkit.cli.options.repeat_options import RepeatOptions
from ivimkit.cli.options.result_input import check_names
from ivimkit.errors import FileFormatError, OptionError
from ivimkit.fitting.result import FitResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RepeatInput"]

_BIDS = re.compile(r"(?:^|[/\\])(sub-[^/\\_]+)")
_ONE = "1"


@dataclass(frozen=True)
class RepeatInput:
    """How to turn files into one table of values.

    Parameters
    ----------
    options : RepeatOptions
        The subjects, and the regions and their values.
    maps : sequence of str, optional
        Names of maps.
    model : ModelFile, optional
        The file of the model, if one was named.
    """

    options: RepeatOptions
    maps: Sequence[str] | None = None
    model: ModelFile | None = None

    def values(self, scans: Sequence[Path]) -> pd.DataFrame:
        """Return the table of values of results, or of tables.

        Parameters
        ----------
        scans : sequence of Path
            Folders, or files.
        """
        folders = [path for path in scans if path.is_dir()]
        if folders and len(folders) < len(scans):
            other = next(path for path in scans if not path.is_dir())
            raise OptionError(
                f"{folders[0]} is a folder and {other} is not; expected results only, or tables "
                "only. Summarise the results by ivimkit roi, or leave the tables out"
            )
        check_names(self.options.labels, self.options.names)
        return self._of_results(scans) if folders else self._of_tables(scans)

    def _of_results(self, folders: Sequence[Path]) -> pd.DataFrame:
        import pandas as pd

        tables = []
        sessions: Counter[str] = Counter()
        # One after the other: with its scan, a result can be a gigabyte.
        for subject, folder in zip(self._subjects(folders), folders, strict=True):
            result = self._loaded(folder)
            labels = None
            if self.options.labels:
                labels = io.load_labels(
                    [_own(file, folder) for file in self.options.labels],
                    result,
                    self.options.names,
                )
            table = quality.repeat_values(
                {subject: [result]},
                labels,
                maps=self.maps,
                statistic=self.options.statistic.value,
                reliable_only=self.options.reliable,
            )
            sessions[subject] += 1
            tables.append(table.assign(session=sessions[subject]))
        return pd.concat(tables, ignore_index=True)

    def _loaded(self, folder: Path) -> FitResult:
        result = io.load_result(folder) if self.model is None else self.model.load([folder])[0]
        if self.options.statistic.value != "roi_fit":
            return result
        return dataclasses.replace(result, dwi=io.load_fitted_scan(result))

    def _of_tables(self, files: Sequence[Path]) -> pd.DataFrame:
        import pandas as pd

        if self.options.reliable:
            raise OptionError(
                "--reliable is given beside tables, whose numbers are made; expected it with "
                "folders of results. Give it to ivimkit roi"
            )
        if self.model is not None:
            raise OptionError(
                "--model is given with tables, whose numbers are made; expected it with folders "
                "of results. Leave it out"
            )
        if self.options.labels:
            raise OptionError(
                "--labels is given beside tables, which have regions; expected it with folders of "
                "results. Leave it out"
            )
        tables = [io.load_table(file) for file in files]
        known = ["subject" in table.columns for table in tables]
        if self.options.subject is not None or not any(known):
            tables = [
                table.assign(subject=subject)
                for table, subject in zip(tables, self._subjects(files), strict=True)
            ]
        elif not all(known):
            file = files[known.index(False)]
            raise FileFormatError(
                f"{file} has no column subject, and others have; expected it in all tables or in "
                "none. Name the subjects (--subject)"
            )
        # Without a session, each table is a separate scan.
        tables = [
            table if "session" in table.columns else table.assign(session=str(number))
            for number, table in enumerate(tables, start=1)
        ]
        values = pd.concat(tables, ignore_index=True)
        if self.maps is None and "map" in values.columns:
            usual = values["map"].isin(models.shown_maps())
            return values[usual] if usual.any() else values
        return values

    def _subjects(self, scans: Sequence[Path]) -> list[str]:
        """Return the subject of each scan: as given, as in BIDS paths, or one for all."""
        if self.options.subject is not None:
            subjects = [name.strip() for name in self.options.subject.split(",")]
            if len(subjects) != len(scans) or not all(subjects):
                raise OptionError(
                    f"--subject names {len(subjects)} subjects and there are {len(scans)} scans; "
                    "expected one name per scan, like a,a,b,b"
                )
            return subjects
        found = [_BIDS.findall(str(path.resolve())) for path in scans]
        if all(found):
            return [names[-1] for names in found]
        return [_ONE] * len(scans)


def _own(file: Path, folder: Path) -> Path:
    """Return the file of a result: in its folder, next to it, or the one for all."""
    if file.is_absolute():
        return file
    home = folder.resolve()
    nearby = (home / file, home.parent / file)
    return next((path for path in nearby if path.is_file()), file)
