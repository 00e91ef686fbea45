"""Checks of voxels, made in each region whose numbers are reported: the worst of them counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ivimkit.quality.traffic_light import THRESHOLDS, WORST_FIRST, Light
from ivimkit.rounding import percent, several, thousands
from ivimkit.status import FitStatus

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult
    from ivimkit.scan.labels import Labels

__all__ = ["in_each", "named", "outside_mask", "parts_of"]

_MAX_NAMES = 3


def parts_of(result: FitResult, labels: Labels | None) -> Iterator[tuple[str, FitResult]]:
    """Go through the regions, each as the result if the region were its mask.

    Without regions, it is the result itself, without a name. One after the other: a scan may have
    a hundred regions.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : Labels, optional
        The regions.
    """
    if labels is None:
        yield "", result
        return
    outside = int(FitStatus.OUTSIDE_MASK)
    for name in labels:
        yield name, replace(result, status=np.where(labels[name], result.status, outside))


def in_each(
    result: FitResult, labels: Labels | None, judge: Callable[[FitResult], Iterable[Light]]
) -> Iterator[Light]:
    """Make checks in each region, so that a small region counts as much as a large one.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : Labels, optional
        The regions; by default the whole mask.
    judge : callable
        Makes the checks of one of them.

    Yields
    ------
    Light
        One of each name: the worst, which tells its region.
    """
    found: dict[str, dict[str, Light]] = {}
    for region, part in parts_of(result, labels):
        for light in judge(part):
            found.setdefault(light.name, {})[region] = light
    yield from map(_worst, found.values())


def _worst(lights: Mapping[str, Light]) -> Light:
    worst = min(lights.values(), key=lambda light: WORST_FIRST.index(light.colour))
    first, *others = [name for name, light in lights.items() if light.colour == worst.colour]
    if not first:
        return worst
    likewise = f" Likewise {worst.word}: {named(others)}." if others else ""
    return replace(
        lights[first],
        reason=f"{first}: {lights[first].reason}{likewise}",
        region=named([first, *others]),
    )


def named(regions: Iterable[str]) -> str:
    """Write the names of some regions, the number of those after the third: ``a, b and c``."""
    names = list(regions)
    if len(names) > _MAX_NAMES + 1:
        names = [*names[:_MAX_NAMES], several(len(names) - _MAX_NAMES, "more region")]
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def outside_mask(result: FitResult, labels: Labels | None) -> Iterator[Light]:
    """Judge the voxels of regions that were not fitted because the mask leaves them out, if any.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : Labels, optional
        The regions.
    """
    check = "region outside the mask"
    if labels is None:
        return
    found, outside = {}, ~result.mask
    for name in labels:
        region = labels[name]
        n, missing = int(region.sum()), int(np.count_nonzero(region & outside))
        share = f"{thousands(missing)} of {thousands(n)} voxels ({percent(missing / n)})"
        found[name] = Light(
            check,
            THRESHOLDS[check].colour(missing / n),
            f"{share} are outside the mask, and were not fitted.",
            "Fit with a mask that includes the region, or draw the region inside the mask.",
        )
    if any(light.colour != "green" for light in found.values()):
        yield _worst(found)
