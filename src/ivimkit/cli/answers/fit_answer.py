"""fit_answer: what ``ivimkit fit --json`` says of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ivimkit.cli.answers.json_answer import Row
from ivimkit.cli.answers.table_answers import FitAnswer, FittedScan, StatusForm
from ivimkit.fitting.result import FitResult
from ivimkit.quality import main_maps, summary_rows
from ivimkit.quality.status_checks import status_rows

__all__ = ["fit_answer", "fitted_scan"]


def fit_answer(scans: Sequence[FittedScan]) -> FitAnswer:
    """Return the document of all scans."""
    units = {str(row["map"]): str(row["unit"]) for scan in scans for row in scan.maps}
    return FitAnswer(units=units, scans=list(scans))


def fitted_scan(scan: str, result: FitResult, folder: Path) -> FittedScan:
    """Return what there is to say of a fit.

    Parameters
    ----------
    scan : str
        Name of the scan.
    result : FitResult
        The fit.
    folder : Path
        Where its maps are.
    """
    record = result.provenance
    return FittedScan(
        scan=scan,
        folder=str(folder),
        model=result.model.name,
        method=result.method.name,
        n_voxels=int(result.codes.inside.total),
        seconds=record.seconds,
        threads=record.threads,
        maps=_maps(result),
        status=[
            StatusForm(row.words, int(row.n), row.share, row.sentence)
            for row in status_rows(result)
        ],
    )


def _maps(result: FitResult) -> list[Row]:
    names = main_maps(result)
    errors = {name: f"{name}_sd" for name in names if f"{name}_sd" in result.maps}
    sds = summary_rows(result, list(errors.values())) if errors else {}
    rows: list[Row] = []
    for name, row in summary_rows(result, names).items():
        sd = {"sd": sds[errors[name]]["median"]} if name in errors else {}
        rows.append({"map": name, **row, **sd})
    return rows
