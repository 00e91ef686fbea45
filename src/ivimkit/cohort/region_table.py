"""The table of regions of one scan, in the long format of the whole cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ivimkit.cohort.entities import NAMES
from ivimkit.cohort.subjects import Subject
from ivimkit.io.table_files import csv_of
from ivimkit.quality import main_maps, roi_status, roi_table
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = ["COLUMNS", "NUMBERS", "WHOLE", "id_columns", "region_table", "write_region_table"]

WHOLE = "all"
"""Name of the region of all voxels fitted, for a scan without labels."""

COLUMNS = {
    "participant_id": "Label of the subject",
    "session_id": "Label of the session",
    "region": "Name of the region; all for all voxels that were fitted",
    "map": "Name of the map",
    "unit": "Unit of the map; mean, sd, median, quartiles and percentiles have it",
    "n": "Number of voxels with a value",
    "missing": "Number of voxels without one",
    "reliable": "Number of voxels whose value the data identify",
    "share_ok": "Share of the voxels of the region that no flag of the status is about",
    "mean": "Mean",
    "sd": "Standard deviation (n - 1)",
    "cv": "Coefficient of variation, sd / |mean|",
    "median": "Median",
    "q25": "25th percentile",
    "q75": "75th percentile",
    "iqr": "Interquartile range, q75 - q25",
    "p5": "5th percentile",
    "p95": "95th percentile",
    "volume_ml": "Volume of the region",
}
"""Columns of the table, with what they contain; entities of the scan come in addition."""

NUMBERS = tuple(
    name
    for name in COLUMNS
    if name not in ("participant_id", "session_id", "region", "map", "unit")
)
"""Columns of numbers."""

_IDS = {"sub": "participant_id", "ses": "session_id"}


def id_columns(subject: Subject) -> dict[str, str]:
    """Return the columns that say which scan a row is of."""
    return {
        _IDS.get(name, NAMES.get(name, name)): f"{name}-{label}" if name in _IDS else label
        for name, label in subject.entities.items()
    }


def region_table(subject: Subject, result: FitResult, labels: Labels | None) -> pd.DataFrame:
    """Return one row per region and map of a scan.

    Parameters
    ----------
    subject : Subject
        The scan.
    result : FitResult
        Its fit.
    labels : Labels, optional
        Its regions; by default all voxels that were fitted are one.

    Returns
    -------
    pandas.DataFrame
        With the columns of `COLUMNS`, and one for each further entity of the scan.
    """
    regions = Labels(np.asarray(result.mask, np.int32), {1: WHOLE}) if labels is None else labels
    table = roi_table(result, regions, maps=main_maps(result), mean_fit=False).reset_index()
    status = roi_status(result, regions)
    fine = status["OK"] if "OK" in status else 0 * status["voxels"]
    table["share_ok"] = table["region"].map(fine / status["voxels"]).astype(float)
    for place, (name, value) in enumerate(id_columns(subject).items()):
        table.insert(place, name, value)
    known = [name for name in table.columns if name in COLUMNS or name in NAMES.values()]
    return table[known]


def write_region_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as TSV, as BIDS has it: n/a where there is no value."""
    cells = table.astype(object).where(table.notna(), "n/a")
    path.write_text(csv_of(cells, "\t"), encoding="utf-8", newline="")
