"""The table of regions of one scan, in the long format of the whole cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ivimkit.cohort.entities import NAMES
from ivimkit.cohort.subjects import Subject
from ivimkit.extend.derived_maps import describe
from ivimkit.io.table_files import csv_of
from ivimkit.quality.distribution import centre_and_spread
from ivimkit.scan.labels import Labels
from ivimkit.status import FitStatus

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

_MM3_PER_ML = 1000.0
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
    # Imported here: it takes a fifth of a second.
    import pandas as pd

    regions = Labels(np.asarray(result.mask, np.int32), {1: WHOLE}) if labels is None else labels
    # Positions, not masks: with a hundred regions, the whole volume would be searched for each.
    inside = {region: np.nonzero(np.atleast_1d(regions[region])) for region in regions}
    whole = {region: _of_region(result, at) for region, at in inside.items()}
    rows = []
    for name in _maps(result):
        values, reliable = np.atleast_1d(result.maps[name], result.reliable(name))
        unit = describe(name, result.model.quantities).unit
        for region, at in inside.items():
            numbers = centre_and_spread(values[at])
            n_reliable = int(np.count_nonzero(np.isfinite(reliable[at])))
            row = {"region": region, "map": name, "unit": unit, **numbers, "reliable": n_reliable}
            rows.append({**id_columns(subject), **row, **whole[region]})
    table = pd.DataFrame(rows)
    further = [name for name in table.columns if name not in COLUMNS]
    ids = [name for name in list(COLUMNS)[:2] if name in table.columns]
    return table[[*ids, *further, *(name for name in COLUMNS if name not in _IDS.values())]]


def _maps(result: FitResult) -> list[str]:
    """Return the maps that a group is about: those of the tissue, and how well the model fits."""
    shown = (*result.model.shown_maps, "S0", "rmse")
    return [name for name in dict.fromkeys(shown) if name in result.maps]


def _of_region(result: FitResult, at: Any) -> dict[str, float]:
    """Return what is the same for all maps of a region."""
    status = np.atleast_1d(result.status)[at]
    voxel = abs(float(np.linalg.det(result.geometry.affine[:3, :3])))
    return {
        "share_ok": float(np.count_nonzero(status == FitStatus.OK) / status.size),
        "volume_ml": status.size * voxel / _MM3_PER_ML,
    }


def write_region_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as TSV, as BIDS has it: n/a where there is no value."""
    cells = table.astype(object).where(table.notna(), "n/a")
    path.write_text(csv_of(cells, "\t"), encoding="utf-8", newline="")
