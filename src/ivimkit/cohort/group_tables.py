"""Tables of the group, from those of its scans."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ivimkit.cohort.entities import NAMES
from ivimkit.cohort.region_table import COLUMNS, NUMBERS
from ivimkit.errors import FileFormatError, OptionError, RegionWarning
from ivimkit.io.gradient_files import text_of
from ivimkit.io.table_cells import unguarded
from ivimkit.io.table_files import exact_numbers
from ivimkit.io.untrusted_files import untrusted
from ivimkit.quality import repeatability

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "STATISTIC",
    "data_dictionary",
    "find_outliers",
    "id_names",
    "long_table",
    "repeated_sessions",
    "wide_table",
    "with_participants",
]

STATISTIC = "median"
"""The column that stands for a region where one number is needed."""

MIN_SCANS = 5
"""Number of scans from which outliers are looked for."""

MAX_SCORE = 3.5
"""Distance from the median, in robust standard deviations, beyond which a value is an outlier."""

_ROBUST_SD = 1.4826
"""Of a normal distribution: standard deviation / median absolute deviation."""

_TABLE = "*_regions.tsv"


def long_table(out: Path) -> pd.DataFrame:
    """Return one row per scan, region and map, from the tables of all scans in a folder.

    Raises
    ------
    FileFormatError
        If there is none, or one is damaged.
    """
    # Imported here: it takes a fifth of a second.
    import pandas as pd

    paths = sorted(out.glob(f"sub-*/**/{_TABLE}"))
    if not paths:
        raise FileFormatError(
            f"there is no table of regions in {out}; expected sub-01/dwi/sub-01{_TABLE[1:]} and "
            "others. Run the level participant first"
        )
    table = pd.concat([_read(path) for path in paths], ignore_index=True)
    order = [name for name in id_names(table) if name in table.columns]
    rest = [name for name in table.columns if name not in order]
    return table[[*order, *rest]]


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    kind = "a table of regions that ivimkit has written"
    with untrusted(lambda why: FileFormatError(f"{path}: {why}; expected {kind}. Fit it again")):
        lines = list(csv.reader(text_of(path, kind).splitlines(), delimiter="\t", strict=True))
        table = pd.DataFrame([list(map(unguarded, line)) for line in lines[1:]], columns=lines[0])
        table = table.replace("n/a", None)
        for name in NUMBERS:
            table[name] = pd.to_numeric(table[name])
    return table


def id_names(table: pd.DataFrame) -> list[str]:
    """Return the columns that say which scan a row is of."""
    known = ("participant_id", "session_id", *NAMES.values())
    return [name for name in known if name in table.columns]


def with_participants(table: pd.DataFrame, path: Path | None) -> pd.DataFrame:
    """Return a table with the columns of ``participants.tsv``, such as age, at its end."""
    import pandas as pd

    if path is None or not path.is_file():
        return table
    with untrusted(lambda why: FileFormatError(f"{path}: {why}; expected a table of BIDS")):
        about = pd.read_csv(
            path, sep="\t", dtype={"participant_id": str}, na_values="n/a", **exact_numbers()
        )
    if "participant_id" not in about.columns:
        raise FileFormatError(
            f"{path} has no column participant_id; expected one, as BIDS has it. Correct the file"
        )
    new = [name for name in about.columns if name not in table.columns]
    twice = about["participant_id"].duplicated()
    if twice.any():
        raise FileFormatError(
            f"{path} has {about.loc[twice, 'participant_id'].iloc[0]} in two rows; expected each "
            "participant in one. Correct the file"
        )
    return table.merge(about[["participant_id", *new]], on="participant_id", how="left")


def wide_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per scan: the medians, a column for each region and map."""
    ids = id_names(table)
    numbers = table.assign(column=table["region"] + "_" + table["map"])
    filled = numbers.fillna(dict.fromkeys(ids, "n/a"))
    order = numbers["column"].drop_duplicates().tolist()
    wide = filled.pivot(index=ids, columns="column", values=STATISTIC)[order]
    wide.columns.name = None
    return wide.reset_index()


def find_outliers(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose median is far from those of the other scans, the furthest first.

    The distance is measured in robust standard deviations (1.4826 times the median absolute
    deviation) of the scans, in the same region and map; 3.5 is far (Iglewicz and Hoaglin, How to
    detect and handle outliers, 1993). Fewer than five scans are not judged.
    """
    groups = table.groupby(["region", "map"], sort=False)[STATISTIC]
    middle = groups.transform("median")
    deviation = (table[STATISTIC] - middle).abs()
    own = [table["region"], table["map"]]
    spread = _ROBUST_SD * deviation.groupby(own, sort=False).transform("median")
    enough = groups.transform("count") >= MIN_SCANS
    with np.errstate(divide="ignore", invalid="ignore"):
        score = deviation / spread.where(spread > 0)
    found = table.assign(score=score, typical=middle)[enough & (score > MAX_SCORE)]
    return found.sort_values("score", ascending=False, kind="stable")


def repeated_sessions(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return values of the first scan of each session, and their repeatability.

    None if no subject has two sessions.
    """
    if "session_id" not in table.columns:
        return None
    ids = ["participant_id", "session_id", "region", "map"]
    first = table.dropna(subset=["session_id", STATISTIC]).drop_duplicates(ids)
    values = first.rename(columns={"participant_id": "subject", "session_id": "session"})
    values = values[["subject", "session", "region", "map", "unit", STATISTIC]]
    values = values.rename(columns={STATISTIC: "value"}).reset_index(drop=True)
    with warnings.catch_warnings():
        # Subjects with one session are the rule in a cohort.
        warnings.simplefilter("ignore", RegionWarning)
        try:
            return values, repeatability(values)
        except OptionError:
            return None


def data_dictionary(table: pd.DataFrame) -> Mapping[str, Any]:
    """Return what each column of the long table contains, as BIDS wants it."""
    entities = {long: f"Entity {long} of the scan" for long in NAMES.values()}
    known = {**entities, **COLUMNS}
    return {
        name: {"Description": known.get(name, "From participants.tsv")} for name in table.columns
    }
