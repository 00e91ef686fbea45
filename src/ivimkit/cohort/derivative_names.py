"""Names of the files of a result, as the draft of BIDS for diffusion derivatives has them.

BEP 16 is not final: all names are made here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath

from ivimkit.cohort.entities import name_of
from ivimkit.cohort.subjects import Subject
from ivimkit.extend.derived_maps import SUFFIXES

__all__ = [
    "IGNORED",
    "figure_name",
    "folder_of",
    "map_name",
    "mask_name",
    "model_label",
    "record_name",
    "regions_name",
    "report_name",
]

IGNORED = ("*_dwimap.*", "*_regions.*", "*.html", "group_*", "figures", "log", "priors")
"""Patterns of files that BIDS does not know yet. A slash at the end would match no folder."""

_MODELS = {"biexp": "ivim"}
_DESCRIPTIONS = {"lo": "lower", "hi": "upper", "lo50": "lower50", "hi50": "upper50"}
_FIXED = "fixed_"


def model_label(model: str) -> str:
    """Return the label of a model, by its name."""
    return _MODELS.get(model, _plain(model))


def folder_of(subject: Subject) -> PurePosixPath:
    """Return the folder of the maps of a scan, in that of its subject."""
    session = subject.session
    return PurePosixPath("dwi") if session is None else PurePosixPath(f"ses-{session}", "dwi")


def map_name(subject: Subject, model: str, name: str, names: Collection[str]) -> str:
    """Return the name of the file of a map, without its ending.

    Parameters
    ----------
    subject : Subject
        The scan.
    model : str
        Name of the model of this map.
    name : str
        The map.
    names : collection of str
        All maps of the result.

    Examples
    --------
    >>> from pathlib import Path
    >>> from ivimkit.cohort.derivative_names import map_name
    >>> from ivimkit.cohort.subjects import Subject
    >>> subject = Subject({"sub": "01", "ses": "1"}, Path("dwi.nii.gz"))
    >>> map_name(subject, "biexp", "D_star_lo", ["D_star", "D_star_lo"])
    'sub-01_ses-1_model-ivim_param-Dstar_desc-lower_dwimap'
    """
    parameter, description = _parts(name, names)
    entities = {**subject.entities, "model": model_label(model), "param": _plain(parameter)}
    if description:
        entities["desc"] = description
    return f"{name_of(entities)}_dwimap"


def mask_name(subject: Subject) -> str:
    """Return the name of the mask that ivimkit found, without its ending."""
    return f"{name_of({**subject.entities, 'desc': 'tissue'})}_mask"


def regions_name(subject: Subject, model: str) -> str:
    """Return the name of the table of regions, without its ending."""
    return f"{name_of({**subject.entities, 'model': model_label(model)})}_regions"


def record_name(subject: Subject, what: str) -> str:
    """Return the path of a file about the fit, in the folder of the subject."""
    return f"log/{subject.name}_{what}"


def figure_name(subject: Subject, what: str) -> str:
    """Return the path of a figure, in the folder of the subject."""
    return f"figures/{subject.name}_{what}"


def report_name(subject: Subject) -> str:
    """Return the name of the report, in the output folder."""
    return f"{subject.name}.html"


def _parts(name: str, names: Collection[str]) -> tuple[str, str]:
    """Return the parameter that a map is about, and what it says of it."""
    if name.startswith(_FIXED):
        return name.removeprefix(_FIXED), "fixed"
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        base = name.removesuffix(suffix)
        if base != name and base in names:
            word = suffix.removeprefix("_")
            return base, _DESCRIPTIONS.get(word, _plain(word))
    return name, ""


def _plain(name: str) -> str:
    """Return a name as a label of BIDS: letters and digits only."""
    return re.sub(r"[^0-9a-zA-Z]", "", name)
