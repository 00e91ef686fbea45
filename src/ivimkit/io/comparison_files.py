"""save_comparison: which model each voxel deserves, as a folder of maps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.io.map_files import save_map, write_image
from ivimkit.io.record import write_json
from ivimkit.io.result_files import FIGURES, MASK, check_mask_free, files_of
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.io.scan_files import AnyPath
from ivimkit.parameter import Parameter
from ivimkit.writing import Files, write_files

if TYPE_CHECKING:
    from ivimkit.fitting.comparison import Comparison

__all__ = ["FIGURE", "TABLE", "check_comparison", "save_comparison", "save_comparison_with"]

TABLE = "table.csv"
"""Name of the table in the folder of a comparison."""

FIGURE = f"{FIGURES}/comparison.png"
"""Name of the figure in the folder of a comparison."""

_RECORD = "comparison.json"
_VERSION = 1
_USUAL_MAPS = ("chosen", "D_averaged", "f_averaged")
_WEIGHTS = {
    "aicc": "Akaike weight",
    "bic": "weight by BIC",
    "f_test": "1 where the F-test chose the model, 0 elsewhere",
    "evidence": "posterior probability, all models equally probable before",
}
_AVERAGED = {
    "D": (
        "Diffusion coefficient of all models, averaged with their weights; the ADC stands for D "
        "in a model with one decay",
        "mm^2/s",
    ),
    "f": (
        "Perfusion fraction of all models, averaged with their weights; 0 in a model without",
        "1",
    ),
}


def check_comparison(folder: AnyPath, *, overwrite: bool = False) -> None:
    """Refuse a folder that holds a comparison, before the work of one.

    Parameters
    ----------
    folder : path
        Where the comparison is to be saved.
    overwrite : bool
        Whether an earlier comparison may be replaced.

    Raises
    ------
    OutputExistsError
        If a comparison is there, or the folder is a file.
    """
    names = [_RECORD, *(f"{name}.nii.gz" for name in _USUAL_MAPS)]
    check_free(absolute(folder), names, overwrite=overwrite)


def save_comparison(comparison: Comparison, folder: AnyPath, *, overwrite: bool = False) -> None:
    """Save a comparison: ``chosen.nii.gz``, weights, averages, and ``comparison.json``.

    The maps are ``chosen`` (position of the model, -1 for none; the sidecar and
    ``comparison.json`` name them), ``weight_<model>``, ``D_averaged`` and ``f_averaged``, each
    with a sidecar; and ``mask.nii.gz``, if ivimkit has found the mask. All files appear at once,
    complete, or not at all. Table and figure of an earlier comparison go with it; other files in
    the folder stay. The fits themselves are saved by `save`, each into a folder of its own.

    Parameters
    ----------
    comparison : Comparison
        What `ivimkit.compare` returned.
    folder : path
        Where to; made if it is not there.
    overwrite : bool
        Whether an earlier comparison may be replaced.

    Raises
    ------
    OutputExistsError
        If a comparison is there and overwriting was not asked for.
    InputError
        If the files cannot be written.

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
    save_comparison_with(comparison, folder, overwrite=overwrite)


def save_comparison_with(
    comparison: Comparison, folder: AnyPath, *further: Files, overwrite: bool = False
) -> None:
    """Save a comparison like `save_comparison`, together with files that are made from it.

    Parameters
    ----------
    comparison : Comparison
        The comparison.
    folder : path
        Where to.
    *further : Files
        Its table and figure. Those of an earlier comparison go in any case.
    overwrite : bool
        Whether an earlier comparison may be replaced.
    """
    target = absolute(folder)
    maps = [*_USUAL_MAPS, *(f"weight_{name}" for name in comparison.names)]
    names = [f"{name}{suffix}" for name in maps for suffix in (".nii.gz", ".json")]
    if _found_mask(comparison) is not None:
        names.append(MASK)
        check_mask_free(target, _RECORD)
    names.append(_RECORD)
    check_free(target, names, overwrite=overwrite)
    outdated = [*files_of(target, _RECORD), TABLE, FIGURE]
    write_files(target, *further, Files(names, partial(_write, comparison, names), outdated))


def _found_mask(comparison: Comparison) -> NDArray[np.bool_] | None:
    """Return the mask of the fits, if ivimkit has made it; None for that of somebody else."""
    result = next(iter(comparison.results.values()))
    return result.mask if result.provenance.options.get("mask_origin") else None


def _maps(comparison: Comparison) -> Iterator[tuple[str, NDArray[Any], dict[str, Any]]]:
    """Yield name, array and sidecar of every map, made one at a time."""
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
    yield "chosen", comparison.chosen, {**chosen, **common}
    for model in comparison.names:
        name, what = f"weight_{model}", _WEIGHTS[comparison.criterion]
        about = {"Name": name, "Description": f"Of model {model}: {what}", "Units": "1"}
        yield name, comparison.weights[model], {**about, **common, **missing}
    averaged = comparison.averaged
    for quantity, (what, unit) in _AVERAGED.items():
        about = {"Name": f"{quantity}_averaged", "Description": what, "Units": unit}
        yield f"{quantity}_averaged", averaged[quantity], {**about, **common, **missing}


def _shown(comparison: Comparison, name: str, unit: str) -> Parameter:
    """Return what the header of a map says of it."""
    display = (math.nan, math.nan)
    if name.startswith("weight_"):
        display = (0.0, 1.0)
    for result in comparison.results.values():
        for parameter in result.model.parameters:
            if name == f"{parameter.name}_averaged":
                display = parameter.display
    unit = "" if unit == "1" else unit
    return Parameter(name, name, unit, -math.inf, math.inf, 0.0, display)


def _write(comparison: Comparison, names: list[str], folder: Path) -> None:
    for name, array, about in _maps(comparison):
        shown = _shown(comparison, name, str(about["Units"]))
        write_image(folder / f"{name}.nii.gz", array, comparison.geometry, shown)
        write_json(folder / f"{name}.json", about)
    inside = _found_mask(comparison)
    if inside is not None:
        save_map(inside.astype(np.uint8), folder / MASK, comparison.geometry)
    record = {
        "format": "ivimkit comparison",
        "format_version": _VERSION,
        "models": list(comparison.names),
        "left_out": dict(comparison.left_out),
        "criterion": comparison.criterion,
        "alpha": comparison.alpha if comparison.criterion == "f_test" else None,
        "references": list(comparison.references),
        "fits": {
            name: {"equation": result.model.equation, **result.provenance.to_dict()}
            for name, result in comparison.results.items()
        },
        "files": names,
    }
    write_json(folder / _RECORD, record)
