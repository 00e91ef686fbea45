"""region_estimates(): the number of each map to report for a region, with its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ivimkit.extend.derived_maps import describe
from ivimkit.parameter import Parameter
from ivimkit.quality.central_values import Estimate, of_mean_signal
from ivimkit.quality.contrast_verdict import Evidence, evidence_of
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult

__all__ = ["RegionEstimate", "region_estimates"]


@dataclass(frozen=True)
class RegionEstimate:
    """The number of a map to report for a region.

    Parameters
    ----------
    region, map : str
        Names of both.
    parameter : Parameter
        Describes the map.
    basis : {"voxels", "mean signal", "none"}
        What the number rests on: the median of the reliable voxels; the fit of the mean signal,
        where too few are reliable; nothing, where there is no such fit.
    estimate : Estimate
        The number and its 95 % limits.
    why : str
        Why there is none, or why it is in doubt; empty otherwise.
    """

    region: str
    map: str
    parameter: Parameter
    basis: str
    estimate: Estimate
    why: str = ""


def region_estimates(
    result: FitResult,
    labels: Labels,
    maps: Sequence[str],
    *,
    means: FitResult | None = None,
    reliable_only: bool = True,
) -> tuple[RegionEstimate, ...]:
    """Return the number to report of each region and map, by the rule that compares regions.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : Labels
        The regions.
    maps : sequence of str
        The maps.
    means : FitResult, optional
        What `ivimkit.quality.roi_fit` returned for these labels.
    reliable_only : bool
        Whether to leave out voxels whose value is not reliable.

    Returns
    -------
    tuple of RegionEstimate
        Region by region.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.quality.region_estimates import region_estimates
    >>> made = ik.simulate.phantom(shape=(32, 24, 2))
    >>> labels = ik.Labels(made.labels == 1, {1: "liver"})
    >>> (found,) = region_estimates(ik.fit(made.dwi), labels, ["D"])
    >>> found.basis, bool(found.estimate.low < 1.1e-3 < found.estimate.high)
    ('voxels', True)
    """
    found = []
    for name in maps:
        parameter = describe(name, result.model.quantities)
        values, unreliable = result.maps[name], result.unreliable(name)
        for position, region in enumerate(labels):
            signal = Estimate()
            if means is not None:
                signal = of_mean_signal(means, name, position, parameter)
            _, evidence = evidence_of(
                values, unreliable, labels[region], signal, reliable_only=reliable_only
            )
            found.append(_chosen(region, name, parameter, evidence))
    order = {region: position for position, region in enumerate(labels)}
    return tuple(sorted(found, key=lambda one: order[one.region]))


def _chosen(region: str, name: str, parameter: Parameter, of: Evidence) -> RegionEstimate:
    if of.enough:
        return RegionEstimate(region, name, parameter, "voxels", of.voxels)
    if of.signal.known:
        return RegionEstimate(region, name, parameter, "mean signal", of.signal)
    why = f"only {of.n} of {of.of} voxels are reliable" if of.of else "no voxel has a value"
    return RegionEstimate(region, name, parameter, "none", Estimate(), why)
