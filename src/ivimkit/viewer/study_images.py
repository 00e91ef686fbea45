"""The images of a study as the bytes of NIfTI files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import io
from ivimkit.errors import OptionError
from ivimkit.figures.reliability import doubtful_voxels
from ivimkit.figures.status_panels import graded, grades
from ivimkit.scan.dwi import DWI
from ivimkit.viewer.study import Study

__all__ = [
    "acquired_image",
    "doubtful_image",
    "grade_image",
    "label_image",
    "map_image",
    "scan_image",
    "volume_image",
]


def scan_image(study: Study, number: str) -> bytes:
    """Return the averaged image of a b-value of the first result's scan, as float32.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the b-value among those of the scan.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        If there is no such b-value, or no scan.
    """
    dwi = study.scan(0)
    position = _position(number, dwi.acquisition.n_shells, "image")
    return io.image_bytes(dwi.shell_image(position), study.geometry)


def volume_image(study: Study, number: str) -> bytes:
    """Return a volume of the first result's scan, as float32.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the volume among those of the scan.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        If there is no such volume, or no scan.
    """
    return _volume(study, study.scan(0), number)


def acquired_image(study: Study, number: str) -> bytes:
    """Return a volume of the first result's scan before the steps, as float32.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the volume among those of that scan.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        If there is no such volume, or no scan before the steps.
    """
    return _volume(study, study.acquired_scan(), number)


def _volume(study: Study, dwi: DWI, number: str) -> bytes:
    position = _position(number, dwi.acquisition.n_volumes, "volume")
    image = np.asarray(dwi.stored[..., dwi.volumes[position]], dtype=np.float32)
    return io.image_bytes(image, study.geometry)


def _position(number: str, n: int, what: str) -> int:
    """Return a position among n that a request names; OptionError for another one."""
    if number not in map(str, range(n)):
        raise OptionError(f"there is no {what} {number!r}; expected 0 to {n - 1}")
    return int(number)


def map_image(study: Study, number: str, name: str) -> bytes:
    """Return a map of a result as float32, or its status as int32.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the result.
    name : str
        Name of the map.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        If there is no such result or map.
    """
    result = study.results[study.result(number)]
    array: NDArray[Any]
    if name == "status":
        array = result.status
    elif name in result.maps:
        array = result.maps[name]
    else:
        there = ", ".join([*result.maps, "status"])
        raise OptionError(f"there is no map {name!r}; expected one of {there}")
    return io.image_bytes(array, study.geometry)


def grade_image(study: Study, number: str) -> bytes:
    """Return the status of a result for colouring: the index of each voxel's worst flag.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the result.

    Returns
    -------
    bytes
        The indices are those of `ivimkit.figures.status_panels.grades`, from 1; 0 outside the
        mask.

    Raises
    ------
    OptionError
        If there is no such result.
    """
    result = study.results[study.result(number)]
    return io.image_bytes(graded(result, grades(result)), study.geometry)


def doubtful_image(study: Study, number: str, name: str) -> bytes:
    """Return the voxels in which a map of a result is not reliable or uncertain, as 1.

    Raises
    ------
    OptionError
        If there is no such result or map.
    """
    result = study.results[study.result(number)]
    if name not in result.maps:
        raise OptionError(f"there is no map {name!r}; expected one of {', '.join(result.maps)}")
    doubtful = doubtful_voxels(result, name) > 0
    return io.image_bytes(doubtful.astype(np.uint8), study.geometry)


def label_image(study: Study) -> bytes:
    """Return the regions of the study.

    Raises
    ------
    OptionError
        If there are none.
    """
    if study.labels is None:
        raise OptionError(
            "there are no labels; expected a study with labels. Give them (--labels)"
        )
    return io.image_bytes(smallest(study.labels.array), study.geometry)


def smallest(labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return labels in the smallest sufficient type: that of a drawing, if possible."""
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    for dtype in (np.uint8, np.int16):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return labels.astype(dtype)
    return labels
