"""Agreement of the voxels of a region with the fit of its mean signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from ivimkit.extend.derived_maps import describe
from ivimkit.fitting.result import FitResult
from ivimkit.quality.central_values import difference_of, of_mean_signal, of_voxels
from ivimkit.quality.region_fit import roi_fit
from ivimkit.quality.table_rows import labelled
from ivimkit.rounding import in_unit, shown_unit
from ivimkit.scan.blocks import finite
from ivimkit.scan.labels import Labels

__all__ = ["MIN_DISAGREEMENT", "Disagreement", "disagreements"]

MIN_DISAGREEMENT = 0.2
"""Share of the larger value: noise and mixed tissue explain less."""


@dataclass(frozen=True)
class Disagreement:
    """A map of a region in which the voxels and the mean signal disagree.

    Parameters
    ----------
    region, map : str
        Names of the region and of the map.
    voxels : float
        Median of the reliable voxels.
    signal : float
        The fit of the mean signal.
    sentence : str
        Description in words, without the region.
    """

    region: str
    map: str
    voxels: float
    signal: float
    sentence: str

    @property
    def size(self) -> float:
        """Difference relative to the larger one."""
        return abs(self.voxels - self.signal) / max(abs(self.voxels), abs(self.signal))


def disagreements(
    result: FitResult,
    labels: ArrayLike | Labels,
    label_names: Mapping[int, str] | None = None,
    *,
    means: FitResult | None = None,
    maps: Sequence[str] | None = None,
) -> tuple[Disagreement, ...]:
    """Find the regions whose voxels and mean signal disagree.

    The fit of the mean signal is hardly affected by noise, voxels hardly by mixing: where the
    median of the reliable voxels and the fit of the mean differ by more than their 95 % limits
    allow, and by more than 20 %, neither number represents the region.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : Labels or array_like of int, shape of the maps
        Region of each voxel; 0 is none.
    label_names : mapping of int to str, optional
        Names of the regions.
    means : FitResult, optional
        What `roi_fit` returned for these labels; by default computed here.
    maps : sequence of str, optional
        Which maps, of those in the fit; by default ADC, D and f: those of the model that do not
        describe blood alone.

    Returns
    -------
    tuple of Disagreement
        The largest first.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, or there is no region.
    OptionError
        If the mean signals cannot be fitted, see `roi_fit`.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1), snr=100)
    >>> ik.quality.disagreements(ik.fit(made.dwi), made.labels == 1)
    ()
    """
    known = labelled(labels, result, label_names)
    fits = roi_fit(result, known) if means is None else means
    found = []
    wanted = result.model.robust_maps if maps is None else maps
    for name in (name for name in wanted if name in result.maps):
        parameter = describe(name, result.model.quantities)
        values, reliable = result.maps[name], ~result.unreliable(name)
        for position, region in enumerate(known):
            voxels = of_voxels(finite(values[known[region] & reliable]))
            signal = of_mean_signal(fits, name, position, parameter)
            difference = difference_of(voxels, signal)
            if not difference.known or difference.low <= 0.0 <= difference.high:
                continue
            unit = shown_unit(parameter)
            said = (
                f"{parameter.symbol} is {in_unit(parameter, voxels.value)} in the median voxel "
                f"and {in_unit(parameter, signal.value)} in the mean signal"
                f"{f' ({unit})' if unit else ''}"
            )
            one = Disagreement(region, name, voxels.value, signal.value, said)
            if one.size > MIN_DISAGREEMENT:
                found.append(one)
    return tuple(sorted(found, key=lambda one: -one.size))
