"""Pictures of steps before the fit, from the numbers in their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ivimkit.errors import OptionError
from ivimkit.figures.drift_panel import drift_panel
from ivimkit.figures.picture import Picture
from ivimkit.figures.screening_panels import screening_panels
from ivimkit.fitting.screening import Screening
from ivimkit.scan.history import StepRecord

__all__ = ["step_pictures"]


def step_pictures(record: StepRecord) -> list[Picture]:
    """Return the pictures of a step; none where there is nothing to show.

    Parameters
    ----------
    record : StepRecord
        What the step did. From a file, its numbers may be damaged: then there is no picture.
    """
    draw = _PICTURES.get(record.name)
    if draw is None:
        return []
    try:
        return [draw(record.numbers)]
    except OptionError:
        return []


def _of_drift(numbers: Mapping[str, Any]) -> Picture:
    return Picture(
        drift_panel(numbers),
        "Signal of the images at b = 0, the median over the voxels of the body, and the fit "
        "through them that all volumes were divided by.",
    )


def _of_outliers(numbers: Mapping[str, Any]) -> Picture:
    return Picture(
        screening_panels(Screening.of_numbers(numbers)),
        "Measured divided by fitted signal of each volume, and the share of its values that were "
        "left out before the fit, by slice. A frame is a volume that was left out of the slice.",
    )


_PICTURES: dict[str, Callable[[Mapping[str, Any]], Picture]] = {
    "drift": _of_drift,
    "outliers": _of_outliers,
}
