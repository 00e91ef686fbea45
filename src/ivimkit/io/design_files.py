"""save_design: a designed protocol as files for the scanner and for the record."""

from __future__ import annotations

import math
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ivimkit.io.gradient_files import write_bvals, write_bvecs
from ivimkit.io.json_text import write_json
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.table_files import write_csv
from ivimkit.io.variable_files import write_variables
from ivimkit.writing import Files, write_files

if TYPE_CHECKING:
    from ivimkit.planning import ProtocolDesign

__all__ = ["DESIGN_RECORD", "check_design", "design_files", "design_record", "save_design"]

DESIGN_RECORD = "protocol.json"
"""Name of the record in the folder of a design."""

_BVALS, _BVECS, _VOLUMES, _TABLE = "dwi.bval", "dwi.bvec", "dwi_volumes.tsv", "protocol.tsv"
_FIGURE = "design.png"


def check_design(folder: AnyPath, *, overwrite: bool = False) -> None:
    """Refuse a folder that contains a design, before the work starts.

    Parameters
    ----------
    folder : path
        Where the design is to be saved.
    overwrite : bool
        Whether an earlier design may be replaced.

    Raises
    ------
    OutputExistsError
        If a design exists, or the folder is a file.
    """
    names = (DESIGN_RECORD, _TABLE, _BVALS, _BVECS, _VOLUMES, _FIGURE)
    check_free(absolute(folder), names, overwrite=overwrite)


def save_design(design: ProtocolDesign, folder: AnyPath, *, overwrite: bool = False) -> None:
    """Save a design: ``dwi.bval``, ``protocol.tsv`` and ``protocol.json``.

    ``dwi.bval`` has the b-value of each volume in the order to acquire them; for a model of more
    variables there are ``dwi_volumes.tsv``, and ``dwi.bvec`` if directions are among them.
    ``protocol.tsv`` has the settings with their averages, ``protocol.json`` also what the design
    was made for and the errors to expect. All files appear at once, complete, or not at all.

    Parameters
    ----------
    design : ProtocolDesign
        What `ivimkit.design` returned.
    folder : path
        Where to; created if needed.
    overwrite : bool
        Whether an earlier design may be replaced.

    Raises
    ------
    OutputExistsError
        If there is an earlier design, and it may not be replaced.
    InputError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> plan = ik.design("liver", snr=40, n=8)
    >>> out = Path(tempfile.mkdtemp()) / "plan"
    >>> ik.save_design(plan, out)
    >>> len((out / "dwi.bval").read_text().split())
    8
    """
    check_design(folder, overwrite=overwrite)
    write_files(absolute(folder), design_files(design))


def design_files(design: ProtocolDesign) -> Files:
    """Return the files of a design, the record last."""
    acquisition = design.acquisition
    names = [_BVALS]
    names += [] if acquisition.bvecs is None else [_BVECS]
    names += [_VOLUMES] if acquisition.variables else []
    names += [_TABLE, DESIGN_RECORD]
    outdated = [name for name in (_BVECS, _VOLUMES, _FIGURE) if name not in names]
    return Files(names, partial(_write, design, names), outdated)


def _write(design: ProtocolDesign, names: list[str], folder: Path) -> None:
    acquisition = design.acquisition
    write_bvals(folder / _BVALS, acquisition.bvals)
    if acquisition.bvecs is not None:
        write_bvecs(folder / _BVECS, acquisition.bvecs)
    if _VOLUMES in names:
        write_variables(folder / _VOLUMES, acquisition)
    write_csv(folder / _TABLE, design.to_dataframe(), "\t")
    write_json(folder / DESIGN_RECORD, design_record(design))


def design_record(design: ProtocolDesign) -> dict[str, Any]:
    """Return the content of ``protocol.json``: the design, its goal and the errors to expect."""
    problem = design.problem
    goal = problem.goal
    known = {} if math.isnan(design.echo_time_ms) else {"echo_time_ms": design.echo_time_ms}
    return {
        "ivimkit": version("ivimkit"),
        "tissues": problem.population.name,
        "model": problem.population.model.name,
        "equation": problem.population.model.equation,
        "snr": problem.snr,
        "noise": goal.noise,
        "criterion": goal.criterion,
        "weights": dict(zip(design.names, map(float, problem.weights), strict=True)),
        "volumes": design.n,
        "settings": {name: list(map(float, v)) for name, v in design.settings.columns.items()},
        "averages": [int(count) for count in design.counts],
        "order": {name: list(map(float, v)) for name, v in design.volumes.items()},
        **known,
        "expected_errors": design.error_table().to_dict(orient="index"),
    }
