"""BidsFilters: which files of a data set are taken, as in the filter files of fMRIPrep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ivimkit.cohort.entities import Entities, short_name
from ivimkit.errors import FileFormatError, OptionError
from ivimkit.io.gradient_files import text_of
from ivimkit.io.untrusted_files import untrusted

__all__ = ["BidsFilters", "read_filters"]

_KINDS = ("dwi", "mask", "labels")
_GIVE = 'Write something like {"dwi": {"acquisition": "ivim"}}'

Wanted = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class BidsFilters:
    """Labels that files must have; an entity with the label ``""`` must be absent.

    Parameters
    ----------
    dwi, mask, labels : mapping of str to tuple of str
        For scans, masks and label images: allowed labels by the short name of the entity.
    """

    dwi: Wanted = field(default_factory=dict)
    mask: Wanted = field(default_factory=dict)
    labels: Wanted = field(default_factory=dict)

    def takes(self, kind: str, entities: Entities) -> bool:
        """Return whether a file with these entities is taken."""
        wanted: Wanted = getattr(self, kind)
        return all(_same(entities.get(name, ""), labels) for name, labels in wanted.items())


def read_filters(path: Path) -> BidsFilters:
    """Read a filter file: JSON with an object for ``dwi``, ``mask`` or ``labels``.

    Parameters
    ----------
    path : Path
        Each object contains labels by the name of the entity, long or short: a label, a list of
        them, or null for files without the entity.

    Raises
    ------
    FileFormatError
        If it cannot be read, or is not JSON.
    OptionError
        If it contains something unknown.
    """
    with untrusted(lambda why: FileFormatError(f"{path}: {why}; expected JSON. {_GIVE}")):
        content = json.loads(text_of(path, "JSON", _GIVE))
    if not isinstance(content, dict):
        raise FileFormatError(f"{path} does not contain an object; expected one. {_GIVE}")
    for kind in content:
        if kind not in _KINDS:
            raise OptionError(
                f"{path} has filters of {kind!r}; expected some of {', '.join(_KINDS)}. {_GIVE}"
            )
    return BidsFilters(**{kind: _wanted(path, kind, content[kind]) for kind in content})


def _wanted(path: Path, kind: str, given: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, dict):
        raise OptionError(
            f"{path}: the filters of {kind} are {given!r:.60}; expected labels by the names of "
            f"entities. {_GIVE}"
        )
    return {short_name(name): _labels(path, name, value) for name, value in given.items()}


def _labels(path: Path, name: str, value: Any) -> tuple[str, ...]:
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    if not values or not all(
        one is None or (isinstance(one, str | int) and not isinstance(one, bool)) for one in values
    ):
        raise OptionError(
            f"{path}: {name} is {value!r:.60}; expected a label, a list of labels, or null for "
            "files without it. Correct the file"
        )
    return tuple("" if one is None else str(one) for one in values)


def _same(label: str, wanted: Sequence[str]) -> bool:
    # The index run-01 is the number 1.
    return any(
        label == one or (label.isdigit() and one.isdigit() and int(label) == int(one))
        for one in wanted
    )
