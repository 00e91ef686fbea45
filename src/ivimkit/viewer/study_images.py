"""The images of a study as the bytes of NIfTI files.

Of a large scan they have the voxels of `Study.shown`. Each can also be asked for at one voxel of
the whole grid: an image of that voxel alone, with its value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import io
from ivimkit.errors import OptionError
from ivimkit.figures.reliability import doubtful_voxels
from ivimkit.figures.status_panels import graded
from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI
from ivimkit.scan.labels import Labels
from ivimkit.viewer.shown_grid import Box
from ivimkit.viewer.study import Study
from ivimkit.viewer.voxel_box import FittedVoxels, inside_box, moved, scan_inside

Voxel = Sequence[int]

__all__ = [
    "acquired_image",
    "as_image",
    "by_parts",
    "doubtful_image",
    "given_labels",
    "grade_image",
    "label_image",
    "map_image",
    "scan_image",
    "shown_labels",
    "smallest",
    "volume_image",
]


def scan_image(study: Study, number: str, at: Voxel | None = None) -> bytes:
    """Return the averaged image of a b-value of the first result's scan, as float32.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the b-value among those of the scan.
    at : sequence of int, optional
        x, y and z, to have the value of that voxel alone.

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
    return as_image(study, _shell_image(study, dwi, position, at), at)


def _shell_image(study: Study, dwi: DWI, position: int, at: Voxel | None) -> NDArray[Any]:
    if at is not None:
        return scan_inside(dwi, study.box(at)).shell_image(position)
    if study.shown.is_whole:
        return dwi.shell_image(position)
    return by_parts(study, np.float32, lambda box: scan_inside(dwi, box).shell_image(position))


def by_parts(
    study: Study, dtype: type[np.generic], image: Callable[[Box], NDArray[Any]]
) -> NDArray[Any]:
    """Return an image of the voxels that are shown, of which some slices are made at a time."""
    n_axes = len(study.shape)
    made = np.empty(study.shown.shape[:n_axes], dtype=dtype, order="F")
    for slab, box in study.shown.parts(n_axes):
        made[slab] = image(box)
    return made


def volume_image(study: Study, number: str, at: Voxel | None = None) -> bytes:
    """Return a volume of the first result's scan, as float32.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the volume among those of the scan.
    at : sequence of int, optional
        As of `scan_image`.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        If there is no such volume, or no scan.
    """
    return _volume(study, study.scan(0), number, at)


def acquired_image(study: Study, number: str, at: Voxel | None = None) -> bytes:
    """Return a volume of the first result's scan before the steps, as float32.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the volume among those of that scan.
    at : sequence of int, optional
        As of `scan_image`.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        If there is no such volume, or no scan before the steps.
    """
    return _volume(study, study.acquired_scan(), number, at)


def _volume(study: Study, dwi: DWI, number: str, at: Voxel | None) -> bytes:
    position = _position(number, dwi.acquisition.n_volumes, "volume")
    part: tuple[Any, ...] = (*study.box(at), int(dwi.volumes[position]))
    return as_image(study, np.asarray(dwi.stored[part], dtype=np.float32), at)


def as_image(study: Study, image: NDArray[Any], at: Voxel | None = None) -> bytes:
    """Return an array as the bytes of an image: of what is shown, or of one voxel."""
    whole = study.geometry
    where = study.shown.geometry(whole) if at is None else moved(whole, study.box(at))
    return io.image_bytes(image, where)


def _position(number: str, n: int, what: str) -> int:
    """Return a position among n that a request names; OptionError for another one."""
    if number not in map(str, range(n)):
        raise OptionError(f"there is no {what} {number!r}; expected 0 to {n - 1}")
    return int(number)


def map_image(study: Study, number: str, name: str, at: Voxel | None = None) -> bytes:
    """Return a map of a result as float32, or its status as int32.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the result.
    name : str
        Name of the map.
    at : sequence of int, optional
        As of `scan_image`.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        If there is no such result or map.
    """
    result = study.results[study.result(number)]
    if name != "status" and name not in result.maps:
        there = ", ".join([*result.maps, "status"])
        raise OptionError(f"there is no map {name!r}; expected one of {there}")
    if at is not None:
        result = inside_box(dataclasses.replace(result, dwi=None), study.box(at))
    array: NDArray[Any] = result.status if name == "status" else result.maps[name]
    return as_image(study, array if at is not None else array[study.box()], at)


def grade_image(study: Study, number: str, at: Voxel | None = None) -> bytes:
    """Return the status of a result for colouring: the index of each voxel's worst flag.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the result.
    at : sequence of int, optional
        As of `scan_image`.

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
    position = study.result(number)
    found = study.counts[position].grades
    return _made(study, study.results[position], at, lambda part: graded(part, found))


def doubtful_image(study: Study, number: str, name: str, at: Voxel | None = None) -> bytes:
    """Return the voxels in which a map of a result is not reliable or uncertain, as 1.

    Raises
    ------
    OptionError
        If there is no such result or map.
    """
    result = study.results[study.result(number)]
    if name not in result.maps:
        raise OptionError(f"there is no map {name!r}; expected one of {', '.join(result.maps)}")
    return _made(
        study, result, at, lambda part: (doubtful_voxels(part, name) > 0).astype(np.uint8)
    )


def _made(
    study: Study,
    result: FitResult,
    at: Voxel | None,
    image: Callable[[FitResult], NDArray[Any]],
) -> bytes:
    """Return an image of small numbers of the voxels in the mask, and 0 elsewhere."""
    if at is None and study.shown.is_whole:
        return as_image(study, image(result))

    def inside(box: Box) -> NDArray[Any]:
        fitted = FittedVoxels.of(result, box)
        return fitted.image(image(fitted.result))

    made = inside(study.box(at)) if at is not None else by_parts(study, np.uint8, inside)
    return as_image(study, made, at)


def label_image(study: Study) -> bytes:
    """Return the regions of the study.

    Raises
    ------
    OptionError
        If there are none.
    """
    return as_image(study, shown_labels(study, smallest(given_labels(study).array)))


def given_labels(study: Study) -> Labels:
    """Return the regions of the study; OptionError if there are none."""
    if study.labels is None:
        raise OptionError(
            "there are no labels; expected a study with labels. Give them (--labels)"
        )
    return study.labels


def shown_labels(study: Study, labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return labels of the whole grid as the page shows them: the highest in each block."""
    return labels if study.shown.is_whole else study.shown.highest(labels.reshape(study.grid))


def smallest(labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return labels in the smallest sufficient type: that of a drawing, if possible."""
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    for dtype in (np.uint8, np.int16):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return labels.astype(dtype)
    return labels
