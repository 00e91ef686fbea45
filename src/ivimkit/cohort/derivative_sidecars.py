"""Sidecars of maps with the keys of BIDS, from those that ivimkit writes otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ivimkit.cohort.subjects import Subject

__all__ = ["bids_sidecar", "sources_of"]

_OF_MODEL = {
    "Model": "Name",
    "ModelTitle": "Description",
    "Equation": "Equation",
    "Method": "FitMethod",
    "MethodTitle": "FitMethodDescription",
    "MethodOptions": "FitMethodOptions",
    "Uncertainty": "Uncertainty",
    "UncertaintyTitle": "UncertaintyDescription",
    "UncertaintyOptions": "UncertaintyOptions",
    "Prior": "Prior",
}
_STATUS = "status.nii.gz"


def bids_sidecar(
    content: Mapping[str, Any], sources: Sequence[str], status: str
) -> dict[str, Any]:
    """Return the sidecar of a map with what BEP 16 expects: Sources, Units and a Model.

    Parameters
    ----------
    content : mapping
        The sidecar as `ivimkit.save` writes it.
    sources : sequence of str
        The files that the map was made from, as URIs of BIDS.
    status : str
        Name of the file of the status map.
    """
    known = {key: content[key] for key in content if key not in _OF_MODEL}
    model = {name: content[key] for key, name in _OF_MODEL.items() if key in content}
    title = model.pop("Description", model.get("Name", ""))
    named = {
        key: value.replace(_STATUS, status) if isinstance(value, str) else value
        for key, value in known.items()
    }
    return {
        **named,
        "Model": {"Description": title, "Parameters": model},
        "Sources": list(sources),
    }


def sources_of(subject: Subject, datasets: Mapping[str, Path]) -> list[str]:
    """Return the inputs of a scan as URIs of BIDS, such as ``bids:raw:sub-01/dwi/...``.

    Parameters
    ----------
    subject : Subject
        The scan.
    datasets : mapping of str to Path
        The data sets by name, ``raw`` among them. Of a file in none of them only the name is
        given.
    """
    return [_uri(path, datasets) for path in subject.inputs]


def _uri(path: Path, datasets: Mapping[str, Path]) -> str:
    # The innermost comes first: derivatives often lie in the data set itself.
    for name, root in sorted(datasets.items(), key=lambda pair: -len(pair[1].parts)):
        if path.is_relative_to(root):
            return f"bids:{name}:{path.relative_to(root).as_posix()}"
    return path.name
