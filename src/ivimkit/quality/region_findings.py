"""What residuals show in the regions whose numbers are reported, a small part of many scans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ivimkit.errors import OptionError
from ivimkit.quality.fit_residuals import Residuals, residuals
from ivimkit.quality.region_checks import parts_of
from ivimkit.quality.residual_findings import Finding, misfit, residual_findings

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult
    from ivimkit.scan.labels import Labels

__all__ = ["region_findings"]

MAX_CHANCE = 1e-4
"""Probability with which noise alone may leave residuals as large as those of a misfit."""

_MAX_VOXELS = 20_000
_OF_THE_MODEL = ("model", "method")
_OF_MOTION = ("volume", "slice")


def region_findings(
    result: FitResult, labels: Labels, whole: Sequence[Finding]
) -> tuple[Finding, ...]:
    """Say what the residuals show in regions, and of the scan as a whole.

    Wrong b-values, drift, volumes and slices concern the scan. Whether the model describes the
    signal is judged in each region alone: air and fluid elsewhere in a mask do not matter there,
    and many other voxels must not hide that it does not.

    Parameters
    ----------
    result : FitResult
        The fit, with its scan.
    labels : Labels
        The regions.
    whole : sequence of Finding
        What `residual_findings` returned for all voxels of the mask.

    Returns
    -------
    tuple of Finding
        Those of the scan first; the others have the region in front of their sentence.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.quality.region_findings import region_findings
    >>> made = ik.simulate.phantom(shape=(32, 24, 2))
    >>> region_findings(ik.fit(made.dwi), ik.Labels(made.labels == 1, {1: "liver"}), [])
    ()
    """
    faults = [finding for finding in whole if finding.kind not in _OF_THE_MODEL]
    known = {finding.kind for finding in faults}
    own: list[Finding] = []
    for region, part in parts_of(result, labels):
        try:
            found = residuals(part, most=_MAX_VOXELS)
        except OptionError:
            # Nothing was fitted there, as another check says.
            continue
        if found.unknown:
            return tuple(whole)
        own += [
            replace(
                finding,
                sentence=f"{region}: {finding.sentence}",
                bvals=(),
                cells=(),
                region=region,
            )
            for finding in _of_one(found)
            if finding.kind not in known
        ]
    return (*faults, *own)


def _of_one(found: Residuals) -> Iterator[Finding]:
    """Yield what concerns a region alone."""
    moved = [finding for finding in residual_findings(found) if finding.kind in _OF_MOTION]
    yield from moved or (misfit(found) if _is_no_chance(found) else ())


def _is_no_chance(found: Residuals) -> bool:
    """Return whether the mean residuals of a few voxels are more than their noise."""
    from scipy.special import chdtrc  # Slow to import, and few results have regions.

    used = found.weights > 0.0
    degrees = int(np.count_nonzero(used)) - found.model.n_free
    if degrees < 1 or not np.isfinite(found.noise):
        return False
    return bool(chdtrc(degrees, found.n * np.nansum(found.z[used] ** 2)) < MAX_CHANCE)
