"""save_comparison: the selected model of each voxel, as a folder of maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ivimkit.io.map_folder import MapFolder, SavedMap, found_mask
from ivimkit.io.record import fit_record
from ivimkit.io.record_form import FORMAT, ComparisonRecord
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.io.result_names import FIGURES
from ivimkit.io.scan_files import AnyPath
from ivimkit.parameter import Parameter

if TYPE_CHECKING:
    from ivimkit.fitting.comparison import Comparison

__all__ = [
    "COMPARISON_RECORD",
    "FIGURE",
    "REPORT",
    "TABLE_FORMATS",
    "check_comparison",
    "comparison_folder",
    "save_comparison",
    "table_name",
]

TABLE_FORMATS = ("csv", "tsv", "json")
"""Formats of the table in the folder of a comparison."""

REPORT = "report.html"
"""Name of the report in the folder of a comparison."""

FIGURE = f"{FIGURES}/comparison.png"
"""Name of the figure in the folder of a comparison."""

COMPARISON_RECORD = "comparison.json"
"""Name of the record in the folder of a comparison."""

_USUAL_MAPS = ("chosen", "D_averaged", "f_averaged")
_WEIGHTS = {
    "aicc": "Akaike weight",
    "bic": "weight by BIC",
    "f_test": "1 where the F-test chose the model, 0 elsewhere",
    "evidence": "posterior probability; prior: all models equally probable",
}
_AVERAGED = {
    "D": (
        "Diffusion coefficient of all models, averaged with their weights; the ADC stands for D "
        "in a model with one decay",
        "mm^2/s",
    ),
    "f": (
        "Perfusion fraction of all models, averaged with their weights; 0 for a model without one",
        "1",
    ),
}


def table_name(format: str) -> str:
    """Return the name of the table in the folder of a comparison, by its format."""
    return f"table.{format}"


def check_comparison(folder: AnyPath, *, overwrite: bool = False) -> None:
    """Refuse a folder that contains a comparison, before the work starts.

    Parameters
    ----------
    folder : path
        Where the comparison is to be saved.
    overwrite : bool
        Whether an earlier comparison may be replaced.

    Raises
    ------
    OutputExistsError
        If a comparison exists, or the folder is a file.
    """
    names = [COMPARISON_RECORD, *(f"{name}.nii.gz" for name in _USUAL_MAPS)]
    check_free(absolute(folder), names, overwrite=overwrite)


def save_comparison(comparison: Comparison, folder: AnyPath, *, overwrite: bool = False) -> None:
    """Save a comparison: ``chosen.nii.gz``, weights, averages, and ``comparison.json``.

    The maps are ``chosen`` (position of the model, -1 for none; the sidecar and
    ``comparison.json`` name them), ``weight_<model>``, ``D_averaged`` and ``f_averaged``, each
    with a sidecar; and ``mask.nii.gz``, if ivimkit found the mask. All files appear at once,
    complete, or not at all. Table, report and figure of an earlier comparison are removed; other
    files are kept. The fits themselves are saved by `save`, each into a separate folder.

    Parameters
    ----------
    comparison : Comparison
        What `ivimkit.compare` returned.
    folder, overwrite
        As in `save`, with the same errors: an earlier comparison is replaced only on request.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> comparison = ik.compare(ik.simulate.phantom(shape=(12, 10, 1)).dwi)
    >>> out = Path(tempfile.mkdtemp()) / "out"
    >>> ik.save_comparison(comparison, out)
    >>> (out / "weight_biexp.nii.gz").exists()
    True
    """
    comparison_folder(comparison).save(folder, overwrite=overwrite)


def comparison_folder(comparison: Comparison) -> MapFolder:
    """Return everything that is saved for a comparison."""
    return MapFolder(
        record=COMPARISON_RECORD,
        maps=list(_maps(comparison)),
        geometry=comparison.geometry,
        make_record=partial(_record, comparison),
        mask=found_mask(next(iter(comparison.results.values()))),
        outdated=lambda _: [*map(table_name, TABLE_FORMATS), REPORT, FIGURE],
    )


def _maps(comparison: Comparison) -> Iterator[SavedMap]:
    """Yield every map with its sidecar."""

    def saved(values: Callable[[], NDArray[Any]], about: dict[str, Any]) -> SavedMap:
        name = str(about["Name"])
        return SavedMap(name, values, _shown(comparison, name, str(about["Units"])), about)

    common = {
        "Models": list(comparison.names),
        "Criterion": comparison.criterion,
        "References": list(comparison.references),
    }
    missing = {"NaN": "outside the mask, or the fit of one of the models failed"}
    chosen = {
        "Name": "chosen",
        "Description": "The model with the highest weight",
        "Units": "1",
        "Values": {
            "-1": "none: outside the mask, or the fit of one of the models failed",
            **{str(index): name for index, name in enumerate(comparison.names)},
        },
    }
    yield saved(lambda: comparison.chosen, {**chosen, **common})
    for model in comparison.names:
        name, what = f"weight_{model}", _WEIGHTS[comparison.criterion]
        about = {"Name": name, "Description": f"Model {model}: {what}", "Units": "1"}
        values = partial(comparison.weights.__getitem__, model)
        yield saved(values, {**about, **common, **missing})
    averaged = comparison.averaged
    for quantity, (what, unit) in _AVERAGED.items():
        about = {"Name": f"{quantity}_averaged", "Description": what, "Units": unit}
        yield saved(partial(averaged.__getitem__, quantity), {**about, **common, **missing})


def _shown(comparison: Comparison, name: str, unit: str) -> Parameter:
    """Return the description of a map for its header."""
    display = (math.nan, math.nan)
    if name.startswith("weight_"):
        display = (0.0, 1.0)
    for result in comparison.results.values():
        for parameter in result.model.parameters:
            if name == f"{parameter.name}_averaged":
                display = parameter.display
    unit = "" if unit == "1" else unit
    return Parameter(name, name, unit, -math.inf, math.inf, 0.0, display)


def _record(comparison: Comparison, files: list[str]) -> ComparisonRecord:
    return ComparisonRecord(
        format="ivimkit comparison",
        format_version=FORMAT,
        models=list(comparison.names),
        left_out=dict(comparison.left_out),
        criterion=comparison.criterion,
        alpha=comparison.alpha if comparison.criterion == "f_test" else None,
        references=list(comparison.references),
        fits={name: fit_record(result) for name, result in comparison.results.items()},
        files=files,
    )
