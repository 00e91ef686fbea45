"""Noise from the residuals of a fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import NoiseError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.noise.floor import above_floor
from ivimkit.noise.measurable import require_measurable
from ivimkit.noise.noise_estimate import NoiseEstimate
from ivimkit.noise.pooling import check_pool, pooled
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.history import History
from ivimkit.scan.value_weights import WeightSummary
from ivimkit.status import at_lower, at_upper

__all__ = ["Fitted", "Record", "Settings", "from_residuals", "of_regions"]


class Record(Protocol):
    """The part of `ivimkit.fitting.result.Provenance` used here; it is in a higher layer."""

    @property
    def bvals(self) -> Sequence[float]:
        """b-value of each value that was fitted, s/mm^2."""
        ...

    @property
    def counts(self) -> Sequence[float]:
        """Weight of each of them."""
        ...

    @property
    def value_weights(self) -> WeightSummary | None:
        """How many values were left out of single voxels."""
        ...

    @property
    def history(self) -> History:
        """What was done to the scan before."""
        ...


class Settings(Protocol):
    """What is needed of `ivimkit.fitting.settings.FitSettings`, which stands in a higher layer."""

    @property
    def average(self) -> str:
        """How volumes of one b-value became one value."""
        ...

    @property
    def weights(self) -> Sequence[float] | None:
        """Weights that were given."""
        ...

    @property
    def averages(self) -> Sequence[float] | None:
        """Number of images behind each volume."""
        ...


class Fitted(Protocol):
    """The part of `ivimkit.FitResult` used here; it is in a higher layer."""

    @property
    def maps(self) -> Mapping[str, NDArray[np.float64]]:
        """Maps, among them ``cost``."""
        ...

    @property
    def status(self) -> NDArray[np.int32]:
        """Status of each voxel."""
        ...

    @property
    def model(self) -> SignalModel:
        """The model."""
        ...

    @property
    def method(self) -> FitMethod:
        """The method."""
        ...

    @property
    def acquisition(self) -> Acquisition:
        """The b-values of the volumes."""
        ...

    @property
    def settings(self) -> Settings:
        """How it was made."""
        ...

    @property
    def provenance(self) -> Record:
        """How it was computed."""
        ...

    def value_counts(self) -> NDArray[np.intp]:
        """Return the number of values of each voxel that have a weight."""
        ...

    def blocks(self) -> Iterator[tuple[tuple[Any, ...], Fitted]]:
        """Go through it, some planes at a time."""
        ...


def from_residuals(
    result: Fitted, *, pool: str = "median", each_voxel: bool = True
) -> NoiseEstimate:
    """Estimate the noise from the residuals of a fit.

    The degrees of freedom of a voxel are the number of fitted values (one per b-value, or one per
    volume if repeats were not averaged) minus the number of free parameters. A parameter at a
    bound is not counted as free, because the data did not determine it; nor is D* where f = 0 or D
    where f = 1, because the signal does not contain them. Values are weighted by their number of
    averages, so sigma is that of one volume. Voxels whose S0 is not above three times the noise do
    not count.

    Parameters
    ----------
    result : FitResult
        The fit.
    pool : {"median", "mean"}
        How voxels become one value. The median is insensitive to a few voxels that the model does
        not describe.
    each_voxel : bool
        Whether to make the map of each voxel as well.

    Returns
    -------
    NoiseEstimate
        With a map of each voxel, if it is wanted.

    Raises
    ------
    NoiseError
        If there are no more values than parameters, no voxel was fitted, residuals are zero, or
        weights other than the number of averages were given.
    OptionError
        If `pool` is unknown.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), snr=50)
    >>> noise = ik.noise.from_residuals(ik.fit(made.dwi))
    >>> bool(abs(noise.sigma / made.sigma - 1) < 0.1), noise.source
    (True, 'residuals')
    """
    check_pool(pool)
    parts, cost, degrees, S0 = _of_voxels(result)
    sigma, total, fitted = _pooled(result, cost, degrees, S0, pool)
    values = degrees_map = None
    if each_voxel:
        found = np.where(fitted, np.sqrt(cost / degrees), np.nan)
        values = _spread(parts, found, result.status.shape, np.nan)
        degrees_map = _spread(parts, np.where(fitted, degrees, 0.0), result.status.shape, 0.0)
    return NoiseEstimate(
        sigma=sigma,
        map=values,
        degrees=total,
        degrees_map=degrees_map,
        source="residuals",
        assumes=_assumes(result),
        n_voxels=int(np.count_nonzero(fitted)),
    )


def of_regions(
    result: Fitted, labels: NDArray[np.integer], *, pool: str = "median"
) -> dict[int, tuple[float, float]]:
    """Estimate the noise of each region from the residuals of a fit, as `from_residuals` does.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : ndarray of int, shape of the maps
        Region of each voxel; 0 is none.
    pool : {"median", "mean"}
        How voxels become one value.

    Returns
    -------
    dict of int to (float, float)
        Standard deviation, a.u., and degrees of freedom of each region; those of which the noise
        cannot be estimated are missing.

    Raises
    ------
    NoiseError
        If the noise cannot be estimated from these residuals in any region.
    OptionError
        If `pool` is unknown.
    """
    check_pool(pool)
    parts, cost, degrees, S0 = _of_voxels(result)
    own = np.concatenate([np.atleast_1d(labels[part.box][part.inside]) for part in parts])
    found: dict[int, tuple[float, float]] = {}
    for region in np.unique(own[own != 0]).tolist():
        inside = own == region
        with suppress(NoiseError):
            sigma, total, _ = _pooled(result, cost[inside], degrees[inside], S0[inside], pool)
            found[int(region)] = (sigma, total)
    return found


def _of_voxels(
    result: Fitted,
) -> tuple[list[_Part], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the residuals of the fitted voxels: cost, degrees of freedom and S0 of each."""
    require_measurable(result.provenance.history, "residuals")
    own = None if result.provenance.value_weights is None else result.value_counts()
    n_values = int(np.count_nonzero(np.asarray(result.provenance.counts) > 0.0))
    if own is not None:
        n_values = int(own.max(initial=0))
    if n_values <= result.model.n_free:
        raise NoiseError(
            f"cannot estimate the noise from these residuals: {n_values} values for the "
            f"{result.model.n_free} free parameters of {result.model.name}; expected "
            "more values than parameters. Use a model with fewer parameters, or take the noise "
            "from repeated volumes",
            python="Use noise.from_repeats",
        )
    one = _weight_of_one_average(result)
    parts = [_part(box, part, own, one) for box, part in result.blocks()]
    cost, degrees, S0 = (
        np.concatenate(numbers)
        for numbers in zip(*((p.cost, p.degrees, p.S0) for p in parts), strict=True)
    )
    if not cost.size:
        raise NoiseError(
            "cannot estimate the noise from these residuals: no voxel has a fit; expected one. "
            "Look at the status map"
        )
    return parts, cost, degrees, S0


def _pooled(
    result: Fitted,
    cost: NDArray[np.float64],
    degrees: NDArray[np.float64],
    S0: NDArray[np.float64],
    pool: str,
) -> tuple[float, float, NDArray[np.bool_]]:
    """Return noise and degrees of freedom of voxels, and which of them are above the floor."""
    fitted = np.ones(cost.shape, dtype=bool)
    if "S0" in result.maps:
        fitted = above_floor(S0[None], np.sqrt(cost)[None], degrees[None], pool)[0]
    sigma, total = pooled(cost[fitted], degrees[fitted], pool)
    if not sigma > 0.0:
        raise NoiseError(
            "cannot estimate the noise from these residuals: they are zero; expected real data. "
            "Check where the signals come from"
        )
    return sigma, total, fitted


@dataclass(frozen=True, eq=False)
class _Part:
    """Residuals of the fitted voxels of some planes."""

    box: tuple[Any, ...]
    inside: NDArray[np.bool_]
    cost: NDArray[np.float64]
    degrees: NDArray[np.float64]
    S0: NDArray[np.float64]


def _part(
    box: tuple[Any, ...], part: Fitted, counts: NDArray[np.intp] | None, weight: float
) -> _Part:
    """Return the residuals of some planes, by the weight of a value of one volume."""
    cost = np.asarray(part.maps["cost"], dtype=np.float64) / weight
    # Where values were left out of a voxel, it has fewer.
    own = part.value_counts() if counts is None else counts[box]
    degrees = own - part.model.n_free + _returned(part.status, part.model)
    inside = np.isfinite(cost) & (degrees > 0.0)
    S0 = np.asarray(part.maps.get("S0", cost), dtype=np.float64)
    numbers = (np.atleast_1d(array[inside]) for array in (cost, degrees, S0))
    return _Part(box, inside, *numbers)


def _spread(
    parts: Sequence[_Part], values: NDArray[np.float64], shape: tuple[int, ...], fill: float
) -> NDArray[np.float64]:
    """Return a map of values of the fitted voxels of all parts."""
    found, start = np.full(shape, fill), 0
    for part in parts:
        stop = start + int(np.count_nonzero(part.inside))
        found[part.box][part.inside] = values[start:stop]
        start = stop
    return found


def _weight_of_one_average(result: Fitted) -> float:
    """Return the weight of a value of one volume; refuse weights that are no number of volumes."""
    of_values = result.provenance.value_weights
    if of_values is not None and of_values.different:
        raise NoiseError(
            "cannot estimate the noise of a volume from these residuals: single values had "
            "weights other than 0 and 1; expected none, or zeros to leave values out. Fit "
            "without weights first"
        )
    weight = np.asarray(result.provenance.counts, dtype=np.float64)
    own = result.settings.average == "none"
    averages = _single(result) if own else _averages(result)
    share = (weight / averages)[weight > 0.0]
    if not np.allclose(share, share[0], rtol=1e-9, atol=0.0):
        raise NoiseError(
            "cannot estimate the noise of a volume from these residuals: the fit had weights that "
            "differ from the numbers of averages; expected none, or zeros to leave volumes out. "
            "Fit without weights first"
        )
    return float(share[0])


def _averages(result: Fitted) -> NDArray[np.float64]:
    """Return the number of volumes with the noise of each average, that of none being 1."""
    acquisition, given = result.acquisition, result.settings.weights
    number = _single(result)
    weights = np.ones(acquisition.n_volumes)
    if given is not None and len(given) == len(weights):
        weights = np.asarray(given, dtype=np.float64)
    parts = [list(shell.volumes) for shell in acquisition.shells]
    pairs = [(weights[part], number[part]) for part in parts]
    return np.array([w.sum() ** 2 / (w**2 / n).sum() if w.any() else 1.0 for w, n in pairs])


def _single(result: Fitted) -> NDArray[np.float64]:
    """Return the number of images behind each volume."""
    given = result.settings.averages
    return np.ones(result.acquisition.n_volumes) if given is None else np.asarray(given, float)


def _returned(status: NDArray[np.int32], model: SignalModel) -> NDArray[np.float64]:
    """Return the number of free parameters not determined by the data, shape (...)."""

    def on(name: str, sides: tuple[int, ...]) -> NDArray[np.bool_]:
        return np.asarray((status & sum(sides)) != 0) & _is_free(model, name)

    fixed_by_data = {
        name: on(name, (at_lower(k), at_upper(k))) for k, name in enumerate(model.names)
    }
    for name in model.fractions:
        k, fraction = model.index(name), model[name]
        own = model.compartment_of(name)
        for compartment in model.compartments:
            # Without its share a compartment has no shape that data could choose: this one where
            # its fraction is 0, all others where it is 1.
            flag, alone = at_lower(k), fraction.lower == 0.0
            if compartment is not own:
                flag, alone = at_upper(k), fraction.upper == 1.0
            for shape in compartment.parameters if alone else ():
                if _is_free(model, shape.name):
                    fixed_by_data[shape.name] |= on(name, (flag,))
    total = np.zeros(status.shape)
    for voxels in fixed_by_data.values():
        total += voxels
    return total


def _is_free(model: SignalModel, name: str) -> bool:
    return not model[name].fixed and name not in model.fixed_maps


def _assumes(result: Fitted) -> str:
    text = (
        f"Model {result.model.name} describes the signal: anything else (kurtosis, "
        "motion, the noise floor) counts as noise."
    )
    if not result.method.full_fit:
        text += (
            f" Method {result.method.name} does not minimise the residuals of all b-values, so "
            "sigma may be too high."
        )
    return text
