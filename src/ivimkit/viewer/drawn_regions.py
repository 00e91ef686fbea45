"""Drawn regions: their table, mean signals, and comparison."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import io, quality
from ivimkit.errors import OptionError, ShapeError
from ivimkit.fitting.result import FitResult
from ivimkit.io.names_of_labels import with_names
from ivimkit.scan.blocks import finite
from ivimkit.scan.labels import Labels
from ivimkit.viewer.loaded_labels import MAX_LABEL, zipped
from ivimkit.viewer.study import Study
from ivimkit.viewer.voxel_answer import averaged, fit_entry, one_voxel
from ivimkit.viewer.voxel_box import box_around, inside_box

__all__ = ["Drawing", "describe_regions", "drawn_mask", "numbers_of", "region_csv"]

_STATISTICS = ("n", "missing", "reliable", "mean", "sd", "median", "q25", "q75")
_NUMBER = re.compile("[0-9]{1,3}")
_MAX_NAME_LENGTH = 40


@dataclass(frozen=True)
class Drawing:
    """A drawing sent by the page.

    Parameters
    ----------
    image : bytes
        NIfTI image on the grid that is shown, compressed or not; numbers 0 to 255, 0 is no region.
        Of a large scan each of its voxels is a block of the whole grid, see `Study.shown`.
    loaded : bytes
        Of a large scan, the labels of the whole grid that the drawing began with, as an image;
        empty if it began with nothing.
    result : int
        Index of the result.
    names : str
        Names of the numbers, ``1:lesion,2:liver``.
    reference : str or None
        Name of the region that another one is compared with; the second one by default.
    most : int
        Maximum number of bytes of the decompressed image.
    """

    image: bytes = field(repr=False)
    loaded: bytes = field(default=b"", repr=False)
    result: int = 0
    names: str = ""
    reference: str | None = None
    most: int = 1 << 30


def describe_regions(study: Study, drawing: Drawing) -> dict[str, Any]:
    """Return statistics, mean fit and comparison of the regions of a drawing.

    Parameters
    ----------
    study : Study
        The study.
    drawing : Drawing
        The regions.

    Returns
    -------
    dict
        ``regions``, the values of `ivimkit.quality.roi_table` and `ivimkit.quality.roi_fit`, or
        ``why_no_fit`` where the mean signal of a region cannot be fitted; ``comparison`` of two of
        them, the values of `ivimkit.quality.compare_regions`.

    Raises
    ------
    InputError
        If the image is not valid, has another grid, or is empty.
    """
    result, labels = _looked_at(study, drawing)
    table: Any = quality.roi_table(result, labels, mean_fit=False)
    status: Any = quality.roi_status(result, labels)
    regions = []
    for number, name in labels.names.items():
        rows, inside = table.loc[name], labels.array == number
        counts = status.loc[name]
        region = {
            "number": number,
            "name": name,
            "n": int(counts["voxels"]),
            "volume_ml": float(counts["volume_ml"]),
            "diameter_mm": float(counts["diameter_mm"]),
            "maps": [
                {
                    "map": row,
                    **{key: rows.loc[row, key] for key in _STATISTICS},
                    **_range(result.maps[row][inside]),
                }
                for row in rows.index
            ],
            **_mean_fit(result, labels, number),
        }
        regions.append(region)
    return {"regions": regions, **_comparison(result, labels, drawing.reference)}


def region_csv(study: Study, drawing: Drawing) -> str:
    """Return the table of the regions of a drawing as CSV.

    Raises
    ------
    InputError
        If the image is not valid, has another grid, or is empty.
    """
    result, labels = _looked_at(study, drawing)
    try:
        means: FitResult | bool = result.dwi is not None and quality.roi_fit(result, labels)
    except OptionError:
        # The page says why.
        means = False
    return io.csv_of(quality.roi_table(result, labels, mean_fit=means))


def _looked_at(study: Study, drawing: Drawing) -> tuple[FitResult, Labels]:
    """Return regions and result in the box around the drawing; the rest does not matter."""
    numbers = numbers_of(study, drawing)
    box = box_around(numbers != 0)
    result = inside_box(study.results[drawing.result], box)
    return result, Labels(numbers[box], _names(drawing.names))


def numbers_of(study: Study, drawing: Drawing) -> NDArray[np.uint8]:
    """Return the numbers of a drawing, shape of the maps.

    In blocks of a large scan that still show what was loaded, they are the labels that were
    loaded, voxel by voxel; in those that were drawn or erased, the number of the block. A region
    that is no longer among the names has been removed.

    Raises
    ------
    ShapeError
        If the image has another grid than the study.
    OptionError
        If its numbers are not 0 to 255.
    """
    grid = study.shown
    drawn = _numbers(drawing.image, grid.shape, drawing.most)
    numbers = grid.filled(drawn)
    if drawing.loaded:
        loaded = _numbers(drawing.loaded, grid.whole, drawing.most)
        named = np.isin(np.arange(MAX_LABEL + 1), [0, *_names(drawing.names)])
        before = grid.highest(loaded)
        same = (drawn == before) | ((drawn == 0) & ~named[before])
        numbers = np.where(grid.filled(same), loaded * named[loaded], numbers)
    return numbers.reshape(study.shape)


def _numbers(image: bytes, expected: tuple[int, ...], most: int) -> NDArray[np.uint8]:
    """Return the numbers of an image of that shape."""
    array, _ = io.image_of_bytes(image, most=most)
    trimmed = array.reshape(array.shape[:3]) if array.size == np.prod(array.shape[:3]) else array
    if trimmed.shape != expected:
        raise ShapeError(
            f"the drawing has shape {array.shape}; expected {expected}, that of the maps. Draw "
            "on the grid of the scan"
        )
    small = trimmed.min() >= 0 and trimmed.max() <= MAX_LABEL
    if not small or (trimmed.dtype.kind == "f" and bool((trimmed != np.rint(trimmed)).any())):
        raise OptionError(
            f"the drawing contains {trimmed.min():g} to {trimmed.max():g}; expected whole numbers "
            f"from 0 to {MAX_LABEL}"
        )
    return trimmed.astype(np.uint8)


def drawn_mask(study: Study, drawing: Drawing) -> bytes:
    """Return a drawing as a ``.nii.gz`` file on the grid of the scan, with names in its header.

    Raises
    ------
    InputError
        If the image is not valid, or has another grid.
    """
    image = io.image_bytes(numbers_of(study, drawing), study.geometry)
    return zipped(with_names(image, _names(drawing.names)))


def _names(text: str) -> dict[int, str]:
    """Read ``1:lesion,2:liver``."""
    named: dict[int, str] = {}
    for word in filter(None, text.split(",")):
        number, colon, name = word.partition(":")
        valid = _NUMBER.fullmatch(number.strip()) is not None and int(number) <= MAX_LABEL
        if not (colon and name.strip() and valid):
            shown = word if len(word) <= _MAX_NAME_LENGTH else f"{word[:_MAX_NAME_LENGTH]}..."
            raise OptionError(
                f"names holds {shown!r}; expected something like 1:lesion,2:liver, with numbers "
                f"up to {MAX_LABEL}"
            )
        named[int(number)] = name.strip()
    return named


def _range(values: NDArray[Any]) -> dict[str, float]:
    """Return the smallest and the largest value; NaN if there is none."""
    known = finite(values)
    if not known.size:
        return {"min": np.nan, "max": np.nan}
    return {"min": float(known.min()), "max": float(known.max())}


def _mean_fit(result: FitResult, labels: Labels, number: int) -> dict[str, Any]:
    """Return the fit of the mean signal of a region, or why there is none.

    A note is added if the voxels disagree with it. Each is fitted separately: method bayes may
    have a prior for only one of them.
    """
    if result.dwi is None:
        return {"fit": None, "why_no_fit": None, "note": None}
    name = labels.names[number]
    region = Labels(labels[number] * np.int32(number), {number: name})
    try:
        mean = quality.roi_fit(result, region)
    except OptionError as error:
        return {"fit": None, "why_no_fit": f"No fit of the mean signal: {error}.", "note": None}
    disagreements = quality.disagreements(result, region, means=mean)
    said = "; ".join(one.sentence for one in disagreements)
    alone = one_voxel(mean.scan(), (0,))
    entry = fit_entry(mean, mean.at((0,)), int(mean.status[0]), alone)
    fit = {"id": f"region {name}", "name": name, "averaged": averaged(alone), **entry}
    note = f"Voxels and mean signal disagree: {said}." if disagreements else None
    return {"fit": fit, "why_no_fit": None, "note": note}


def _comparison(result: FitResult, labels: Labels, reference: str | None) -> dict[str, Any]:
    """Compare the first region that is not the reference with the reference."""
    names = list(labels)
    if reference is not None and reference not in names:
        raise OptionError(
            f"the reference is {reference!r}; expected one of the regions, {', '.join(names)}"
        )
    if len(names) < 2:
        return {"comparison": [], "compared": None, "sentence": None}
    other = names[1] if reference is None else reference
    lesion = next(name for name in names if name != other)
    table = quality.compare_regions(result, labels[lesion], labels[other])
    rows = [
        {
            "map": name,
            "difference": row["difference"],
            "error": max(row["lesion_sd"], row["reference_sd"]),
            "ratio": row["ratio"],
            "cnr": row["cnr"],
            "hedges_g": row["g"],
            "auc": row["auc"],
            "p": row["p"],
        }
        for name, row in table.to_dict("index").items()
    ]
    return {
        "comparison": rows,
        "compared": [lesion, other],
        "sentence": quality.sentence(table, reference=other),
    }
