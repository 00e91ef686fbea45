"""The fit of the mean signal of each region, in addition to the fits of its voxels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import uncertainty as estimators
from ivimkit.engine import evaluate
from ivimkit.errors import AcquisitionWarning, OptionError, ShapeError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.adc import ADC
from ivimkit.fitting.decay_curves import fitted_x
from ivimkit.fitting.fit import adc_weight, fit
from ivimkit.fitting.result import FitResult
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.quality.normal_quantile import NORMAL_975
from ivimkit.quality.region_limits import N_NOISY, limits, noisy_signals
from ivimkit.quality.region_noise import (
    MeanSignal,
    VoxelNoise,
    mean_without_floor,
    spread_of_mean,
    voxel_noises,
)
from ivimkit.quality.table_rows import labelled
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI
from ivimkit.scan.labels import Labels
from ivimkit.scan.variables import DIRECTION, B
from ivimkit.status import WITHOUT_FIT, FitStatus

__all__ = ["roi_fit"]

_CHUNK = 1 << 16
# Number of regions whose noisy signals are in memory at a time.
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class _Region:
    """A region, its mean signal as measured and as fitted, and the noise of its voxels."""

    number: int
    name: str
    labels: Labels
    usable: NDArray[np.bool_]
    n: int
    measured: NDArray[np.float64]
    noise: VoxelNoise
    mean: MeanSignal
    weights: NDArray[np.float64]

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Its voxels that have a fit; not kept, as there may be many regions in a large scan."""
        inside: NDArray[np.bool_] = self.usable & (self.labels.array == self.number)
        return inside


def roi_fit(
    result: FitResult,
    labels: ArrayLike | Labels,
    label_names: Mapping[int, str] | None = None,
) -> FitResult:
    """Fit the mean signal of each region as each voxel was fitted.

    The signal is averaged over the voxels of the region that have a fit, b-value by b-value, and
    fitted with the model, the method and the weights of the result, and for method bayes its
    prior. A region of one voxel has the fit of that voxel, with the uncertainty of the result (if
    there is none, curvature, or bootstrap for a method in steps).

    The noise is that of the voxels: given to the fit or found by it, otherwise estimated from the
    least-squares residuals in each voxel. If the method models a noise floor, the floor is that of
    one volume of one voxel, which averaging does not change; it is subtracted before the fit. The
    standard deviation is that noise divided by the root of the number of voxels and of averages,
    assuming independent voxels. Where the mean signal scatters more than that about every sum of
    decays, this scatter is used.

    Limits and standard deviations come from 1024 fits of the mean signal with the same amount of
    noise added again, so they stay inside the bounds of the parameters, and refer to the value
    that the mean signal would have without noise. That value is not the mean of the voxels'
    values: the mean of different decays is not the decay of one tissue. For method bayes they also
    contain the limits of the posterior.

    Parameters
    ----------
    result : FitResult
        The fit, with its scan (``result.dwi``).
    labels : Labels or array_like of int, shape of the maps
        Region of each voxel; 0 is none.
    label_names : mapping of int to str, optional
        Names of the regions.

    Returns
    -------
    FitResult
        Its voxels are the regions, in the order of their numbers, shape (n_regions,): ``maps``,
        ``sd``, ``interval``, ``status``, and ``dwi`` with the mean signals as measured. The map
        ``sigma`` is the noise of one volume of one voxel. A region without a fitted voxel has
        NaN.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, there is no region, or the scan is not the
        one that was fitted.
    OptionError
        If the scan is not available, or method bayes learned priors of several regions and none of
        them has the number or the name of the region to fit.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> means = ik.quality.roi_fit(ik.fit(made.dwi), made.labels)
    >>> means.shape, bool(means.sd["D"][0] < 1e-4)
    ((8,), True)
    """
    known = labelled(labels, result, label_names)
    dwi = _scan_of(result)
    usable = result.fitted_voxels()
    regions = _regions(result, dwi, known, usable)
    methods = [_method(result, f"{region.number:g}", region.name) for region in regions]
    parts: dict[int, FitResult] = {
        position: _voxel(result, dwi, region, methods[position])
        for position, region in enumerate(regions)
        if region.n == 1
    }
    # Together, as most of the time of a small fit is overhead.
    for positions in _alike(regions, methods):
        for start in range(0, len(positions), _AT_ONCE):
            some = positions[start : start + _AT_ONCE]
            fitted = _means(result, [regions[k] for k in some], methods[some[0]])
            parts.update(zip(some, fitted, strict=True))
    return _joined(result, dwi, regions, [parts[k] for k in range(len(regions))])


def _scan_of(result: FitResult) -> DWI:
    """Return the scan, averaged as for the fit: directions apart if the model depends on them."""
    dwi = result.scan().for_variables(result.model.variables)
    if dwi.fit_bvals.size != len(result.provenance.counts):
        raise ShapeError(
            f"the scan has {dwi.fit_bvals.size} values per voxel; expected "
            f"{len(result.provenance.counts)}, those of the fit. Load the result with its own scan"
        )
    return dwi


def _regions(
    result: FitResult, dwi: DWI, labels: Labels, usable: NDArray[np.bool_]
) -> list[_Region]:
    """Return each region with its data to fit."""
    means, variances, numbers = _mean_signals(result, dwi, labels, usable)
    weights, interpolated = _mean_weights(result, dwi, labels, usable)
    b, volumes = dwi.fit_bvals, dwi.fit_averages
    used = np.asarray(result.provenance.counts) > 0.0
    floor, coils = _floor(result.method)
    curves = _curves(result, dwi, used)
    several = [one for one, n in zip(labels.names, numbers, strict=True) if n > 1]
    noises = voxel_noises(result, labels, usable, several)
    regions = []
    for position, (number, name) in enumerate(labels.names.items()):
        n, signal = int(numbers[position]), means[position]
        noise = noises.get(number, VoxelNoise(math.nan, 0.0))
        mean = MeanSignal(signal, np.zeros((b.size, b.size)), math.nan)
        if n > 1 and np.isfinite(signal[used]).all():
            clean, spread = signal.copy(), np.zeros((b.size, b.size))
            follows, scale = np.eye(int(used.sum())), 1.0 / np.sqrt(volumes[used] * n)
            if noise.sigma > 0.0:
                scale = scale * noise.sigma
                for one in curves if floor else ():
                    at = np.flatnonzero(used)[one]
                    clean[at], follows[np.ix_(one, one)], scale[one] = mean_without_floor(
                        b[at], volumes[at], signal[at], variances[position][at], n,
                        noise.sigma, coils, dwi.fit_directions[at],
                    )  # fmt: skip
            scale = scale * np.sqrt(interpolated[position][used])
            factor, degrees = spread_of_mean(
                b[used], volumes[used], clean[used], scale, noise, curves
            )
            if factor > 0.0:
                spread[np.ix_(used, used)] = factor * follows * scale
            mean = MeanSignal(clean, spread, degrees)
        of_region = (labels, usable, n, signal, noise, mean, weights[position])
        regions.append(_Region(number, name, *of_region))
    return regions


def _curves(result: FitResult, dwi: DWI, used: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Return the positions, among the values with a weight, of each curve of b alone.

    To a model of b alone, all values are on one curve; to a model of the direction, those of each
    direction are on another.
    """
    if tuple(result.model.variables) == (B.name,):
        return [np.arange(int(used.sum()))]
    place = np.cumsum(used) - 1
    members = [np.array(one.members, dtype=np.intp) for one in dwi.fit_series]
    if any(axis.name in result.model.variables for axis in DIRECTION):
        vectors = dwi.fit_x([axis.name for axis in DIRECTION]).T
        directions = Acquisition(dwi.fit_bvals, vectors).directions(range(len(vectors)))
        members = [np.intersect1d(one, same) for one in members for same in directions]
    found = [place[one[used[one]]] for one in members]
    # Images at b = 0 may be on several curves; each value is looked at once.
    seen = np.zeros(int(used.sum()), dtype=bool)
    curves = []
    for one in found:
        new = one[~seen[one]]
        seen[new] = True
        curves += [new] if new.size else []
    return curves


def _mean_weights(
    result: FitResult, dwi: DWI, labels: Labels, usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights and variances of the values of each region, shape (n_regions, n_b).

    The weights are those of the fit; where single values had weights, their means over the voxels.
    The variances are those of interpolated values, relative to values as acquired; otherwise 1.
    """
    counts = np.asarray(result.provenance.counts, dtype=np.float64)
    found = np.tile(counts, (len(labels), 1))
    variances = np.ones_like(found)
    if dwi.weights_of_values is None:
        return found, variances
    interpolated = dwi.history.interpolated_weights is not None
    for position, number in enumerate(labels.names):
        inside = usable & (labels.array == number)
        if inside.any():
            reader = dwi.with_mask(inside).voxels()
            own = reader.read_weights(0, reader.n_voxels)
            if interpolated:
                # An interpolated value has less noise, which its neighbours have in common with
                # it: what it is read from has weights whose sum is 1, and so the mean over many
                # voxels has the noise of values as acquired. What one kind of volume does not
                # show of the other stays.
                own = np.minimum(own, dwi.fit_averages)
                there = own > 0.0
                each = np.divide(dwi.fit_averages, own, where=there, out=np.zeros_like(own))
                variances[position] = each.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
                variances[position] = np.maximum(variances[position], 1.0)
            found[position] = own.mean(axis=0)
    found[:, counts == 0.0] = 0.0
    return found, variances


def _mean_signals(
    result: FitResult, dwi: DWI, labels: Labels, usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return mean and variance of the signals of each region, shape (n_regions, n_b), and n.

    A value that was left out of a voxel is that of its fit: the mean over the other voxels alone
    would be that of another tissue.
    """
    wanted = usable & (labels.array != 0)
    n_columns, n_regions = dwi.fit_bvals.size, len(labels)
    total, numbers = np.zeros((n_columns, n_regions)), np.zeros(n_regions, dtype=np.int64)
    square = np.zeros((n_columns, n_regions))
    if wanted.any():
        reader = dwi.with_mask(wanted).voxels()
        x = fitted_x(result.model.variables, dwi)
        regions = np.searchsorted(np.array(list(labels.names)), reader.gather(labels.array))
        numbers = np.bincount(regions, minlength=n_regions)
        for start in range(0, reader.n_voxels, _CHUNK):
            part = regions[start : start + _CHUNK]
            values = np.empty((part.size, n_columns))
            reader.read(start, start + _CHUNK, values)
            if dwi.weights_of_values is not None:
                own = reader.take(np.arange(start, start + part.size))
                params = [own.gather(result.maps[name]) for name in result.model.names]
                fitted = evaluate(result.model, np.stack(params, axis=1), x)
                values = np.where(np.isnan(values), fitted, values)
            for column in range(n_columns):
                total[column] += np.bincount(part, values[:, column], minlength=n_regions)
                square[column] += np.bincount(part, values[:, column] ** 2, minlength=n_regions)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / numbers
        variance = np.maximum(square - numbers * mean**2, 0.0) / (numbers - 1)
    return mean.T, variance.T, numbers


def _floor(method: FitMethod) -> tuple[bool, int]:
    """Return whether a method models a noise floor, and for how many coils."""
    return getattr(method, "noise", "gaussian") != "gaussian", int(getattr(method, "coils", 1))


def _without_floor(method: FitMethod) -> FitMethod:
    """Return the method for a signal whose noise floor was subtracted."""
    if not _floor(method)[0]:
        return method
    options: dict[str, Any] = {"noise": "gaussian"}
    if hasattr(method, "coils"):
        options["coils"] = 1
    return replace(method, **options)


def _alike(regions: Sequence[_Region], methods: Sequence[FitMethod]) -> list[list[int]]:
    """Return the positions of the regions of several voxels, in groups that one call can fit."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for position, (region, method) in enumerate(zip(regions, methods, strict=True)):
        if region.n != 1:
            prior = id(method.prior) if isinstance(method, PosteriorMethod) else 0
            groups.setdefault((prior, _has_noise(region)), []).append(position)
    return list(groups.values())


def _has_noise(region: _Region) -> bool:
    return bool(region.mean.spread.any())


def _means(result: FitResult, regions: Sequence[_Region], method: FitMethod) -> list[FitResult]:
    """Fit the mean signals of some regions, without and with added noise."""
    model = _model(result.model, regions)
    signals = np.array([region.mean.signal for region in regions])
    known = _has_noise(regions[0])
    sizes = np.array([_size(region, result) for region in regions]) if known else None
    weights = np.array([region.weights for region in regions])
    found = _fit(result, signals, weights, model, method, sizes)
    maps, status = dict(found.maps), found.status
    if sizes is None:
        status = status | np.where(status & WITHOUT_FIT == 0, int(FitStatus.SD_NOT_AVAILABLE), 0)
        maps |= {name: np.full(len(regions), np.nan) for name in ("ADC_sd", "ADC_lo", "ADC_hi")}
    else:
        noisy = np.concatenate([noisy_signals(region.mean) for region in regions])
        fixed = {name: np.repeat(values, N_NOISY) for name, values in model.fixed_maps.items()}
        many = replace(model, fixed_maps=fixed)
        spread = _fit(
            result,
            noisy,
            np.repeat(weights, N_NOISY, axis=0),
            many,
            method,
            np.repeat(sizes, N_NOISY),
        )
        wanted = (*model.names, "ADC", *model.further_maps)
        names = [name for name in wanted if name in spread.maps]
        values = {name: spread.maps[name].reshape(len(regions), N_NOISY) for name in names}
        _hold(maps, limits(values, model), isinstance(method, PosteriorMethod))
    if _floor(method)[0]:
        maps |= _misfit(result, regions, found)
    if "sigma" in result.maps:
        maps["sigma"] = np.array([region.noise.sigma for region in regions])
    return [
        replace(
            found,
            maps={name: values[k : k + 1] for name, values in maps.items()},
            status=status[k : k + 1],
            settings=replace(
                found.settings,
                value_weights=False,
                method=method,
                model=replace(
                    model, fixed_maps={name: v[k : k + 1] for name, v in model.fixed_maps.items()}
                ),
            ),
        )
        for k in range(len(regions))
    ]


def _fit(
    result: FitResult,
    signals: NDArray[np.float64],
    weights: NDArray[np.float64],
    model: SignalModel,
    method: FitMethod,
    sizes: NDArray[np.float64] | None,
) -> FitResult:
    """Fit signals without noise floor as the voxels were fitted."""
    alike = (weights == np.asarray(result.provenance.counts)).all()
    with warnings.catch_warnings():
        # The fit of the scan already warned about its b-values.
        warnings.simplefilter("ignore", AcquisitionWarning)
        return fit(
            DWI(signals, _acquired(result), average="none"),
            model=model,
            method=_without_floor(method),
            sigma=sizes,
            weights=result.provenance.counts if alike else weights,
            adc_bvals=result.settings.adc_bvals,
            threads=1,
        )


def _acquired(result: FitResult) -> Acquisition | Sequence[float]:
    """Return the b-values of the fitted values, with all variables for a model that knows more."""
    if tuple(result.model.variables) == (B.name,):
        return result.provenance.bvals
    return _scan_of(result).value_acquisition


def _misfit(
    result: FitResult, regions: Sequence[_Region], found: FitResult
) -> dict[str, NDArray[np.float64]]:
    """Return the distance of the curves from the measured signal, noise floor included."""
    weight = np.asarray(result.provenance.counts)
    used = weight > 0.0
    measured = np.array([region.measured for region in regions])[:, used]
    assert found.dwi is not None
    x = fitted_x(found.model.variables, found.dwi)[..., used]
    curve = evaluate(found.model, found.params, x)
    total = float(weight.sum())
    cost = (weight[used] * (measured - curve) ** 2).sum(axis=1)
    about = measured - (weight[used] * measured).sum(axis=1, keepdims=True) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = 1.0 - cost / (weight[used] * about**2).sum(axis=1)
    return {"cost": cost, "rmse": np.sqrt(cost / total), "r2": r2}


def _size(region: _Region, result: FitResult) -> float:
    """Return the noise of one volume of a mean signal, scaled for its limits."""
    from scipy.special import stdtrit  # Slow to load, and few need it.

    counts = np.asarray(result.provenance.counts)
    used = counts > 0.0
    own = (region.mean.spread**2).sum(axis=1)[used]
    size = math.sqrt(float(np.mean(own * counts[used]))) if used.any() else math.nan
    student = float(stdtrit(max(min(region.mean.degrees, 1e9), 1.0), 0.975) / NORMAL_975)
    return size * student


def _hold(
    maps: dict[str, NDArray[np.float64]],
    found: Mapping[str, NDArray[np.float64]],
    posterior: bool,
) -> None:
    """Add limits to the maps; existing limits of a posterior are widened to contain them."""
    for name, values in found.items():
        suffix = name.rpartition("_")[2]
        parameter = name[: -len(suffix) - 1]
        there = maps.get(name)
        if there is None:
            if suffix in ("sd", "lo", "hi"):
                maps[name] = values
        elif posterior:
            larger = suffix in ("sd", "hi", "hi50")
            maps[name] = np.fmax(there, values) if larger else np.fmin(there, values)
        if suffix in ("lo", "hi") and name in maps:
            choose = np.minimum if suffix == "lo" else np.maximum
            maps[name] = choose(maps[name], maps[parameter])


def _voxel(result: FitResult, dwi: DWI, region: _Region, method: FitMethod) -> FitResult:
    """Fit the single voxel of a region again, for its uncertainty."""
    settings, inside = result.settings, region.inside
    sigma: float | None = None
    if settings.sigma != "map":
        sigma = settings.sigma
    elif "sigma" in result.maps:
        sigma = float(result.maps["sigma"][inside][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AcquisitionWarning)
        one = fit(
            dwi.with_mask(inside),
            model=result.model,
            method=method,
            sigma=sigma,
            uncertainty=_estimator(result, method),
            adc_bvals=settings.adc_bvals,
            threads=1,
            device="cpu",
        )
    maps = {name: np.atleast_1d(values[inside]) for name, values in one.maps.items()}
    if "ADC" not in result.model.names:
        maps |= _adc_limits(one, region.measured, float(maps["cost"][0]))
    # Curvature limits ignore the bounds.
    for p in (*result.model.parameters, *ADC.model.parameters):
        for name in (f"{p.name}_lo", f"{p.name}_hi"):
            if name in maps:
                maps[name] = np.clip(maps[name], p.lower, p.upper)
    made = replace(one.settings, model=_model(result.model, [region]))
    return replace(one, maps=maps, status=one.status[inside], settings=made)


def _adc_limits(
    one: FitResult, signal: NDArray[np.float64], cost: float
) -> dict[str, NDArray[np.float64]]:
    """Return the uncertainty of the ADC of a voxel, from a second fit of the ADC.

    The noise is that of the residuals of the model, not of the ADC: these would include the misfit
    of one decay to two.
    """
    b, weights = np.asarray(one.provenance.bvals), np.asarray(one.provenance.counts)
    sigma = one.settings.sigma
    if sigma is None:
        degrees = max(int(np.count_nonzero(weights)) - one.model.n_free, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = float(np.sqrt(cost / degrees))
        sigma = found if 0.0 < found < np.inf else None
    chosen = one.settings.adc_bvals
    if chosen is not None or tuple(one.model.variables) != (B.name,):
        weights = np.where(adc_weight(chosen, one.scan(), one.model) > 0, weights, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AcquisitionWarning)
        adc = fit(
            DWI(signal[np.newaxis], b, average="none"),
            model=ADC.model,
            method=ADC.method,
            sigma=sigma,
            uncertainty="curvature",
            weights=weights,
            threads=1,
        )
    return {name: adc.maps[name] for name in ("ADC_sd", "ADC_lo", "ADC_hi")}


def _joined(
    result: FitResult, dwi: DWI, regions: Sequence[_Region], parts: Sequence[FitResult]
) -> FitResult:
    """Return the fits of all regions as one result."""
    names = dict.fromkeys(name for part in parts for name in part.maps)
    nothing = np.full(1, np.nan)
    first = parts[0]
    means = DWI([region.measured for region in regions], dwi.value_acquisition, average="none")
    model = replace(
        first.model,
        fixed_maps={
            name: np.concatenate([part.model.fixed_maps[name] for part in parts])
            for name in result.model.fixed_maps
        },
    )
    return replace(
        first,
        maps={
            name: np.concatenate([part.maps.get(name, nothing) for part in parts])
            for name in names
        },
        status=np.concatenate([part.status for part in parts]),
        acquisition=means.acquisition,
        dwi=means,
        source_context=None,
        geometry=means.geometry,
        settings=replace(
            first.settings,
            model=model,
            sigma=result.settings.sigma,
            noise=result.settings.noise,
            weights=result.settings.weights,
            average="none",
            call="ivimkit.quality.roi_fit",
        ),
        provenance=replace(
            first.provenance,
            counts=list(result.provenance.counts),
            region_voxels={region.name: region.n for region in regions},
        ),
    )


def _model(model: SignalModel, regions: Sequence[_Region]) -> SignalModel:
    """Return the model with the maps that fix a parameter as their means in the regions."""
    means = {
        name: np.array([values[one.inside].mean() if one.n else np.nan for one in regions])
        for name, values in model.fixed_maps.items()
    }
    return replace(model, fixed_maps=means)


def _method(result: FitResult, number: str, name: str) -> FitMethod:
    """Return the method, bayes with the prior of the fit: too few regions to learn one."""
    # What was left out of the voxels stays out, and means are no scan to be screened.
    method = result.method.without_screen()
    if not isinstance(method, PosteriorMethod):
        return method
    priors = result.learned
    key = number if number in priors else name
    if key not in priors and len(priors) == 1:
        (key,) = priors
    if key not in priors:
        raise OptionError(
            f"the fit has priors of regions {', '.join(priors) or 'none'}; expected one of "
            f"region {number} ({name}). Use the labels of the fit, or leave out the fit of the "
            "mean signal (mean_fit=False, --no-mean-fit)"
        )
    return method.with_table(priors[key].prior.alone(), priors[key].variance)


def _estimator(result: FitResult, method: FitMethod) -> Estimator | None:
    """Return the estimator of the fit; if there is none and the method gives no sd, the default.

    Curvature refers to the least-squares optimum, which a fit in steps does not seek: the sd of
    its f would be a third too small.
    """
    if result.settings.estimator is not None:
        return result.settings.estimator
    own = any(f"{parameter}_sd" in method.extras(result.model) for parameter in result.model.names)
    if own:
        return None
    return estimators.get("curvature" if method.full_fit else "bootstrap")
