"""The scene: everything that the page needs before it can show anything."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import methods, models, organs
from ivimkit.extend.derived_maps import describe, is_about_another
from ivimkit.figures.map_style import Shown, how_to_show
from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI
from ivimkit.status import explain
from ivimkit.viewer.method_options import describe_options
from ivimkit.viewer.result_counts import ResultCounts
from ivimkit.viewer.result_difference import describe_differences
from ivimkit.viewer.study import Study
from ivimkit.viewer.tissue import Tissue
from ivimkit.viewer.voxel_box import scan_inside

__all__ = ["describe_scene"]

COLOURS = ("gray", "viridis", "plasma", "cividis", "inferno", "turbo", "RdBu_r")
"""Colour maps of the page: those of the figures, and a few to choose from."""

# A sample of this many values is enough for a range, and avoids a second per map.
_SAMPLE = 50_000
# Of a large scan the sample is from this many slices, and every few voxels of their rows.
_SAMPLED_SLICES = 16
_SAMPLED_STEP = 4


def describe_scene(study: Study) -> dict[str, Any]:
    """Return the description of a study for the page.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    dict
    """
    first = study.results[0]
    scan, before, labels = first.dwi, study.acquired, study.labels
    images = [] if scan is None else _images(_sampled(study, scan))
    return {
        "title": " and ".join(study.names),
        "version": version("ivimkit"),
        "shape": study.grid,
        "stride": study.shown.stride,
        "voxel_size": study.geometry.voxel_size,
        "voxel_units": "mm",
        "has_scan": scan is not None,
        "why_no_scan": study.why_no_scan,
        "bvals": first.provenance.bvals if scan is None else scan.fit_bvals,
        "images": images,
        "volumes": [] if scan is None else _volumes(scan, images, "single", ""),
        "acquired": [] if before is None else _acquired(study, before),
        "why_not_acquired": study.why_not_acquired,
        "steps": list(first.provenance.history.names),
        "results": [_result(study, number) for number in range(len(study.results))],
        "differences": describe_differences(study),
        "tissue": dataclasses.asdict(Tissue.of(study)),
        "labels": None if labels is None else {"url": "volumes/labels.nii", "names": labels.names},
        "methods": [describe_options(name) for name in methods.names()],
        "models": [_model(name) for name in models.names()],
        "status": _flags(first),
        "colormaps": {name: _table(name) for name in COLOURS},
    }


def _further(scan: DWI, number: int) -> str:
    """Return the variables that distinguish a shell from others with its b-value."""
    _, _, further = scan.acquisition.shell_names[number].partition(" (")
    return f", {further.removesuffix(')')}" if further else ""


def _images(scan: DWI) -> list[dict[str, Any]]:
    shells = scan.acquisition.shells
    # One column per b-value, even if the fit used every volume separately.
    one_each = scan if scan.average != "none" else scan.with_average("auto")
    reader = one_each.voxels()
    step = max(1, reader.n_voxels // _SAMPLE)
    sample = reader.take(np.arange(0, reader.n_voxels, step))
    values = np.empty((sample.n_voxels, sample.n_columns))
    sample.read(0, sample.n_voxels, values)
    return [
        {
            "id": str(number),
            "label": f"b = {shell.b:g} s/mm²{_further(scan, number)}",
            "b": shell.b,
            "limits": _range(values[:, number]),
            "url": f"volumes/scan/{number}.nii",
        }
        for number, shell in enumerate(shells)
    ]


def _sampled(study: Study, scan: DWI) -> DWI:
    """Return the scan, or some slices of a large one, in which it is fitted."""
    if study.shown.is_whole:
        return scan
    shape = scan.shape
    steps = [*(_SAMPLED_STEP for _ in shape[:-1]), max(1, shape[-1] // _SAMPLED_SLICES)]
    box = tuple(slice(None, None, step) for step in steps)
    part, mask = scan_inside(scan, box), scan.mask[box]
    return part.with_mask(mask) if mask.any() else part


def _acquired(study: Study, scan: DWI) -> list[dict[str, Any]]:
    """Describe the volumes of the scan before the steps."""
    return _volumes(scan, _images(_sampled(study, scan)), "acquired", ", as acquired")


def _volumes(
    scan: DWI, images: list[dict[str, Any]], kind: str, which: str
) -> list[dict[str, Any]]:
    """Describe the single volumes of a scan; each has the range of the mean of its shell."""
    shells = {v: n for n, shell in enumerate(scan.acquisition.shells) for v in shell.volumes}
    return [
        {
            "id": str(number),
            "label": f"volume {stored}, {images[shells[number]]['label']}{which}",
            "limits": images[shells[number]]["limits"],
            "url": f"volumes/{kind}/{number}.nii",
        }
        for number, stored in enumerate(scan.volumes.tolist())
    ]


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    high = float(np.percentile(finite, 99.5))
    low = min(0.0, float(finite.min()))
    return low, high if high > low else low + 1.0


def _result(study: Study, number: int) -> dict[str, Any]:
    result, counts = study.results[number], study.counts[number]
    return {
        "id": str(number),
        "name": study.names[number],
        "model": result.model.name,
        "equation": result.model.equation,
        "method": result.method.name,
        "options": result.method.options(),
        "favourite": _favourite(result),
        "maps": [_map(study, number, name) for name in result.maps],
        "status_url": f"volumes/{number}/status.nii",
        "status": _flags(result),
        "grades": _grades(result, counts),
        "grades_url": f"volumes/{number}/grades.nii",
        "voxels": counts.voxels,
        "status_counts": dict(result.provenance.status_counts) or result.counts(),
        "bounds": {p.name: (p.lower, p.upper) for p in result.model.parameters},
        "report": f"report/{number}",
    }


def _favourite(result: FitResult) -> str:
    """Return the map to look at first: the diffusion of tissue, or else the ADC."""
    adc, *others = result.model.robust_maps
    return next((n for n in others if n in result.maps and _is_diffusion(result, n)), adc)


def _is_diffusion(result: FitResult, name: str) -> bool:
    return describe(name, result.model.quantities).role == "diffusion"


def _map(study: Study, number: int, name: str) -> dict[str, Any]:
    result = study.results[number]
    parameters = result.model.quantities
    about = describe(name, parameters)
    limits = _organ_ranges(result)
    stored = []
    if name not in limits and not all(math.isfinite(end) for end in about.display):
        values = result.maps[name][study.box()].ravel(order="K")
        stored = [values[:: max(1, values.size // _SAMPLE)]]
    shown = how_to_show(name, parameters, stored, limits)
    low, high = shown.limits
    return {
        "name": name,
        "symbol": shown.symbol,
        "label": shown.label,
        "description": about.description,
        "unit": about.unit,
        "factor": shown.factor,
        "unit_shown": shown.unit,
        "limits": (low / shown.factor, high / shown.factor),
        "colormap": shown.colours,
        "about_another": is_about_another(name, result.maps),
        "doubtful": _doubtful(study.counts[number], number, name),
        "url": f"volumes/{number}/{name}.nii",
    }


def _doubtful(counts: ResultCounts, number: int, name: str) -> dict[str, Any] | None:
    """Return the voxels of a map to fade: address, number, why; None if there are none."""
    found = counts.doubtful[name]
    if not found.n:
        return None
    why = "not reliable" if found.hatched else "uncertain"
    return {"url": f"volumes/{number}/doubtful/{name}.nii", "n": found.n, "why": why}


def _grades(result: FitResult, counts: ResultCounts) -> list[dict[str, Any]]:
    """Return the colours of the status, in words and with the voxels that have them."""
    about = explain(result.model)
    return [
        {
            "name": grade.name,
            "colour": grade.colour,
            "words": grade.words,
            "sentence": about[grade.flag][1],
            "advice": about[grade.flag][2],
            "shown": grade.shown,
            "total": grade.total,
        }
        for grade in counts.grades
    ]


def _organ_ranges(result: FitResult) -> Mapping[str, tuple[float, float]]:
    """Return the ranges of the organ that the fit was for, as its figures have them."""
    organ = result.settings.organ
    return organs.get(organ).display if organ else {}


def _model(name: str) -> dict[str, Any]:
    model = models.get(name)
    return {
        "name": name,
        "title": model.title,
        "equation": model.equation,
        "parameters": [
            {
                "name": parameter.name,
                "symbol": parameter.symbol,
                "unit": parameter.unit,
                "factor": shown.factor,
                "unit_shown": shown.unit,
                "bounds": (parameter.lower, parameter.upper),
                "start": parameter.start,
            }
            for parameter in model.parameters
            for shown in [how_to_show(parameter.name, model.parameters, [])]
        ],
    }


def _flags(result: FitResult) -> list[dict[str, Any]]:
    return [
        {"flag": flag, "name": name, "sentence": sentence, "advice": advice}
        for flag, (name, sentence, advice) in explain(result.model).items()
    ]


def _table(name: str) -> dict[str, list[int]]:
    """Return a colour map for NiiVue: red, green, blue, alpha at positions 0 to 255."""
    colormap = Shown("", "", 1.0, (0.0, 1.0), name).colormap.resampled(256)
    colours = (colormap(np.arange(256)) * 255).round().astype(int)
    red, green, blue, _ = colours.T.tolist()
    return {"R": red, "G": green, "B": blue, "A": [255] * 256, "I": list(range(256))}
