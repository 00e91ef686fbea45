"""Entities: the parts of a file name of BIDS, such as sub-01 and acq-ivim."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ivimkit.errors import OptionError
from ivimkit.io.gradient_files import stem_of

__all__ = ["NAMES", "Entities", "entities_of", "label_of", "name_of", "short_name", "suffix_of"]

Entities = Mapping[str, str]
"""Labels by the short names of the entities, such as ``{"sub": "01", "acq": "ivim"}``."""

NAMES = {
    "sub": "subject",
    "ses": "session",
    "sample": "sample",
    "task": "task",
    "acq": "acquisition",
    "ce": "ceagent",
    "rec": "reconstruction",
    "dir": "direction",
    "run": "run",
    "echo": "echo",
    "flip": "flip",
    "inv": "inversion",
    "part": "part",
    "space": "space",
    "seg": "segmentation",
    "res": "resolution",
    "den": "density",
    "label": "label",
    "model": "model",
    "param": "parameter",
    "desc": "description",
}
"""Short and long names of the entities, in the order of file names."""

_PART = re.compile(r"([a-z]+)-([0-9a-zA-Z]+)")
_LABEL = re.compile(r"[0-9a-zA-Z]+")


def entities_of(path: Path) -> dict[str, str] | None:
    """Return the entities of a file name; None if it is not a name of BIDS.

    Examples
    --------
    >>> from pathlib import Path
    >>> from ivimkit.cohort.entities import entities_of
    >>> entities_of(Path("sub-01_acq-ivim_dwi.nii.gz"))
    {'sub': '01', 'acq': 'ivim'}
    """
    *parts, _ = stem_of(path).split("_")
    found = [_PART.fullmatch(part) for part in parts]
    if not found or not all(found):
        return None
    entities = {match[1]: match[2] for match in found if match}
    return entities if len(entities) == len(parts) and "sub" in entities else None


def suffix_of(path: Path) -> str:
    """Return the suffix of a file name: ``dwi`` of ``sub-01_dwi.nii.gz``."""
    return stem_of(path).split("_")[-1]


def name_of(entities: Entities) -> str:
    """Return entities as the beginning of a file name.

    Examples
    --------
    >>> from ivimkit.cohort.entities import name_of
    >>> name_of({"acq": "ivim", "sub": "01"})
    'sub-01_acq-ivim'
    """
    order = {name: place for place, name in enumerate(NAMES)}
    shown = sorted(entities, key=lambda name: order.get(name, len(order)))
    return "_".join(f"{name}-{entities[name]}" for name in shown)


def short_name(name: str) -> str:
    """Return the short name of an entity, which may be given by either of its names.

    Raises
    ------
    OptionError
        If there is no such entity.
    """
    for short, long in NAMES.items():
        if name in (short, long):
            return short
    raise OptionError(
        f"there is no entity {name!r}; expected one of {', '.join(NAMES.values())}. Correct "
        "the name"
    )


def label_of(text: str, entity: str) -> str:
    """Return a label that may have been given with the entity: ``sub-01`` or ``01``.

    Raises
    ------
    OptionError
        If it is not made of letters and digits.
    """
    label = text.removeprefix(f"{entity}-")
    if not _LABEL.fullmatch(label):
        raise OptionError(
            f"{text!r} is not a label of {NAMES[entity]}; expected letters and digits, like "
            f"{entity}-01 or 01. Correct it"
        )
    return label
