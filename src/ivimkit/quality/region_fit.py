"""The fit of the mean signal of each region, beside the fits of its voxels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import uncertainty as estimators
from ivimkit.dwi import DWI
from ivimkit.errors import AcquisitionWarning, OptionError, ShapeError
from ivimkit.estimator import Estimator
from ivimkit.fit_method import FitMethod
from ivimkit.fitting import adc_weight, fit
from ivimkit.labels import Labels
from ivimkit.posterior_method import PosteriorMethod
from ivimkit.quality.rows import labelled
from ivimkit.result import FitResult
from ivimkit.signal_model import SignalModel
from ivimkit.status import FAILED, FitStatus

__all__ = ["roi_fit"]

_CHUNK = 1 << 16
_UNUSABLE = int(FAILED | FitStatus.OUTSIDE_MASK)


def roi_fit(
    result: FitResult,
    labels: ArrayLike | Labels,
    label_names: Mapping[int, str] | None = None,
) -> FitResult:
    """Fit the mean signal of each region as each voxel was fitted.

    The signal is averaged over the voxels of the region that have a fit, b-value by b-value, and
    fitted with the model, the method, the weights and the uncertainty of the result (if it has
    none, curvature, or bootstrap for a method in steps), and for method bayes its own prior.

    The mean has the noise of one voxel divided by the root of their number, taken as independent;
    where the noise was not given as a number, the residuals of the mean signal tell. It is fitted
    with hardly any noise, which in single voxels pushes f and D* off; a noise floor of magnitudes
    stays in it, for ``noise="rician"`` to take off. But the mean of different decays is no decay
    of one tissue: in a mixed region the voxel-wise median may be closer to its tissue.

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
        ``sd``, ``interval``, ``status``, and ``dwi`` with the mean signals. A region without a
        fitted voxel has NaN.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, there is no region, or the scan is not
        the one that was fitted.
    OptionError
        If the scan is not at hand, or method bayes learned priors of several regions and none
        of them has the number or the name of the region to fit.

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
    usable = (result.status & _UNUSABLE) == 0
    signals, numbers = _mean_signals(dwi, known, usable)
    # One by one: a mean of 1000 voxels weighs more against the noise of a voxel than one of 10.
    fits = [
        _fit_one(result, known, usable, position, signals[position], int(numbers[position]))
        for position in range(len(known))
    ]
    if "ADC" not in result.model.names:
        fits = [_with_adc_sd(one) for one in fits]
    maps = {name: np.concatenate([one.maps[name] for one in fits]) for name in fits[0].maps}
    maps["cost"] = maps["cost"] / np.maximum(numbers, 1)
    means = DWI(signals, dwi.fit_bvals, average="none")
    provenance = fits[0].provenance
    fixed = {
        name: np.concatenate([one.model.fixed_maps[name] for one in fits])
        for name in result.model.fixed_maps
    }
    return replace(
        fits[0],
        maps=maps,
        model=replace(fits[0].model, fixed_maps=fixed),
        status=np.concatenate([one.status for one in fits]),
        dwi=means,
        geometry=means.geometry,
        provenance=replace(
            provenance,
            call="ivimkit.quality.roi_fit",
            counts=list(result.provenance.counts),
            options={
                **provenance.options,
                "region_voxels": dict(zip(known, numbers.tolist(), strict=True)),
            },
        ),
    )


def _scan_of(result: FitResult) -> DWI:
    dwi = result.dwi
    if dwi is None:
        raise OptionError(
            "the scan that was fitted is not at hand; expected it as result.dwi, for the mean "
            "signal of the regions. Load the result with scan=True, or on the command line name "
            "the scan (--scan)"
        )
    if dwi.shape != result.shape or dwi.fit_bvals.size != len(result.provenance.counts):
        raise ShapeError(
            f"result.dwi has shape {dwi.shape} and {dwi.fit_bvals.size} b-values; expected "
            f"{result.shape} and {len(result.provenance.counts)}, those of the fit. Load the "
            "result with its own scan"
        )
    return dwi


def _mean_signals(
    dwi: DWI, labels: Labels, usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the mean signal of each region, shape (n_regions, n_b), and its voxels."""
    wanted = usable & (labels.array != 0)
    n_columns, n_regions = dwi.fit_bvals.size, len(labels)
    total, numbers = np.zeros((n_columns, n_regions)), np.zeros(n_regions, dtype=np.int64)
    if wanted.any():
        reader = dwi.with_mask(wanted).voxels()
        order: Any = reader.order
        regions = np.searchsorted(
            np.array(list(labels.names)), labels.array.ravel(order=order)[reader.index]
        )
        numbers = np.bincount(regions, minlength=n_regions)
        for start in range(0, reader.n_voxels, _CHUNK):
            part = regions[start : start + _CHUNK]
            values = np.empty((part.size, n_columns))
            reader.read(start, start + _CHUNK, values)
            for column in range(n_columns):
                total[column] += np.bincount(part, values[:, column], minlength=n_regions)
    with np.errstate(invalid="ignore"):
        return (total / numbers).T, numbers


def _fit_one(
    result: FitResult,
    labels: Labels,
    usable: NDArray[np.bool_],
    position: int,
    signal: NDArray[np.float64],
    n: int,
) -> FitResult:
    """Fit one mean signal; its volumes weigh n-fold, as one volume has the noise of a voxel."""
    number, name = list(labels.names.items())[position]
    options = result.provenance.options
    method = _method(result, f"{number:g}", name)
    sigma = options.get("sigma")
    assert result.dwi is not None
    with warnings.catch_warnings():
        # Whoever fitted the scan has been told of its b-values.
        warnings.simplefilter("ignore", AcquisitionWarning)
        return fit(
            DWI(signal[np.newaxis], result.dwi.fit_bvals, average="none"),
            model=_model(result.model, usable & (labels.array == number)),
            method=method,
            sigma=sigma if isinstance(sigma, int | float) else None,
            uncertainty=_estimator(result, method),
            weights=np.asarray(result.provenance.counts) * max(n, 1),
            adc_bvals=_adc_bvals(options),
            threads=1,
        )


def _with_adc_sd(one: FitResult) -> FitResult:
    """Add how sure the ADC is: its own fit, once more with an uncertainty.

    The noise is that of the residuals of the model, not of the ADC: to these, one decay for two
    would count as noise, and many voxels would not make the ADC any surer.
    """
    assert one.dwi is not None
    weights = np.asarray(one.provenance.counts)
    sigma = one.provenance.options["sigma"]
    if sigma is None:
        degrees = max(np.count_nonzero(weights) - one.model.n_free, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = float(np.sqrt(one.maps["cost"][0] / degrees))
        sigma = found if 0.0 < found < np.inf else None
    chosen = _adc_bvals(one.provenance.options)
    if chosen is not None:
        weights = np.where(adc_weight(chosen, one.dwi) > 0, weights, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AcquisitionWarning)
        adc = fit(
            one.dwi,
            model="monoexp",
            method="loglinear",
            sigma=sigma,
            uncertainty="curvature",
            weights=weights,
            threads=1,
        )
    added = {name: adc.maps[name] for name in ("ADC_sd", "ADC_lo", "ADC_hi")}
    return replace(one, maps={**one.maps, **added})


def _adc_bvals(options: Mapping[str, Any]) -> Sequence[float] | None:
    return options.get("adc_bvals")


def _model(model: SignalModel, inside: NDArray[np.bool_]) -> SignalModel:
    """Return the model with the maps that fix a parameter as their means."""
    means = {
        name: np.array([values[inside].mean() if inside.any() else np.nan])
        for name, values in model.fixed_maps.items()
    }
    return replace(model, fixed_maps=means)


def _method(result: FitResult, number: str, name: str) -> FitMethod:
    """Return the method, of bayes with the prior of the fit; few regions can learn nothing."""
    method = result.method
    if not isinstance(method, PosteriorMethod):
        return method
    priors = result.priors
    table = priors.get(number, priors.get(name))
    if table is None and len(priors) == 1:
        (table,) = priors.values()
    if table is None:
        raise OptionError(
            f"the fit has priors of regions {', '.join(priors) or 'none'}; expected one of "
            f"region {number} ({name}). Use the labels of the fit, or leave out the fit of the "
            "mean signal (mean_fit=False, --no-mean-fit)"
        )
    # The noise of the mean signal is its own: what the voxels tell of theirs does not know how
    # far the mean of different decays is from one decay.
    return replace(method, prior=table, variance="voxel")


def _estimator(result: FitResult, method: FitMethod) -> Estimator | None:
    """Return the estimator of the fit; if it had none and the method gives no sd, the usual one.

    Curvature is about the least squares, which a fit in steps does not look for: its f would be
    taken to be a third surer than it is.
    """
    options = result.provenance.options
    name = options.get("uncertainty")
    if name is not None:
        return estimators.get(name, **options.get("uncertainty_options", {}))
    own = any(f"{parameter}_sd" in method.extras(result.model) for parameter in result.model.names)
    if own:
        return None
    return estimators.get("curvature" if method.full_fit else "bootstrap")
