"""The table of regions of one scan, in the long format of the whole cohort."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ivimkit.cohort.entities import NAMES
from ivimkit.cohort.subjects import Subject
from ivimkit.extend.derived_maps import describe
from ivimkit.io.table_cells import escaped, guarded
from ivimkit.quality.distribution import centre_and_spread
from ivimkit.scan.labels import Labels
from ivimkit.status import FitStatus

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = [
    "COLUMNS",
    "NUMBERS",
    "WHOLE",
    "id_columns",
    "region_rows",
    "write_region_rows",
    "write_region_table",
]

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


def region_rows(
    subject: Subject, result: FitResult, labels: Labels | None
) -> list[dict[str, Any]]:
    """Return one row per region and map of a scan.

    No table of pandas: making and writing one takes as long as the fit of a small scan.

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
    list of dict
        With the columns of `COLUMNS`, and one for each further entity of the scan.
    """
    regions = Labels(np.asarray(result.mask, np.int32), {1: WHOLE}) if labels is None else labels
    # Positions, not masks: with a hundred regions, the whole volume would be searched for each.
    inside = {region: np.nonzero(np.atleast_1d(regions[region])) for region in regions}
    whole = {region: _of_region(result, at) for region, at in inside.items()}
    ids = id_columns(subject)
    order = [*ids, *(name for name in COLUMNS if name not in _IDS.values())]
    # As everywhere, subject and session come before other entities.
    order.sort(key=lambda name: name not in _IDS.values())
    rows = []
    for name in _maps(result):
        values, reliable = np.atleast_1d(result.maps[name], result.reliable(name))
        unit = describe(name, result.model.quantities).unit
        for region, at in inside.items():
            numbers = centre_and_spread(values[at])
            n_reliable = int(np.count_nonzero(np.isfinite(reliable[at])))
            own = {"region": region, "map": name, "unit": unit, "reliable": n_reliable}
            row = {**ids, **own, **numbers, **whole[region]}
            rows.append({column: row[column] for column in order})
    return rows


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


def write_region_rows(
    path: Path, rows: Sequence[Mapping[str, Any]], columns: Iterable[str] = COLUMNS
) -> None:
    """Write rows as TSV, as BIDS has it: n/a where there is no value.

    Parameters
    ----------
    path : Path
        The file.
    rows : sequence of mapping
        The rows, all with the same columns.
    columns : iterable of str
        Those of a table without rows.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(rows[0] if rows else columns)
        writer.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return guarded(escaped(value))
    return "n/a" if value is None or value != value else value


def write_region_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table in the same way."""
    cells = table.astype(object).where(table.notna(), None)
    rows: list[Any] = cells.to_dict("records")
    write_region_rows(path, rows, table.columns)
