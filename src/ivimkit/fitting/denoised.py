"""Fits of a denoised scan: with the error that denoising left, of each parameter.

What denoising leaves is not independent noise of one size: along some directions in the space of
the volumes all of the noise is left, along others nearly none, and the residuals of a fit show
neither. `RemainingNoise` has its covariance C. To first order the error of a parameter is g' e
with the error e of the values and g = the row of (J' W J)^-1 J' W for it, so it has the variance
g' C g. Independent noise of the variance s^2 / w would give it s^2 sum(g^2 / w). So the scan is
fitted once for each parameter, with the s that makes both equal, and what the maps say of a
parameter is taken from its own fit. Posteriors and curvatures need no change for this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ivimkit import methods
from ivimkit.engine import gradients
from ivimkit.errors import NoiseError, OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.prior import ChoosingPrior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.decay_curves import fitted_x
from ivimkit.fitting.result import FitResult, VoxelMaps
from ivimkit.fitting.settings import FitSettings
from ivimkit.fitting.uncertain_voxels import uncertain_flags
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.noise.remaining import RemainingNoise
from ivimkit.rounding import rounded
from ivimkit.scan.dwi import DWI
from ivimkit.status import FAILED, UNSEEN_REFERENCE, FitStatus, uncertain

__all__ = [
    "check_denoised",
    "claims_intervals",
    "fit_denoised",
    "number_of_fits",
    "remaining_noise",
    "settings_for_denoised",
]

_STEP = "denoise"
_KEY = "remaining_noise"
_PARTS = ("", "_sd", "_lo", "_hi", "_lo50", "_hi50", "_bits")
# Estimators that take the noise that is given; a bootstrap draws from residuals.
_BY_GIVEN_NOISE = ("curvature", "profile")
# Slopes are taken at parameters within the typical range, widened by these factors: at the bounds
# of a fraction, the slopes by a rate are 0.
_WIDENED = (1.0 / 3.0, 2.0)
_CHUNK = 1 << 14
# Singular values below this share of the largest are 0, with columns scaled to the length 1.
_MIN_SINGULAR = 1e-7
_MIN_FRACTION = 1e-6
# A fraction is detected if it differs from 0 by 1.96 standard deviations, as in any fit.
_DETECTED = 1.959964

Run = Callable[[FitSettings, NDArray[np.float64] | None], FitResult]
"""Fits the scan with settings and a map of sigma."""


def remaining_noise(dwi: DWI) -> RemainingNoise | None:
    """Return what denoising left of the noise in the volumes of a scan; None if it is not known.

    Raises
    ------
    NoiseError
        If the record is damaged.
    """
    record = dwi.history.step(_STEP)
    if record is None or _KEY not in record.numbers:
        return None
    found = RemainingNoise.from_numbers(record.numbers[_KEY])
    if found.n_volumes != dwi.stored.shape[-1]:
        # Volumes were averaged or left out when it was saved.
        return None
    return found.of_volumes(dwi.volumes.tolist())


def claims_intervals(settings: FitSettings) -> bool:
    """Return whether a fit says how uncertain its parameters are."""
    return settings.estimator is not None or isinstance(settings.method, PosteriorMethod)


def check_denoised(settings: FitSettings, left: RemainingNoise | None) -> None:
    """Refuse what would be false for a denoised scan.

    Parameters
    ----------
    settings : FitSettings
        The fit.
    left : RemainingNoise, optional
        What is left of the noise, if it is known.

    Raises
    ------
    NoiseError
        If intervals are asked for and what is left is not known.
    OptionError
        If the fit learns from the noise, or draws from the residuals, of a denoised scan.
    """
    method, estimator = settings.method, settings.estimator
    if left is None and claims_intervals(settings):
        what = f"uncertainty {estimator.name}" if estimator else f"method {method.name}"
        raise NoiseError(
            f"the scan was denoised, and what was left of its noise is not known, so {what} would "
            "claim intervals that do not contain the truth; expected a scan denoised by step "
            "denoise with method mppca and volumes that were not averaged. Use the scan as "
            "acquired, or method varpro without uncertainty"
        )
    if estimator is not None and estimator.name not in _BY_GIVEN_NOISE:
        raise OptionError(
            f"uncertainty {estimator.name} takes the noise from residuals, which do not show what "
            f"denoising left; expected {' or '.join(_BY_GIVEN_NOISE)} for a denoised scan"
        )
    if method.screens:
        raise OptionError(
            "robust screens values by their residuals, which do not show what denoising left; "
            "expected it off for a denoised scan. Leave values out before: step outliers"
        )
    noise = getattr(method, "noise", "gaussian")
    if noise != "gaussian" and not isinstance(method, PosteriorMethod):
        raise OptionError(
            f"noise of method {method.name} is {noise}, the distribution of "
            "single magnitudes, which denoised values do not have; expected gaussian. Or use "
            "method bayes, which subtracts the noise floor"
        )
    rule = method.rule if isinstance(method, PosteriorMethod) else None
    if rule is not None and rule.trains and not isinstance(rule, ChoosingPrior):
        raise OptionError(
            f"prior {rule.name} is learned from the voxels of the scan, and denoising has drawn "
            "them towards each other: its intervals would be too narrow; expected prior flat or "
            "organ for a denoised scan, or the scan as acquired"
        )


def number_of_fits(settings: FitSettings) -> int:
    """Return how often `fit_denoised` fits the scan."""
    return 1 + len(_free(settings.model)) if claims_intervals(settings) else 1


def _free(model: SignalModel) -> tuple[str, ...]:
    """Return the names of the parameters that are fitted."""
    return tuple(
        p.name for p in model.parameters if not p.fixed and p.name not in model.fixed_maps
    )


def settings_for_denoised(settings: FitSettings, left: RemainingNoise) -> FitSettings:
    """Return settings whose prior is not learned, and whose floor is that of the noise before."""
    method: FitMethod = settings.method
    if isinstance(method, PosteriorMethod):
        rule = method.rule
        if isinstance(rule, ChoosingPrior):
            method = replace(method, prior=rule.fixed_for(settings.model, settings.organ))
        elif isinstance(method.prior, PriorTable) and method.prior.chooses:
            method = replace(method, prior=method.prior.alone())
        if method.wants_floor:
            method = method.with_floor(float(f"{left.sigma:.6g}"))
    return replace(settings, method=method)


def fit_denoised(dwi: DWI, settings: FitSettings, left: RemainingNoise, run: Run) -> FitResult:
    """Fit a denoised scan, once for each parameter if its uncertainty is asked for.

    Parameters
    ----------
    dwi : DWI
        The scan.
    settings : FitSettings
        Settings that passed `check_denoised`.
    left : RemainingNoise
        What is left of the noise in its volumes.
    run : callable
        Fits the scan.

    Returns
    -------
    FitResult
    """
    settings = settings_for_denoised(settings, left)
    plain = replace(settings, method=methods.get("varpro"), estimator=None)
    claims = claims_intervals(settings)
    first = run(plain if claims else settings, None)
    scan = dwi.for_variables(settings.model.variables)
    errors = _Errors(scan, settings.model, left, first)
    if not claims:
        return _marked(first, errors)
    fits = {name: run(settings, errors.map_of(name)) for name in errors.names}
    return _marked(_joined(fits, settings), errors)


class _Errors:
    """The errors that denoising left in the parameters of a fit.

    Attributes
    ----------
    names : tuple of str
        The free parameters.
    sigma : dict of str to ndarray, shape (n_voxels,)
        The independent noise that stands for the error of each of them, a.u.
    fraction_sd : dict of str to ndarray, shape (n_voxels,)
        Standard deviation of each fraction, at the estimates.
    """

    def __init__(
        self, dwi: DWI, model: SignalModel, left: RemainingNoise, first: FitResult
    ) -> None:
        self.model, self._left = model, left
        self.names = _free(model)
        self._reader = dwi.voxels()
        used = dwi.fit_counts > 0.0
        self._weight = dwi.fit_counts[used]
        self._means = _means(dwi)[used]
        self._x = np.atleast_2d(fitted_x(model.variables, dwi))[:, used]
        self._columns = [model.index(name) for name in self.names]
        n = self._reader.n_voxels
        shares = [name for name in self.names if name in model.fractions]
        self.sigma = {name: np.empty(n) for name in self.names}
        self.fraction_sd = {name: np.empty(n) for name in shares}
        each = dwi.with_average("none").voxels()
        found = {name: self._reader.gather(first.maps[name]) for name in model.names}
        for start in range(0, n, _CHUNK):
            part = slice(start, min(start + _CHUNK, n))
            signals = np.empty((part.stop - start, each.n_columns))
            each.read(start, part.stop, signals)
            values = {name: found[name][part] for name in model.names}
            self._measure(part, signals, values)

    def map_of(self, name: str) -> NDArray[np.float64]:
        """Return the noise that stands for the error of a parameter as a map."""
        return np.asarray(self._reader.scatter(self.sigma[name], np.nan))

    def _measure(
        self,
        part: slice,
        signals: NDArray[np.float64],
        values: Mapping[str, NDArray[np.float64]],
    ) -> None:
        usual = np.stack([_within(self.model, *one) for one in values.items()], axis=-1)
        g = self._functionals(usual)
        for k, name in enumerate(self.names):
            self.sigma[name][part] = self._effective(signals, g[:, k])
        if not self.fraction_sd:
            return
        own = np.stack([_inside(self.model, *one) for one in values.items()], axis=-1)
        g = self._functionals(own, settled=_on_bounds(self.model, values, self.names))
        for name, sd in self.fraction_sd.items():
            one = g[:, self.names.index(name)]
            independent = np.sqrt((one**2 / self._weight).sum(axis=1))
            sd[part] = self._effective(signals, one) * independent

    def _effective(
        self, signals: NDArray[np.float64], g: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return self._left.effective_sigma(signals, g, self._means, self._weight)

    def _functionals(
        self, params: NDArray[np.float64], settled: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Return what the values are multiplied by for each parameter: (J' W J)^-1 J' W.

        Parameters
        ----------
        params : ndarray, shape (n_voxels, n_par)
            Where the slopes are taken.
        settled : ndarray of bool, shape (n_voxels, n_free), optional
            Parameters that are not free in a voxel.
        """
        root = np.sqrt(self._weight)[:, None]
        slopes = gradients(self.model, params, self._x)[..., self._columns] * root
        if settled is not None:
            slopes = np.where(settled[:, None, :], 0.0, slopes)
        length = np.sqrt((slopes**2).sum(axis=1, keepdims=True))
        length[length == 0.0] = 1.0
        inverse = np.linalg.pinv(slopes / length, rcond=_MIN_SINGULAR)
        return np.asarray(inverse / length.transpose(0, 2, 1) * root[:, 0])


def _inside(model: SignalModel, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the estimates of a parameter; fractions of 0 just above, where slopes exist."""
    parameter = model[name]
    known = np.where(np.isfinite(values), values, parameter.start)
    if parameter.role == "signal":
        return np.maximum(known, np.finfo(float).tiny)
    if name in model.fractions:
        return np.clip(known, _MIN_FRACTION, 1.0 - _MIN_FRACTION)
    return known


def _on_bounds(
    model: SignalModel, values: Mapping[str, NDArray[np.float64]], names: tuple[str, ...]
) -> NDArray[np.bool_]:
    """Return which shapes of compartments are at a bound, shape (n_voxels, n_names)."""
    found = np.zeros((len(values[names[0]]), len(names)), dtype=bool)
    for k, name in enumerate(names):
        parameter = model[name]
        if parameter.role != "signal" and name not in model.fractions:
            found[:, k] = (values[name] <= parameter.lower) | (values[name] >= parameter.upper)
    return found


def _within(model: SignalModel, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of a parameter, kept where slopes by all parameters exist."""
    parameter = model[name]
    if parameter.role == "signal":
        middle = np.nanmedian(values) if np.isfinite(values).any() else 1.0
        return np.where(np.isfinite(values) & (values > 0.0), values, middle)
    low, high = parameter.typical or parameter.display
    if not low < high:
        low, high = parameter.lower, parameter.upper
    low = max(parameter.lower, low * (_WIDENED[0] if low > 0.0 else 1.0))
    high = min(parameter.upper, high * _WIDENED[1])
    return np.clip(np.where(np.isfinite(values), values, parameter.start), low, high)


def _means(dwi: DWI) -> NDArray[np.float64]:
    """Return the fitted values as means of volumes, shape (n_values, n_volumes)."""
    n = dwi.acquisition.n_volumes
    if dwi.average == "none":
        return np.eye(n)
    weights = np.ones(n) if dwi.weights is None else np.asarray(dwi.weights)
    found = np.zeros((dwi.acquisition.n_shells, n))
    for row, shell in zip(found, dwi.acquisition.shells, strict=True):
        volumes = list(shell.volumes)
        own = weights[volumes] if weights[volumes].any() else np.ones(len(volumes))
        # The geometric mean of similar values has the same slopes.
        row[volumes] = own / own.sum()
    return found


def _joined(fits: Mapping[str, FitResult], settings: FitSettings) -> FitResult:
    """Return one result with what each fit says of its parameter."""
    *_, last = fits.values()
    model = settings.model
    columns = {name: np.asarray(last.maps[name]) for name in last.maps}
    for name, result in fits.items():
        for part in _PARTS:
            if f"{name}{part}" in columns:
                columns[f"{name}{part}"] = np.asarray(result.maps[f"{name}{part}"])
    for product in model.products:
        one, two = product.factors
        columns[product.name] = columns[one] * columns[two]
        # Its error is that of both; the wider of the two fits stands for it.
        sd = f"{product.name}_sd"
        if sd in columns:
            wider = [np.asarray(fits[factor].maps[sd]) for factor in (one, two) if factor in fits]
            columns[sd] = np.maximum.reduce(wider) if wider else columns[sd]
    if "ln_evidence" in columns:
        # The likelihood of no single noise describes the values.
        columns["ln_evidence"] = np.full_like(columns["ln_evidence"], np.nan)
    return _with_columns(last, columns)


def _with_columns(result: FitResult, columns: Mapping[str, NDArray[np.float64]]) -> FitResult:
    assert result.dwi is not None
    reader = result.dwi.voxels()
    own = {name: reader.gather(values) for name, values in columns.items()}
    return replace(result, maps=VoxelMaps(own, reader.index, result.dwi.shape, reader.order))


def _marked(result: FitResult, errors: _Errors) -> FitResult:
    """Return the result with the flags that depend on the noise, by what is left of it."""
    model = errors.model
    assert result.dwi is not None
    reader = result.dwi.voxels()
    status = reader.gather(result.status).copy()
    columns = {name: reader.gather(result.maps[name]) for name in result.maps}
    fitted = (status & int(FAILED)) == 0
    sds = errors.fraction_sd
    flags = [one.flag for one in model.unseen]
    for k in range(len(model.names)):
        status &= ~np.array(uncertain(k, len(model.names)), dtype=status.dtype)
    # Kurtosis is told by residuals, which do not show what denoising left.
    status &= ~np.array(int(FitStatus.KURTOSIS_LIKELY), dtype=status.dtype)
    for about in model.unseen:
        status &= ~np.array(about.flag, dtype=status.dtype)
    for name, sd in sds.items():
        flag = _flag_of_fraction(model, name)
        unseen = fitted & ~(columns[name] > _DETECTED * sd)
        if flag in flags:
            status[unseen] |= flag
    if UNSEEN_REFERENCE in flags and sds:
        rest = 1.0 - sum(columns[name] for name in model.fractions)
        sd = np.sqrt(sum(one**2 for one in sds.values()))
        status[fitted & ~(rest > _DETECTED * sd)] |= UNSEEN_REFERENCE
    status |= np.where(fitted, uncertain_flags(model, columns), 0).astype(status.dtype)
    shown = {name: float(np.median(errors.sigma[name])) for name in errors.names if len(status)}
    told = ", ".join(f"{model[name].symbol} {rounded(value)}" for name, value in shown.items())
    floor = getattr(result.method, "floor_noise", 0.0)
    of_floor = {"floor": f"{floor:.4g} a.u., that before denoising"} if floor > 0.0 else {}
    chosen = {
        **result.provenance.chosen,
        **of_floor,
        "noise": f"what denoising left, as independent noise of the same effect (a.u.): {told}",
    }
    return replace(
        result,
        status=np.where(result.dwi.mask, reader.scatter(status, 0), result.status),
        provenance=replace(result.provenance, chosen=chosen),
    )


def _flag_of_fraction(model: SignalModel, name: str) -> int:
    own = model.compartment_of(name)
    return next((u.flag for u in model.unseen if own and u.compartment == own.name), 0)
